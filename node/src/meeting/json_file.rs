//! JSON files with a format's number in a data directory. What is in them helps and is no truth: one that cannot be read or
//! understood is set aside, so that somebody may look at it, and the node goes on without.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::whole_file::{self, Readers};

/// Damaged files kept: the newest and the first few; the one in the last place makes room.
pub(super) const MAX_DAMAGED: usize = 3;

/// A kind of file.
pub(super) struct Kind {
    /// The version of the format that this software writes, and the newest it reads.
    pub(super) format: u32,
    /// The longest such file that is read, in bytes.
    pub(super) max_len: u64,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Content with the number of its format in front.
#[derive(Serialize)]
struct Numbered<'a, T> {
    format: u32,
    #[serde(flatten)]
    content: &'a T,
}

impl Kind {
    /// What is in a file, as far as `understood`; `None` where there is no file. The error says what is wrong with it and where it was
    /// put.
    pub(super) fn open<T: DeserializeOwned, U>(
        &self,
        path: &Path,
        understood: impl FnOnce(T) -> Result<U, String>,
    ) -> Result<Option<U>, String> {
        self.read(path).and_then(|content| content.map(understood).transpose()).map_err(|problem| {
            let aside = set_aside(path).map_or_else(
                |error| format!("it cannot be set aside ({error}) and will be replaced"),
                |to| format!("it is set aside as {}", to.display()),
            );
            format!("{problem}: {aside}")
        })
    }

    /// What is in a file; `None` where there is none. The error says what is wrong with it.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, String> {
        let mut text = Vec::new();
        let max_len = self.max_len;
        match fs::File::open(path).and_then(|file| file.take(max_len.saturating_add(1)).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot be read ({error})")),
        }
        if text.len() as u64 > max_len {
            return Err(format!("is longer than {max_len} bytes"));
        }
        let damaged = |error: serde_json::Error| format!("is damaged ({error})");
        let Head { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > self.format {
            return Err(format!("has format {format}, of a newer version of this software"));
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Writes a file, durably.
    pub(super) fn write<T: Serialize>(&self, path: &Path, content: &T) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Numbered { format: self.format, content })?;
        whole_file::write(path, &text, Readers::Any)
    }
}

/// Moves a file out of the way and returns where to.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |number: usize| match number {
        0 => path.with_extension("json.damaged"),
        _ => path.with_extension(format!("json.damaged.{number}")),
    };
    let free = (0..MAX_DAMAGED).find(|number| !name(*number).exists()).unwrap_or(MAX_DAMAGED - 1);
    fs::rename(path, name(free))?;
    Ok(name(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { format: 2, max_len: 64 };

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Content {
        names: Vec<String>,
    }

    fn understood(content: Content) -> Result<Vec<String>, String> {
        if content.names.is_empty() { Err("is damaged (no names)".to_owned()) } else { Ok(content.names) }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("names.json");
        assert_eq!(KIND.open(&path, understood), Ok(None), "no file is no news");
        let content = Content { names: vec!["one".to_owned()] };
        KIND.write(&path, &content).expect("written");
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.starts_with("{\n  \"format\": 2,\n  \"names\""), "{text}");
        assert_eq!(KIND.read(&path), Ok(Some(content)));
        fs::write(&path, r#"{"format": 1, "names": ["older"], "unknown": 1}"#).expect("written");
        assert_eq!(KIND.open(&path, understood), Ok(Some(vec!["older".to_owned()])));
    }

    #[test]
    fn what_is_not_understood_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("names.json");
        let long = format!(r#"{{"format": 2, "names": ["{}"]}}"#, "x".repeat(64));
        let cases = [
            ("", "is damaged"),
            ("[]", "is damaged"),
            (r#"{"names": ["x"]}"#, "is damaged"),
            (r#"{"format": 2}"#, "is damaged"),
            (r#"{"format": 2, "names": []}"#, "no names"),
            (r#"{"format": 3, "names": 1}"#, "has format 3, of a newer version"),
            (long.as_str(), "is longer than 64 bytes"),
        ];
        for (text, part) in cases {
            fs::write(&path, text).expect("written");
            let said = KIND.open(&path, understood).expect_err(text);
            assert!(said.contains(part) && said.contains("set aside as"), "{said}");
            assert!(!path.exists());
        }
        let kept = |name: &str| fs::read_to_string(dir.path().join(name)).expect("kept");
        assert_eq!((kept("names.json.damaged"), kept("names.json.damaged.1")), (String::new(), "[]".to_owned()));
        assert_eq!(kept("names.json.damaged.2"), long, "the last place is given away");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), MAX_DAMAGED);
        fs::create_dir(&path).expect("made");
        assert!(KIND.open(&path, understood).expect_err("a directory").contains("cannot be read"));
    }
}
