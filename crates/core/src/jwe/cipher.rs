//! The ciphers, with their key schedules made once. The only module that names cipher crates.
//!
//! Both `open` functions verify the tag, in constant time, before a byte is decrypted, and leave the buffer as it was
//! when the tag is wrong. Failures carry no cause: nobody outside is to learn which check it was.

use aes::Aes256Dec;
use aes_gcm::aead::{AeadInOut, Nonce, Tag};
use aes_gcm::{Aes256Gcm, KeyInit};
use cbc::Decryptor;
use cbc::cipher::{BlockModeDecrypt, InnerIvInit, Iv, block_padding::Pkcs7};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// The ciphertext or the tag is not what this key made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

/// A256GCM (RFC 7518 section 5.3).
pub(super) struct Gcm(Aes256Gcm);

/// A256CBC-HS512 (RFC 7518 section 5.2.5).
pub(super) struct CbcHs512 {
    /// Already keyed: a copy costs less than the two compressions that keying takes.
    mac: Hmac<Sha512>,
    decrypt: Aes256Dec,
    #[cfg(any(test, feature = "seal"))]
    encrypt: aes::Aes256Enc,
}

impl Gcm {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Turns the ciphertext in `buffer` into the plaintext.
    pub(super) fn open(&self, aad: &[u8], iv: &[u8], buffer: &mut Vec<u8>, tag: &[u8]) -> Result<(), Forged> {
        let nonce: &Nonce<Aes256Gcm> = iv.try_into().map_err(|_| Forged)?;
        let tag: &Tag<Aes256Gcm> = tag.try_into().map_err(|_| Forged)?;
        self.0.decrypt_inout_detached(nonce, aad, buffer.as_mut_slice().into(), tag).map_err(|_| Forged)
    }
}

impl CbcHs512 {
    pub(super) fn new(key: &[u8; 64]) -> Self {
        let (mac_key, aes_key) = key.split_at(32);
        let mut half = Zeroizing::new([0; 32]);
        half.copy_from_slice(aes_key);
        Self {
            mac: keyed(mac_key),
            decrypt: Aes256Dec::new((&*half).into()),
            #[cfg(any(test, feature = "seal"))]
            encrypt: aes::Aes256Enc::new((&*half).into()),
        }
    }

    /// Turns the ciphertext in `buffer` into the plaintext.
    pub(super) fn open(&self, aad: &[u8], iv: &[u8], buffer: &mut Vec<u8>, tag: &[u8]) -> Result<(), Forged> {
        let iv: &Iv<Decryptor<Aes256Dec>> = iv.try_into().map_err(|_| Forged)?;
        // `verify_truncated_left` would take a shorter tag too.
        if tag.len() != 32 {
            return Err(Forged);
        }
        self.authenticated(aad, iv, buffer).verify_truncated_left(tag).map_err(|_| Forged)?;
        let plaintext = Decryptor::inner_iv_init(&self.decrypt, iv).decrypt_padded::<Pkcs7>(buffer);
        let len = plaintext.map_err(|_| Forged)?.len();
        buffer.truncate(len);
        Ok(())
    }

    fn authenticated(&self, aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> Hmac<Sha512> {
        let aad_bits = (aad.len() as u64).saturating_mul(8);
        let mut mac = self.mac.clone();
        for part in [aad, iv, ciphertext, &aad_bits.to_be_bytes()] {
            mac.update(part);
        }
        mac
    }
}

/// HMAC takes a key of any length, so the error that the trait knows cannot occur.
fn keyed(key: &[u8]) -> Hmac<Sha512> {
    let mut block = Zeroizing::new([0; 128]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    // A key shorter than the hash's block is padded with zeros (RFC 2104 section 2).
    Hmac::new((&*block).into())
}

/// HKDF-SHA-256 (RFC 5869) into as many bytes as the key needs.
pub(super) fn derive_key<const N: usize>(secret: &[u8], salt: &str, info: &str) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF ends there") };
    let mut key = Zeroizing::new([0; N]);
    let expanded = Hkdf::<Sha256>::new(Some(salt.as_bytes()), secret).expand(info.as_bytes(), key.as_mut_slice());
    debug_assert!(expanded.is_ok(), "the length is checked above");
    key
}

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub(super) fn sha512(data: &[u8]) -> [u8; 64] {
    Sha512::digest(data).into()
}

#[cfg(any(test, feature = "seal"))]
mod sealing {
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::{AeadInOut, Nonce};
    use cbc::Encryptor;
    use cbc::cipher::{BlockModeEncrypt, InnerIvInit, Iv, block_padding::Pkcs7};
    use hmac::Mac;

    use super::{CbcHs512, Forged, Gcm};

    impl Gcm {
        /// Ciphertext and tag; the error is an initialisation vector of the wrong length.
        pub(in crate::jwe) fn seal(
            &self,
            aad: &[u8],
            iv: &[u8],
            plaintext: &[u8],
        ) -> Result<(Vec<u8>, Vec<u8>), Forged> {
            let nonce: &Nonce<Aes256Gcm> = iv.try_into().map_err(|_| Forged)?;
            let mut buffer = plaintext.to_vec();
            let tag = self.0.encrypt_inout_detached(nonce, aad, buffer.as_mut_slice().into()).map_err(|_| Forged)?;
            Ok((buffer, tag.to_vec()))
        }
    }

    impl CbcHs512 {
        /// Ciphertext and tag; the error is an initialisation vector of the wrong length.
        pub(in crate::jwe) fn seal(
            &self,
            aad: &[u8],
            iv: &[u8],
            plaintext: &[u8],
        ) -> Result<(Vec<u8>, Vec<u8>), Forged> {
            let iv: &Iv<Encryptor<aes::Aes256Enc>> = iv.try_into().map_err(|_| Forged)?;
            let mut buffer = plaintext.to_vec();
            buffer.resize(plaintext.len() + 16, 0);
            let padded =
                Encryptor::inner_iv_init(&self.encrypt, iv).encrypt_padded::<Pkcs7>(&mut buffer, plaintext.len());
            let len = padded.map_err(|_| Forged)?.len();
            buffer.truncate(len);
            let mac = self.authenticated(aad, iv, &buffer).finalize().into_bytes();
            Ok((buffer, mac.iter().copied().take(32).collect()))
        }
    }
}

#[cfg(test)]
mod tests;
