//! A module, and whether it is the one that was meant.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// A module whose checksum is right.
pub(super) struct Module {
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: String,
}

impl Module {
    /// Reads a module and compares it with its checksum: 64 hexadecimal digits, or a file as `sha256sum` writes it.
    /// What is wrong with it is told inside; the error is that it could not be found out.
    pub(super) fn read(path: &Path, sha256: &str) -> Result<Result<Self, String>, Failure> {
        let expected = if is_digest(sha256) { sha256.to_ascii_lowercase() } else { listed(Path::new(sha256), path)? };
        let bytes = std::fs::read(path).map_err(Failure::io(path))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != expected {
            return Ok(Err(format!("{}: SHA-256 {found}, but {expected} was expected", path.display())));
        }
        Ok(Ok(Self { bytes, sha256: found }))
    }
}

/// The digest of a module in a file of lines `digest  name`; a file of one line may name it otherwise.
fn listed(list: &Path, module: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(list).map_err(Failure::io(list))?;
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(char::is_whitespace)).collect();
    let is_meant = |name: &str| Path::new(name.trim_start_matches([' ', '*'])).file_name() == module.file_name();
    let digest = match lines.as_slice() {
        [] => text.trim(),
        [(digest, _)] => digest,
        lines => lines.iter().find(|(_, name)| is_meant(name)).map_or("", |(digest, _)| digest),
    };
    if is_digest(digest) { Ok(digest.to_ascii_lowercase()) } else { Err(Failure::Checksum(list.to_owned())) }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
