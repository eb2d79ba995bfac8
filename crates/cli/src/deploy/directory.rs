//! The directory that Envoy watches.
//!
//! ```text
//! jwe_gate.json                     what Envoy reads; replaced by moving another file over it
//! kept/jwe_gate-<version>.json      the documents that were taken, to go back to
//! kept/jwe_gate-<sha256>.wasm       the modules that they name
//! kept/lock                         held while something is changed here
//! ```
//! Modules are not moved into the watched directory itself: Envoy would read its document anew for each.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::document::Document;
use super::module::Module;
use crate::failure::Failure;

/// The directory, which nobody else changes meanwhile.
pub(super) struct Directory {
    path: PathBuf,
    // Held, never read.
    _lock: File,
}

/// A document that can be gone back to.
pub(super) struct Kept {
    pub(super) version: String,
    path: PathBuf,
    since: SystemTime,
}

impl Directory {
    /// Opens it, and makes it where there is none.
    pub(super) fn lock(path: &Path) -> Result<Self, Failure> {
        let kept = path.join(KEPT);
        fs::create_dir_all(&kept).map_err(Failure::io(&kept))?;
        let file = kept.join("lock");
        let lock = File::create(&file).map_err(Failure::io(&file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Failure::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Failure::Io(file, error)),
        }
        // Envoy need not run where this does.
        let path = fs::canonicalize(path).map_err(Failure::io(path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Copies a module under the name of its content, and returns where it is.
    pub(super) fn keep_module(&self, module: &Module) -> Result<PathBuf, Failure> {
        let file = self.kept_path().join(format!("{MODULE}{}.wasm", module.sha256));
        // What has this name is this module, unless somebody has been at it.
        if fs::read(&file).ok().as_ref() != Some(&module.bytes) {
            self.write(&file, &module.bytes)?;
        }
        Ok(file)
    }

    /// Keeps a document, as the newest.
    pub(super) fn keep_document(&self, filter: &str, document: &Document) -> Result<(), Failure> {
        self.write(&self.kept_path().join(format!("{filter}-{}.json", document.version)), document.text.as_bytes())
    }

    /// What is in place.
    pub(super) fn current(&self, filter: &str) -> Result<Option<Document>, Failure> {
        let path = self.current_path(filter);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Document::read(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::Io(path, error)),
        }
    }

    /// Puts a document where Envoy reads it, in one step.
    pub(super) fn put(&self, filter: &str, document: &Document) -> Result<(), Failure> {
        self.write(&self.current_path(filter), document.text.as_bytes())
    }

    /// The documents of this filter that can be gone back to, the newest first.
    pub(super) fn kept(&self, filter: &str) -> Result<Vec<Kept>, Failure> {
        let mut kept: Vec<Kept> = self.files()?.into_iter().filter_map(|path| Kept::of(filter, path)).collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.since));
        Ok(kept)
    }

    /// Forgets all but the `keep` newest documents of a filter, and the modules that no document of any filter names.
    pub(super) fn forget(&self, filter: &str, keep: usize) -> Result<(), Failure> {
        for old in self.kept(filter)?.into_iter().skip(keep) {
            fs::remove_file(&old.path).map_err(Failure::io(&old.path))?;
        }
        let mut named = Vec::new();
        for directory in [self.path.as_path(), &self.kept_path()] {
            for file in files(directory)?.iter().filter(|file| has_extension(file, "json")) {
                let text = fs::read_to_string(file).map_err(Failure::io(file))?;
                named.extend(Document::read(text).module());
            }
        }
        let is_module = |file: &Path| name(file).starts_with(MODULE) && has_extension(file, "wasm");
        for file in self.files()?.into_iter().filter(|file| is_module(file)) {
            if !named.iter().any(|module| name(Path::new(module)) == name(&file)) {
                fs::remove_file(&file).map_err(Failure::io(&file))?;
            }
        }
        Ok(())
    }

    /// Where Envoy reads.
    pub(super) fn current_path(&self, filter: &str) -> PathBuf {
        self.path.join(format!("{filter}.json"))
    }

    /// Where modules and documents are kept.
    pub(super) fn kept_path(&self) -> PathBuf {
        self.path.join(KEPT)
    }

    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        files(&self.kept_path())
    }

    /// Writes a file beside its place and moves it there, so that nobody ever reads half of it.
    fn write(&self, path: &Path, content: &[u8]) -> Result<(), Failure> {
        let new = self.kept_path().join("new");
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, path)
        });
        written.map_err(Failure::io(path))
    }
}

impl Kept {
    /// The document itself.
    pub(super) fn read(&self) -> Result<Document, Failure> {
        fs::read_to_string(&self.path).map(Document::read).map_err(Failure::io(&self.path))
    }

    fn of(filter: &str, path: PathBuf) -> Option<Self> {
        let (name, version) = path.file_name()?.to_str()?.strip_suffix(".json")?.rsplit_once('-')?;
        if name != filter {
            return None;
        }
        let version = version.to_owned();
        let since = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
        Some(Self { version, path, since })
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(directory).map_err(Failure::io(directory))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

const KEPT: &str = "kept";
const MODULE: &str = "jwe_gate-";
