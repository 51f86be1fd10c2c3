//! The chains that this user has: specifications and secrets, kept beside what their nodes keep.
//!
//! A chain is at home in a directory: the one that holds a data directory for each port, or a data directory with a place of
//! its own. There `chain.toml` is its specification, and `chain.secret` the secret of a closed one. Each data directory below
//! has a copy of both, so that a backup of it alone says which chain it is and lets its node in; what is at home counts.

mod explained;
mod secret;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bard_chain::spec::{ChainSpec, MAX_FILE_LEN};
use bard_protocol::ChainSecret;

pub use self::{
    explained::explained,
    secret::{SECRET_FILE, load_secret, make_secret, read_secret, save_secret},
};
use crate::whole_file::{self, Readers};

/// The name of a saved specification.
pub const SPEC_FILE: &str = "chain.toml";
/// Directories that are looked into: nobody follows more chains.
const MAX_CHAINS: usize = 1_024;

/// Why a chain cannot be found, read or kept: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChainError(pub String);

/// A chain and where it is at home.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its directory.
    pub home: PathBuf,
    /// Its specification.
    pub spec: ChainSpec,
}

impl Saved {
    /// How it is called where its name alone is not enough: `NAME-<16 hex digits of its id>`.
    pub fn full_name(&self) -> String {
        full_name(&self.spec)
    }
}

/// `NAME-<16 hex digits of its id>`, the name of a chain's directory.
pub fn full_name(spec: &ChainSpec) -> String {
    format!("{}-{}", spec.name, spec.chain_id().short())
}

/// Reads a specification file.
///
/// # Errors
/// Names the file, and the field that is wrong.
pub fn read_spec(path: &Path) -> Result<ChainSpec, ChainError> {
    let trouble = |what: String| ChainError(format!("{}: {what}", path.display()));
    let length = fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| trouble(error.to_string()))?;
    if length > MAX_FILE_LEN as u64 {
        return Err(trouble(format!("{length} bytes are too many for a specification")));
    }
    let text = fs::read_to_string(path).map_err(|error| trouble(format!("cannot be read: {error}")))?;
    ChainSpec::from_toml(&text).map_err(|error| trouble(error.to_string()))
}

/// The chain that is at home in a directory, if there is one.
///
/// # Errors
/// Where its specification cannot be read.
pub fn at_home(home: &Path) -> Result<Option<Saved>, ChainError> {
    let path = home.join(SPEC_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(Saved { home: home.to_owned(), spec: read_spec(&path)? }))
}

/// Keeps a specification in a directory, unless it is there already.
///
/// # Errors
/// Where another chain is at home there, or it cannot be written.
pub fn save_spec(home: &Path, spec: &ChainSpec) -> Result<(), ChainError> {
    match at_home(home)? {
        Some(saved) if saved.spec == *spec => return Ok(()),
        Some(saved) => {
            return Err(ChainError(format!(
                "{} is the home of another chain, {}: choose another data directory",
                home.display(),
                saved.full_name()
            )));
        }
        None => {}
    }
    let path = home.join(SPEC_FILE);
    whole_file::make_dir(home)
        .and_then(|()| whole_file::write(&path, explained(spec).as_bytes(), Readers::Any))
        .map_err(|error| ChainError(format!("cannot write {}: {error}", path.display())))
}

/// Where the chain of a data directory is at home: one above, where that is the home of this chain, else in itself.
pub fn home_of(dir: &Path, spec: &ChainSpec) -> PathBuf {
    let above = dir.file_name().and(dir.parent());
    let is_home = |above: &&Path| matches!(at_home(above), Ok(Some(saved)) if saved.spec == *spec);
    above.filter(is_home).unwrap_or(dir).to_owned()
}

/// Keeps a chain, and its secret, at home and in one of its data directories. A secret that is at home stays; that of the data
/// directory is a copy, and replaced where it is another.
///
/// # Errors
/// Where another chain is in either place, a secret at home cannot be read, or something cannot be written.
pub fn keep(home: &Path, dir: &Path, spec: &ChainSpec, secret: Option<&ChainSecret>) -> Result<(), ChainError> {
    save_spec(home, spec)?;
    save_spec(dir, spec)?;
    let Some(secret) = secret else { return Ok(()) };
    if load_secret(&[home])?.is_none() {
        save_secret(home, secret)?;
    }
    let copied = load_secret(&[dir]).is_ok_and(|copy| copy.as_ref() == Some(secret));
    if copied || home == dir { Ok(()) } else { save_secret(dir, secret) }
}

/// The saved chain of this name, or of this full name: that of `data_dir` if it fits, else one below `user_dir`.
///
/// # Errors
/// Where several have the name.
pub fn by_name(name: &str, user_dir: Option<&Path>, data_dir: Option<&Path>) -> Result<Option<Saved>, ChainError> {
    let fits = |saved: &Saved| saved.spec.name == name || saved.full_name() == name;
    if let Some(own) = data_dir.map(at_home).transpose()?.flatten().filter(fits) {
        return Ok(Some(own));
    }
    let mut found: Vec<Saved> = user_dir.map(all).unwrap_or_default().into_iter().filter(fits).collect();
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(Saved::full_name).collect();
        return Err(ChainError(format!("several chains are called {name}: name one of {}", names.join(", "))));
    }
    Ok(found.pop())
}

/// The chains at home below a directory; what cannot be read is passed over.
pub fn all(user_dir: &Path) -> Vec<Saved> {
    let Ok(entries) = fs::read_dir(user_dir) else { return Vec::new() };
    let homes = entries.flatten().map(|entry| entry.path()).take(MAX_CHAINS);
    homes.filter_map(|home| at_home(&home).ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use bard_chain::{presets, units::Timestamp};

    use super::*;

    fn named(name: &str, time: u64) -> ChainSpec {
        ChainSpec { name: name.to_owned(), genesis_time: Timestamp::new(time), ..presets::dev() }
    }

    #[test]
    fn a_chain_is_found_by_its_name_and_an_ambiguous_name_is_said() {
        let user = tempfile::tempdir().expect("a directory");
        let (one, two, other) = (named("kiln", 1), named("kiln", 2), named("lathe", 1));
        for spec in [&one, &other] {
            save_spec(&user.path().join(full_name(spec)), spec).expect("saved");
        }
        let find = |name: &str| by_name(name, Some(user.path()), None).map(|found| found.map(|saved| saved.spec));
        assert_eq!(find("kiln"), Ok(Some(one.clone())));
        assert_eq!(find("unknown"), Ok(None));
        save_spec(&user.path().join(full_name(&two)), &two).expect("saved");
        let problem = find("kiln").expect_err("two of them").to_string();
        assert!(problem.contains(&full_name(&one)) && problem.contains(&full_name(&two)), "{problem}");
        assert_eq!(find(&full_name(&two)), Ok(Some(two)));
        assert_eq!(find("lathe"), Ok(Some(other)));
    }

    #[test]
    fn a_data_directory_has_a_copy_of_what_is_at_home() {
        let home = tempfile::tempdir().expect("a directory");
        let (home, dir) = (home.path(), home.path().join("5000"));
        let spec = named("kiln", 1);
        assert_eq!(home_of(&dir, &spec), dir, "nothing is at home above");
        let secrets = [1, 2].map(|byte| ChainSecret::new([byte; 16]));
        keep(home, &dir, &spec, Some(&secrets[0])).expect("kept");
        assert_eq!((home_of(&dir, &spec), home_of(&dir, &named("kiln", 2))), (home.to_owned(), dir.clone()));
        assert_eq!(at_home(&dir).expect("readable").expect("there").spec, spec);
        let kept = || [home, &dir].map(|place| load_secret(&[place]).expect("readable"));
        assert_eq!(kept(), [Some(secrets[0].clone()), Some(secrets[0].clone())]);
        save_secret(home, &secrets[1]).expect("replaced by hand");
        keep(home, &dir, &spec, Some(&secrets[1])).expect("kept");
        assert_eq!(kept(), [Some(secrets[1].clone()), Some(secrets[1].clone())], "the copy follows");
        keep(home, &dir, &spec, Some(&secrets[0])).expect("kept");
        assert_eq!(kept()[0], Some(secrets[1].clone()), "what is at home stays");
        keep(&dir, &dir, &spec, None).expect("an open chain, or a secret that is elsewhere");
        assert_eq!(home_of(Path::new("."), &spec), Path::new("."));
    }

    #[test]
    fn a_home_is_that_of_one_chain() {
        let home = tempfile::tempdir().expect("a directory");
        let (one, two) = (named("kiln", 1), named("kiln", 2));
        save_spec(home.path(), &one).expect("saved");
        save_spec(home.path(), &one).expect("there already");
        let problem = save_spec(home.path(), &two).expect_err("another one").to_string();
        assert!(problem.contains(&full_name(&one)), "{problem}");
        let here = by_name("kiln", None, Some(home.path())).expect("readable").expect("there");
        assert_eq!(here.spec, one);
        fs::write(home.path().join(SPEC_FILE), "name = 1").expect("written");
        assert!(at_home(home.path()).expect_err("damaged").to_string().contains(SPEC_FILE));
    }
}
