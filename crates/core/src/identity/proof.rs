//! A signed identity, for apps that want proof: signed when it is first needed, kept with the session, and renewed when half
//! of its time is over. What it costs is paid once in minutes, not once a request.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Facts, Source};
use crate::claims::Session;
use crate::jws::Signer;
use crate::time::UnixMillis;

/// Who signs, and what is said.
#[derive(Debug)]
pub struct Issuer {
    /// The header that carries it, in lower case.
    pub header: Rc<str>,
    /// The key.
    pub signer: Signer,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
    /// Further claims, and where their values come from.
    pub claims: Vec<(String, Source)>,
}

/// The signed identity of one session, once it has been needed.
#[derive(Debug, Default)]
pub struct Proof(RefCell<Option<Signed>>);

#[derive(Debug)]
struct Signed {
    token: Rc<str>,
    renewed_from: UnixMillis,
}

impl Proof {
    /// A token that is good for at least half of its lifetime, or as long as the session is.
    pub fn token(&self, now: UnixMillis, issuer: &Issuer, session: &Session, facts: &Facts<'_>) -> Rc<str> {
        if let Some(signed) = self.0.borrow().as_ref().filter(|signed| now < signed.renewed_from) {
            return signed.token.clone();
        }
        let token: Rc<str> = Rc::from(issuer.sign(now, session, facts));
        let renewed_from = now.after(issuer.lifetime / 2);
        *self.0.borrow_mut() = Some(Signed { token: token.clone(), renewed_from });
        token
    }
}

impl Issuer {
    fn sign(&self, now: UnixMillis, session: &Session, facts: &Facts<'_>) -> String {
        let seconds = |time: UnixMillis| Value::from(time.0 / 1000);
        let fact = |(name, source): &(String, Source)| Some((name.clone(), source.of(facts)?.into_owned()));
        let mut claims: Map<String, Value> = self.claims.iter().filter_map(fact).collect();
        claims.insert("iss".to_owned(), Value::from(self.issuer.as_str()));
        claims.insert("aud".to_owned(), Value::from(self.audience.as_str()));
        claims.insert("sub".to_owned(), Value::from(facts.user));
        claims.insert("iat".to_owned(), seconds(now));
        claims.insert("exp".to_owned(), seconds(now.after(self.lifetime).min(session.expires_at())));
        self.signer.sign(&claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::claims::{ClaimPath, Rules, check};
    use crate::secret::Secret;

    const NOW: UnixMillis = UnixMillis::from_seconds(1000);

    fn issuer() -> Issuer {
        let key = Secret::new("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        Issuer {
            header: Rc::from("x-identity-jwt"),
            signer: Signer::new(&key).unwrap(),
            issuer: "https://app.test".into(),
            audience: "apps".into(),
            lifetime: Duration::from_mins(5),
            claims: vec![
                ("role".into(), Source::Field(ClaimPath::dotted("role").unwrap())),
                ("email".into(), Source::Claim(ClaimPath::dotted("email").unwrap())),
            ],
        }
    }

    fn session(exp: u64) -> Session {
        let claims = json!({ "sub": "u-1", "iat": 900, "exp": exp });
        check(claims.to_string().as_bytes(), None, &Rules::default(), NOW).unwrap()
    }

    fn token(proof: &Proof, now: UnixMillis, session: &Session) -> Value {
        let fields = json!({ "role": ["a", "b"] });
        let facts = Facts { user: "u-1", claims: &Map::new(), fields: fields.as_object().unwrap() };
        let token = proof.token(now, &issuer(), session, &facts);
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn it_says_who_for_whom_and_how_long_and_what_is_known() {
        let said = token(&Proof::default(), NOW, &session(5000));
        let expected = json!({
            "iss": "https://app.test", "aud": "apps", "sub": "u-1", "iat": 1000, "exp": 1300, "role": ["a", "b"],
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn it_is_signed_once_in_half_of_its_time_and_does_not_outlive_the_session() {
        let (proof, session) = (Proof::default(), session(1200));
        let iat = |now| token(&proof, UnixMillis::from_seconds(now), &session)["iat"].clone();
        assert_eq!([iat(1000), iat(1100), iat(1149), iat(1150), iat(1200)], [1000, 1000, 1000, 1150, 1150]);
        // The session is accepted 15 seconds longer, for the sake of clocks.
        assert_eq!(token(&Proof::default(), NOW, &session)["exp"], 1215);
    }
}
