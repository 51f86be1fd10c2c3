//! The frozen vectors as files: JSON, each with where it comes from and its cases.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One file of vectors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorFile {
    /// Where the cases come from: what made them, or who published them.
    pub source: String,
    /// The cases.
    pub cases: Vec<serde_json::Value>,
}

/// The folder that holds them.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/data")
}

/// The names of all files in the folder, sorted.
///
/// # Panics
/// Where the folder cannot be read.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder of vectors");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("readable").file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// Reads the cases of a file.
///
/// # Panics
/// Where it is not there, is not of this shape, names no source or has no cases.
pub fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let file: VectorFile = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!file.source.is_empty(), "{name} names no source");
    assert!(!file.cases.is_empty(), "{name} has no cases");
    let case =
        |(index, value)| serde_json::from_value(value).unwrap_or_else(|error| panic!("{name}, {index}: {error}"));
    file.cases.into_iter().enumerate().map(case).collect()
}

/// Writes a new file; one that is there already is never touched.
///
/// # Errors
/// Where the file exists or cannot be written.
///
/// # Panics
/// For cases that are not JSON.
pub fn freeze<T: Serialize>(name: &str, source: &str, cases: &[T]) -> io::Result<()> {
    let cases = cases.iter().map(|case| serde_json::to_value(case).expect("JSON")).collect();
    let text = serde_json::to_string_pretty(&VectorFile { source: source.to_owned(), cases }).expect("JSON");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(folder().join(name))?;
    writeln!(file, "{text}")
}
