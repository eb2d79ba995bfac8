//! The command line: two paths, the callbacks to keep, whether to strip names, and what to write into the module.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::Plan;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The module to read.
    pub input: PathBuf,
    /// Where the result goes; may be the same file.
    pub output: PathBuf,
    /// What to keep.
    pub plan: Plan,
}

/// Why the command line makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// `--keep` was last, without names behind it.
    KeepWithoutNames,
    /// Not exactly an input and an output.
    Paths(usize),
    /// What follows `--section` is not `NAME=TEXT`.
    Section(String),
    /// An option that does not exist.
    UnknownOption(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepWithoutNames => f.write_str("--keep needs names")?,
            Self::Paths(count) => write!(f, "two paths are needed, not {count}")?,
            Self::Section(text) => write!(f, "--section needs NAME=TEXT, not {text:?}")?,
            Self::UnknownOption(option) => write!(f, "unknown option {option}")?,
        }
        f.write_str("\nusage: jwe-gate-trim IN.wasm OUT.wasm --keep NAME[,NAME...] [--strip] [--section NAME=TEXT...]")
    }
}

impl std::error::Error for UsageError {}

impl Arguments {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    ///
    /// When an option is unknown or incomplete, or there are not two paths.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut paths = Vec::new();
        let mut plan = Plan::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--keep" => plan.keep.extend(names(&arguments.next().ok_or(UsageError::KeepWithoutNames)?)),
                "--section" => plan.sections.extend([section(&arguments.next().unwrap_or_default())?]),
                "--strip" => plan.strip = true,
                option if option.starts_with('-') => return Err(UsageError::UnknownOption(argument)),
                _ => paths.push(PathBuf::from(argument)),
            }
        }
        let [input, output] = <[PathBuf; 2]>::try_from(paths).map_err(|paths| UsageError::Paths(paths.len()))?;
        Ok(Self { input, output, plan })
    }
}

fn section(text: &str) -> Result<(String, String), UsageError> {
    let (name, text) = text.split_once('=').ok_or_else(|| UsageError::Section(text.to_owned()))?;
    Ok((name.to_owned(), text.to_owned()))
}

fn names(list: &str) -> BTreeSet<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, UsageError> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn names_to_keep_gather_over_options_and_commas() {
        let arguments = parse("--keep b,a in.wasm --keep c out.wasm --strip --section version=1=2").unwrap();
        assert_eq!(arguments.input, PathBuf::from("in.wasm"));
        assert_eq!(arguments.output, PathBuf::from("out.wasm"));
        let sections = [("version".to_owned(), "1=2".to_owned())].into();
        assert_eq!(arguments.plan, Plan { keep: names("a,b,c"), strip: true, sections });
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        assert_eq!(parse("in.wasm"), Err(UsageError::Paths(1)));
        assert_eq!(parse("a b c"), Err(UsageError::Paths(3)));
        assert_eq!(parse("a b --keep"), Err(UsageError::KeepWithoutNames));
        assert_eq!(parse("a b --section version"), Err(UsageError::Section("version".into())));
        assert_eq!(parse("a b --section"), Err(UsageError::Section(String::new())));
        assert_eq!(parse("a b --kepe x"), Err(UsageError::UnknownOption("--kepe".into())));
    }
}
