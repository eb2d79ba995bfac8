//! `jwe-gate version`: of the program itself, and of a module.

use crate::common::{SECRET, TempFile, run};

#[test]
fn without_a_file_it_is_the_version_of_the_program() {
    let run = run(&["version"], SECRET, b"");
    assert_eq!((run.status, run.out), (0, format!("version: {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn of_a_module_it_is_what_the_build_wrote_into_it_and_its_checksum() {
    let file = TempFile::new("\0asm\x01\0\0\0\0\x0d\x07version0.1.0\0\x0f\x08revisionc0ffee");
    let run = run(&["version", file.path()], SECRET, b"");
    assert_eq!(run.status, 0, "{run:?}");
    // The checksum is that of `sha256sum`.
    let checksum = "8ff9b4ce96a143b5dc3f31f49da08062afa048d8bb6db51ef9110345bd3c410a";
    assert_eq!(run.out, format!("version: 0.1.0\ncommit: c0ffee\ntools: unknown\nsha256: {checksum}\n"));
}

#[test]
fn what_is_not_a_module_of_ours_is_status_one() {
    for (content, cause) in [("\0asm\x01\0\0\0", "does not name its version"), ("{}", "not a WebAssembly module")] {
        let file = TempFile::new(content);
        let run = run(&["version", file.path()], SECRET, b"");
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.out.contains(cause), "{}", run.out);
    }
}

#[test]
fn a_file_that_is_not_there_is_status_two() {
    let run = run(&["version", "/does/not/exist"], SECRET, b"");
    assert_eq!((run.status, run.out.as_str()), (2, ""));
}
