//! `POST` and `GET /v1/revocations`, and `DELETE /v1/subjects/{sub}/sessions`.
//!
//! A proxy signs what it asks, and may end the one session that it shows. An administrator shows a secret, and may end
//! any. An unsigned message learns nothing, not even whether it would have parsed.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jwe_gate_contract::revocation::MAX_NAME_BYTES;
use jwe_gate_contract::{FeedQuestion, MAC_HEADER, Message, RevocationRequest, Target, VERSION};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Service;
use crate::metrics::Rejection;
use crate::revocation::{Refusal, Revocations, Wanted};
use crate::store::journal::Author;

/// The service's side of revocations.
#[derive(Clone)]
pub struct Revoking {
    /// What is in force, and where it is written.
    pub revocations: Revocations,
    /// Whom administrators must be. Without one there are none.
    pub admin: Option<AdminToken>,
}

/// The secret of administrators. It is never printed, and compared in constant time.
#[derive(Clone)]
pub struct AdminToken(Arc<[u8; 32]>);

impl AdminToken {
    /// Takes the text of the secret as it is; at least 32 bytes.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= MIN_SECRET_BYTES).then(|| Self(Arc::new(Sha256::digest(secret).into())))
    }

    fn matches(&self, secret: &[u8]) -> bool {
        Sha256::digest(secret).as_slice().ct_eq(self.0.as_slice()).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

/// `GET /v1/revocations`
pub(super) async fn feed(State(service): State<Service>, uri: Uri, headers: HeaderMap) -> Response {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    match service.read_feed_question(target, &headers) {
        Ok((revoking, question)) => match revoking.revocations.answer(&question).await {
            Ok(answer) => service.signed(StatusCode::OK, Message::FeedAnswer, &answer),
            Err(refusal) => Denied::Refused(refusal).into_response(),
        },
        Err(denied) => service.deny(denied),
    }
}

/// `POST /v1/revocations`
pub(super) async fn revoke(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    match service.read_request(&headers, &body) {
        Ok((revoking, wanted)) => service.write(&revoking, wanted).await,
        Err(denied) => service.deny(denied),
    }
}

/// `DELETE /v1/subjects/{sub}/sessions`
pub(super) async fn end_sessions(
    State(service): State<Service>,
    headers: HeaderMap,
    subject: Result<Path<String>, PathRejection>,
) -> Response {
    match service.read_subject(&headers, subject) {
        Ok((revoking, wanted)) => service.write(&revoking, wanted).await,
        Err(denied) => service.deny(denied),
    }
}

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    /// Signed by a proxy, and a proxy may not.
    Forbidden,
    /// No request of ours.
    Malformed,
    /// Revocations are off.
    Off,
    /// Another realm.
    Realm,
    /// It was read, and cannot be done.
    Refused(Refusal),
    /// Neither signed nor with the secret of administrators.
    Unauthorized,
    /// Another version.
    Version,
}

#[derive(Serialize)]
struct Problem {
    error: &'static str,
    message: &'static str,
}

impl Service {
    fn read_feed_question(&self, target: &str, headers: &HeaderMap) -> Result<(Revoking, FeedQuestion), Denied> {
        let revoking = self.revoking.clone().ok_or(Denied::Off)?;
        let mac = headers.get(MAC_HEADER).ok_or(Denied::Unauthorized)?;
        if !self.secret.is_signed(Message::FeedQuestion, target.as_bytes(), mac.as_bytes()) {
            return Err(Denied::Unauthorized);
        }
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let question = FeedQuestion::from_query(query).ok_or(Denied::Malformed)?;
        self.serves_realm(question.version, &question.realm)?;
        Ok((revoking, question))
    }

    fn read_request(&self, headers: &HeaderMap, body: &[u8]) -> Result<(Revoking, Wanted), Denied> {
        let revoking = self.revoking.clone().ok_or(Denied::Off)?;
        let by = self.author(&revoking, headers, body)?;
        let request: RevocationRequest = serde_json::from_slice(body).map_err(|_| Denied::Malformed)?;
        self.serves_realm(request.version, &request.realm)?;
        match (by, &request.target) {
            (Author::Proxy, Target::Shown(_)) | (Author::Admin, Target::Session { .. } | Target::Subject { .. }) => {}
            _ => return Err(Denied::Forbidden),
        }
        let is_well_formed = is_id(&request.id) && names(&request.target).all(is_name);
        let wanted = Wanted { id: request.id, target: request.target, by };
        if is_well_formed { Ok((revoking, wanted)) } else { Err(Denied::Malformed) }
    }

    fn read_subject(
        &self,
        headers: &HeaderMap,
        subject: Result<Path<String>, PathRejection>,
    ) -> Result<(Revoking, Wanted), Denied> {
        let revoking = self.revoking.clone().ok_or(Denied::Off)?;
        if !is_admin(&revoking, headers) {
            return Err(Denied::Unauthorized);
        }
        let Path(sub) = subject.map_err(|_| Denied::Malformed)?;
        if !is_name(&sub) {
            return Err(Denied::Malformed);
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        Ok((revoking, Wanted { id, target: Target::Subject { sub }, by: Author::Admin }))
    }

    /// Whoever shows two credentials has none.
    fn author(&self, revoking: &Revoking, headers: &HeaderMap, body: &[u8]) -> Result<Author, Denied> {
        match (headers.get(MAC_HEADER), headers.contains_key(header::AUTHORIZATION)) {
            (Some(mac), false) if self.secret.is_signed(Message::Revocation, body, mac.as_bytes()) => Ok(Author::Proxy),
            (None, true) if is_admin(revoking, headers) => Ok(Author::Admin),
            _ => Err(Denied::Unauthorized),
        }
    }

    fn serves_realm(&self, version: u32, realm: &str) -> Result<(), Denied> {
        if version != VERSION {
            return Err(Denied::Version);
        }
        if *realm == *self.realm { Ok(()) } else { Err(Denied::Realm) }
    }

    async fn write(&self, revoking: &Revoking, wanted: Wanted) -> Response {
        match revoking.revocations.write(wanted).await {
            Ok((receipt, is_new)) => {
                let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                self.signed(status, Message::Receipt, &receipt)
            }
            Err(refusal) => Denied::Refused(refusal).into_response(),
        }
    }

    fn signed(&self, status: StatusCode, message: Message, answer: &impl Serialize) -> Response {
        let Ok(body) = serde_json::to_vec(answer) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mac = self.secret.sign(message, &body);
        (status, JSON, [(MAC_HEADER, mac)], body).into_response()
    }

    fn deny(&self, denied: Denied) -> Response {
        self.metrics.rejected(match denied {
            Denied::Unauthorized => Rejection::Unsigned,
            Denied::Version => Rejection::Version,
            Denied::Forbidden => Rejection::Forbidden,
            Denied::Malformed | Denied::Off | Denied::Realm | Denied::Refused(_) => Rejection::Malformed,
        });
        denied.into_response()
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "a proxy ends the session that it shows; an administrator ends a session or a subject's",
            ),
            Self::Malformed => (StatusCode::BAD_REQUEST, "this is no request of this interface"),
            Self::Off => (StatusCode::NOT_FOUND, "revocations are off: start the service with REVOCATIONS=true"),
            Self::Realm => (StatusCode::BAD_REQUEST, "this service serves another realm"),
            Self::Refused(Refusal::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "too many are waiting"),
            Self::Refused(Refusal::Conflict) => (StatusCode::CONFLICT, "the id belongs to another request"),
            Self::Refused(Refusal::Implausible) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "the session that is shown was issued in the future, or is too old")
            }
            Self::Refused(Refusal::Unavailable) => {
                (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer; asking again is safe")
            }
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "the credentials are missing or wrong"),
            Self::Version => (StatusCode::BAD_REQUEST, "this service speaks another version"),
        };
        // Two texts always can be written.
        let body = serde_json::to_vec(&Problem { error: self.as_str(), message }).unwrap_or_default();
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some([(header::WWW_AUTHENTICATE, "Bearer")]);
        (status, JSON, challenge, body).into_response()
    }
}

impl Denied {
    fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Malformed => "malformed",
            Self::Off => "off",
            Self::Realm => "realm",
            Self::Refused(refusal) => refusal.as_str(),
            Self::Unauthorized => "unauthorized",
            Self::Version => "version",
        }
    }
}

/// The scheme's name may be in either case (RFC 9110 section 11.1); two such headers are none.
fn is_admin(revoking: &Revoking, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None, Some(admin)) = (values.next(), values.next(), &revoking.admin) else { return false };
    let Some((scheme, secret)) = value.as_bytes().split_at_checked(BEARER.len()) else { return false };
    scheme.eq_ignore_ascii_case(BEARER) && admin.matches(secret)
}

fn is_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Databases take no NUL.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains('\0')
}

fn names(target: &Target) -> impl Iterator<Item = &str> {
    let (first, second) = match target {
        Target::Session { sid } => (sid, None),
        Target::Shown(shown) => (&shown.sub, shown.sid.as_ref()),
        Target::Subject { sub } => (sub, None),
    };
    std::iter::once(first).chain(second).map(String::as_str)
}

const JSON: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
const BEARER: &[u8] = b"Bearer ";
const MIN_SECRET_BYTES: usize = 32;

/// Where administrators end all sessions of a subject.
pub(super) const SESSIONS_PATH: &str = "/v1/subjects/{sub}/sessions";
