//! The public half of the key that signs identities: an Ed25519 key as a JWK (RFC 8037), named by its thumbprint
//! (RFC 7638). The filter names it in what it signs, and the lookup service publishes it under that name.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A public Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The text is not 32 bytes in base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPublicKey;

impl PublicKey {
    /// The key with these bytes (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The member `x` of its JWK.
    #[must_use]
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Its name: the SHA-256 of the members that make it, in the order of their names.
    #[must_use]
    pub fn kid(&self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }

    /// Its JWK, for verifying signatures.
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": self.x(), "kid": self.kid(), "use": "sig", "alg": "EdDSA" })
    }
}

impl std::str::FromStr for PublicKey {
    type Err = NotAPublicKey;

    fn from_str(x: &str) -> Result<Self, NotAPublicKey> {
        let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| NotAPublicKey)?;
        bytes.try_into().map(Self).map_err(|_| NotAPublicKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.2 and A.3.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn the_name_of_a_key_is_its_thumbprint() {
        let key: PublicKey = X.parse().unwrap();
        assert_eq!((key.x().as_str(), key.kid().as_str()), (X, KID));
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": X, "kid": KID, "use": "sig", "alg": "EdDSA" });
        assert_eq!(key.jwk(), jwk);
    }

    #[test]
    fn what_is_not_32_bytes_in_base64url_is_no_key() {
        let standard = X.replace('_', "/");
        let another_spelling = X.replace("URo", "URp");
        for text in ["", "AA", &X[1..], &format!("{X}="), &format!(" {X}"), &standard, &another_spelling, &X.repeat(2)]
        {
            assert_eq!(text.parse::<PublicKey>(), Err(NotAPublicKey), "{text:?}");
        }
    }
}
