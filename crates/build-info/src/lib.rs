//! What a built module says about itself: its version, the commit it was built from, and by which tools.
//!
//! The build writes it into custom sections, which hosts ignore. Their names are WebAssembly's conventions for tools
//! (`version`, `revision`, `producers`), so that other programs show them, too. Nothing in them depends on the time or the
//! machine.

#![forbid(unsafe_code)]

use std::fmt;

use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

/// What a module says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version, as in `Cargo.toml`.
    pub version: String,
    /// The commit; with `-dirty` at its end if more than the commit went in. None if it was not built from a checkout.
    pub commit: Option<String>,
    /// The compilers and tools, each with its version.
    pub tools: Vec<String>,
}

/// Why nothing can be said about a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildInfoError {
    /// A section of text is not UTF-8.
    Encoding(String),
    /// It is not a WebAssembly module, or not all of one.
    NotAModule(String),
    /// It is a module that does not name its version.
    NoVersion,
}

impl fmt::Display for BuildInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(name) => write!(f, "the section {name:?} is not UTF-8"),
            Self::NotAModule(cause) => write!(f, "not a WebAssembly module: {cause}"),
            Self::NoVersion => f.write_str("a WebAssembly module that does not name its version"),
        }
    }
}

impl std::error::Error for BuildInfoError {}

impl From<wasmparser::BinaryReaderError> for BuildInfoError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::NotAModule(error.to_string())
    }
}

impl BuildInfo {
    /// Reads it from the bytes of a module.
    ///
    /// # Errors
    ///
    /// When the bytes are no module, or the module does not name its version.
    pub fn read(wasm: &[u8]) -> Result<Self, BuildInfoError> {
        let (mut version, mut commit, mut tools) = (None, None, Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::CustomSection(section) = payload? else { continue };
            match section.name() {
                "version" => version = Some(text("version", section.data())?),
                "revision" => commit = Some(text("revision", section.data())?),
                _ => {}
            }
            if let KnownCustom::Producers(producers) = section.as_known() {
                tools = processed_by(producers)?;
            }
        }
        Ok(Self { version: version.ok_or(BuildInfoError::NoVersion)?, commit, tools })
    }
}

fn text(name: &str, data: &[u8]) -> Result<String, BuildInfoError> {
    String::from_utf8(data.to_vec()).map_err(|_| BuildInfoError::Encoding(name.to_owned()))
}

fn processed_by(producers: ProducersSectionReader<'_>) -> Result<Vec<String>, BuildInfoError> {
    let mut tools = Vec::new();
    for field in producers {
        let field = field?;
        if field.name == "processed-by" {
            for tool in field.values {
                let tool = tool?;
                tools.push(format!("{} {}", tool.name, tool.version).trim_end().to_owned());
            }
        }
    }
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of custom sections alone.
    fn module(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        for (name, data) in sections {
            let size = u8::try_from(1 + name.len() + data.len()).unwrap();
            assert!(size < 0x80, "one byte of LEB128");
            wasm.extend([0, size, u8::try_from(name.len()).unwrap()]);
            wasm.extend(name.bytes().chain(data.iter().copied()));
        }
        wasm
    }

    const PRODUCERS: &[u8] = b"\x02\x08language\x01\x04Rust\x00\x0cprocessed-by\x02\x05rustc\x061.95.0\x04tool\x00";

    #[test]
    fn version_commit_and_tools_are_read() {
        let wasm = module(&[("producers", PRODUCERS), ("revision", b"c0ffee-dirty"), ("version", b"0.1.0")]);
        let tools = vec!["rustc 1.95.0".to_owned(), "tool".to_owned()];
        let expected = BuildInfo { version: "0.1.0".to_owned(), commit: Some("c0ffee-dirty".to_owned()), tools };
        assert_eq!(BuildInfo::read(&wasm), Ok(expected));
    }

    #[test]
    fn a_module_from_outside_of_a_checkout_has_no_commit() {
        let info = BuildInfo::read(&module(&[("version", b"0.1.0")])).unwrap();
        assert_eq!((info.commit, info.tools), (None, Vec::new()));
    }

    #[test]
    fn what_does_not_say_what_it_is_is_refused() {
        assert_eq!(BuildInfo::read(&module(&[])), Err(BuildInfoError::NoVersion));
        let not_text = module(&[("version", b"\xff")]);
        assert_eq!(BuildInfo::read(&not_text), Err(BuildInfoError::Encoding("version".to_owned())));
        let whole = module(&[("version", b"0.1.0")]);
        for wasm in [&b"#!/bin/sh\n"[..], b"", &whole[..whole.len() - 1]] {
            assert!(matches!(BuildInfo::read(wasm), Err(BuildInfoError::NotAModule(_))), "{wasm:?}");
        }
    }
}
