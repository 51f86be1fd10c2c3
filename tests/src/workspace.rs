//! The sources of the workspace, for tests that read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace").to_owned()
}

/// A source file, by its path inside the workspace with `/` between folders.
pub struct SourceFile {
    /// Such as `chain/src/block.rs`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Every Rust file below a folder of the workspace, sorted by path; none where the folder does not exist.
///
/// # Panics
/// Where a file cannot be read.
pub fn rust_files(folder: &str) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    collect(&root.join(folder), &mut found);
    found.sort();
    let relative = |path: &Path| {
        let inside = path.strip_prefix(&root).expect("below the workspace");
        inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let read = |path: PathBuf| SourceFile {
        path: relative(&path),
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    };
    found.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of the variants of `pub enum <name>` in a source text, in their order.
pub fn enum_variants(text: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let body = text.lines().skip_while(|line| *line != head).skip(1).take_while(|line| *line != "}");
    let variant = |line: &str| {
        let rest =
            line.strip_prefix("    ").filter(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest.get(..end).map(str::to_owned)
    };
    body.filter_map(variant).collect()
}
