//! A certificate authority for one run, and a server certificate for 127.0.0.1 and `localhost`.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Three PEM files.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority that clients should trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Writes a new authority and a server certificate signed by it into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(folder: &Path) -> Result<Self> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "jwe-gate test authority");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;

        let files = Self {
            authority: folder.join("authority.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&files.authority, authority_certificate.pem())?;
        fs::write(&files.certificate, certificate.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}
