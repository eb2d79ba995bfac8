//! Private directories that do not outlive their run.
//!
//! A directory goes when its value is dropped. What a killed run left behind is removed by the next one: each directory
//! holds a locked file, and the lock ends with the process, however it ends.
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// A directory that is removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Locked for as long as the directory is in use.
    lock: File,
}

impl Scratch {
    /// Makes an empty directory. Other users may pass through it, but not list it.
    ///
    /// # Errors
    /// When the temporary directory cannot be written to.
    pub fn new() -> Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let path = unused_directory()?;
        fs::set_permissions(&path, Permissions::from_mode(0o711))?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { path, lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A failure leaves a directory for the next run to sweep.
        let _ = fs::remove_dir_all(&self.path);
        let _ = self.lock.unlock();
    }
}

/// Where scratch directories are made. Always `/tmp` for root, as servers that refuse to run as root must reach it.
fn base() -> PathBuf {
    if rustix::process::geteuid().is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() }
}

fn unused_directory() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base().join(format!("{PREFIX}{}-{number}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            // Another container with the same process ids may share the directory.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
        }
    }
}

/// Removes what killed runs left behind; what cannot be removed is not ours.
fn sweep() {
    let Ok(entries) = fs::read_dir(base()) else { return };
    for entry in entries.flatten() {
        if is_scratch(&entry.file_name()) && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_scratch(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join(LOCK)) else { return false };
    let age = lock.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    // A young one may be about to be locked.
    age.is_some_and(|age| age > Duration::from_mins(1)) && lock.try_lock().is_ok()
}

const PREFIX: &str = "jwe-gate-parts-";
const LOCK: &str = ".in-use";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_when_it_is_dropped() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn an_old_directory_is_abandoned_only_when_nobody_holds_its_lock() {
        let scratch = Scratch::new().unwrap();
        let lock = File::open(scratch.path().join(LOCK)).unwrap();
        lock.set_modified(std::time::SystemTime::now() - Duration::from_hours(1)).unwrap();
        assert!(!is_abandoned(scratch.path()));

        let left = Scratch::new().unwrap();
        let path = left.path().to_owned();
        left.lock.unlock().unwrap();
        assert!(!is_abandoned(&path));
        left.lock.set_modified(std::time::SystemTime::now() - Duration::from_hours(1)).unwrap();
        assert!(is_abandoned(&path));
    }
}
