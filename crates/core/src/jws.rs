//! Signed identities: a JWS in compact form (RFC 7515) under an Ed25519 key (RFC 8037), for apps that want proof.
//!
//! The signature is a function of the key and the claims alone (RFC 8032 section 5.1.6): it needs no randomness.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use jwe_gate_contract::PublicKey;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Signs with one key.
pub struct Signer {
    /// Wiped when dropped.
    key: SigningKey,
    /// The protected header, encoded, with the dot behind it.
    header: String,
}

/// The secret is not 32 bytes in base64url without padding, such as `jwe-gate identity-key` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl Signer {
    /// Takes the private key as the member `d` of its JWK.
    ///
    /// # Errors
    /// [`NotAKey`] when it is none.
    pub fn new(d: &Secret) -> Result<Self, NotAKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(d.expose()).map_err(|_| NotAKey)?);
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| NotAKey)?;
        let key = SigningKey::from_bytes(seed);
        let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"JWT"}}"#, public(&key).kid());
        Ok(Self { key, header: URL_SAFE_NO_PAD.encode(header) + "." })
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        public(&self.key)
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        // Values alone: this cannot fail.
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = self.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.key.sign(token.as_bytes()).to_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().to_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037 appendix A.1 and A.3.
    const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn signer() -> Signer {
        Signer::new(&Secret::new(D)).unwrap()
    }

    fn claims() -> Map<String, Value> {
        json!({ "sub": "7", "aud": "app" }).as_object().unwrap().clone()
    }

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn the_published_example_is_signed_as_published() {
        // RFC 8037 appendix A.4, whose payload is no JSON.
        let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = URL_SAFE_NO_PAD.encode(signer().key.sign(input).to_bytes());
        assert_eq!(signature, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
        assert_eq!(signer().public_key().x(), X);
    }

    #[test]
    fn a_token_names_its_key_and_holds_the_claims() {
        let token = signer().sign(&claims());
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        assert_eq!(decode(header), json!({ "alg": "EdDSA", "kid": KID, "typ": "JWT" }));
        assert_eq!(decode(payload), json!({ "sub": "7", "aud": "app" }));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        let input = format!("{header}.{payload}");
        assert!(signer().key.verifying_key().verify_strict(input.as_bytes(), &signature).is_ok());
        assert!(signer().key.verifying_key().verify_strict(&input.as_bytes()[1..], &signature).is_err());
        assert_eq!(signer().sign(&claims()), token);
    }

    #[test]
    fn what_is_not_32_bytes_in_base64url_is_no_key() {
        let another_spelling = D.replace("f2A", "f2B");
        for text in ["", "short", &D[1..], &format!("{D}="), &format!("{D}\n"), &D.replace('_', "/"), &another_spelling]
        {
            assert!(Signer::new(&Secret::new(text)).is_err(), "{text:?}");
        }
        assert!(Signer::new(&Secret::new(D.repeat(2))).is_err());
    }

    #[test]
    fn the_key_stays_out_of_debug_output() {
        assert_eq!(format!("{:?}", signer()), "Signer(..)");
    }
}
