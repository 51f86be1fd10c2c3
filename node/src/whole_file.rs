//! Files that are there whole or not at all, whatever crash or loss of power comes in between.
//!
//! The content is written beside the file, under its name with `.new`, and brought to the disk; then it is renamed, which swaps
//! all of it at once, and the new name is brought to the disk too. So when a call has returned, no loss of power brings the
//! old content back, and none leaves an empty file with the new name.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// Whoever may read any new file of this user.
    Any,
}

/// Writes a file with this content.
///
/// # Errors
/// Those of the system. The file is then as it was, unless bringing its new name to the disk is what failed.
pub fn write(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    write_by(path, readers, |file| file.write_all(content)).map(drop)
}

/// The same, where `write` gives the content piece by piece. Returns the file, open for writing at its end.
///
/// # Errors
/// Those of `write`, and as with [`write()`].
pub fn write_by(path: &Path, readers: Readers, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
    let beside = beside(path);
    // What a crash left there may be readable to more people: a mode is given to a new file alone.
    remove(&beside)?;
    let written = create(&beside, readers).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        Ok(file)
    });
    if written.is_err() {
        // What failed is what matters.
        let _ = fs::remove_file(&beside);
    }
    let file = written?;
    sync_dir(path)?;
    Ok(file)
}

/// Where a file is written before it has its name.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Makes the entry of a file in its directory outlive a loss of power. Elsewhere than on Unix the file system does so by itself.
///
/// # Errors
/// Those of the system.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(here)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Makes a directory that only its owner may look into, unless it is there.
///
/// # Errors
/// Those of the system.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A file that was not there before.
fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = readers;
    options.open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_swapped_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file.json");
        for content in [&b"one, and longer"[..], b"two", b""] {
            write(&path, content, Readers::Any).expect("written");
            assert_eq!(fs::read(&path).expect("there"), content);
        }
        let mut file = write_by(&path, Readers::Any, |file| file.write_all(b"three")).expect("written");
        file.write_all(b" and more").expect("open at its end");
        assert_eq!(fs::read(&path).expect("there"), b"three and more");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "nothing is left beside");
    }

    #[test]
    fn what_fails_leaves_the_old_content_and_nothing_beside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        write(&path, b"old", Readers::Any).expect("written");
        let failed = write_by(&path, Readers::Any, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("no more room"))
        });
        assert_eq!(failed.expect_err("failed").to_string(), "no more room");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).expect("made");
        write(&taken, b"new", Readers::Any).expect_err("a directory has the name");
        let names = fs::read_dir(dir.path()).expect("there").flatten().map(|entry| entry.file_name());
        assert_eq!(names.filter(|name| name.to_string_lossy().ends_with(".new")).count(), 0);
        write(&dir.path().join("nowhere/file"), b"", Readers::Any).expect_err("no directory");
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_for_its_owner_whatever_was_left_there() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        for leftover in [&path, &beside(&path)] {
            fs::write(leftover, "half").expect("written");
            fs::set_permissions(leftover, fs::Permissions::from_mode(0o666)).expect("changed");
        }
        write(&path, b"secret", Readers::Owner).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "mine").expect("written");
        std::os::unix::fs::symlink(&elsewhere, beside(&path)).expect("linked");
        write(&path, b"again", Readers::Owner).expect("written");
        assert_eq!(fs::read(&elsewhere).expect("there"), b"mine", "a link that was left there is not followed");
        let made = dir.path().join("a/b");
        make_dir(&made).expect("made");
        make_dir(&made).expect("there already");
        assert_eq!(fs::metadata(&made).expect("there").permissions().mode() & 0o777, 0o700);
    }
}
