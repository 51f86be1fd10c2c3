//! The file of `--config`: TOML, with the long names of a command's options as keys.

use std::path::{Path, PathBuf};

use clap::Command;

use super::ConfigError;

/// How alike a known option and a mistyped key must be for the one to be suggested, from 0 to 1.
const ALIKE: f64 = 0.8;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    path: PathBuf,
    /// Options by their ids, each with its values as they would be typed.
    values: Vec<(String, Vec<String>)>,
}

impl FileOptions {
    /// Reads a file with options of `command`, which people call by `name`.
    ///
    /// # Errors
    /// Names the file and what is wrong in it; for an unknown key the option that may be meant.
    pub fn read(command: &Command, name: &str, path: &Path) -> Result<Self, ConfigError> {
        let trouble = |what: String| ConfigError(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| trouble(format!("cannot be read: {error}")))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| trouble(error.message().to_owned()))?;
        let mut values = Vec::new();
        for (key, value) in table {
            let id = key.replace('-', "_");
            let known = command.get_arguments().any(|argument| argument.get_id() == id.as_str());
            if !known || id == "config" {
                let hint = near(command, &key).map_or_else(String::new, |near| format!("; is {near} meant?"));
                return Err(trouble(format!("{key} is not an option of bard {name}{hint}")));
            }
            let values_of = values_of(&value).ok_or_else(|| {
                trouble(format!("{key}: expected a text, a number, true or false, or a list of texts"))
            })?;
            values.push((id, values_of));
        }
        Ok(Self { path: path.to_owned(), values })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it says something of an option, by the option's id.
    pub fn has(&self, id: &str) -> bool {
        self.values.iter().any(|(known, _)| known == id)
    }

    /// The command line with what the file says as defaults of the command at this path.
    pub fn as_defaults(&self, whole: Command, path: &[&'static str]) -> Command {
        match path.split_first() {
            Some((first, rest)) => whole.mut_subcommand(*first, |command| self.as_defaults(command, rest)),
            None => {
                self.values.iter().cloned().fold(whole, |command, (id, values)| {
                    command.mut_arg(id, |argument| argument.default_values(values))
                })
            }
        }
    }
}

/// The option that is most like a key, if one is.
fn near(command: &Command, key: &str) -> Option<String> {
    let typed = key.replace('_', "-");
    let names = command.get_arguments().filter_map(|argument| argument.get_long()).filter(|name| *name != "config");
    let alike = names.map(|name| (strsim::jaro_winkler(name, &typed), name)).filter(|(alike, _)| *alike >= ALIKE);
    alike.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name.to_owned())
}

fn values_of(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(all) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn command() -> Command {
        let options =
            ["port", "bootstrap", "no-mdns", "config"].map(|name| Arg::new(name.replace('-', "_")).long(name));
        Command::new("x").args(options)
    }

    #[test]
    fn a_mistyped_key_leads_to_the_near_option() {
        for (key, meant) in [("prot", "port"), ("bootstraps", "bootstrap"), ("no_mdn", "no-mdns"), ("PORT", "")] {
            assert_eq!(near(&command(), key).unwrap_or_default(), meant, "{key}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("bard.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            FileOptions::read(&command(), "node", &file)
        };
        let said = read("prot = 1").expect_err("unknown").0;
        assert!(said.ends_with("prot is not an option of bard node; is port meant?"), "{said}");
        let said = read("colour = 1").expect_err("unknown").0;
        assert!(said.ends_with("colour is not an option of bard node"), "{said}");
        assert!(read("config = 'x'").is_err(), "one file does not lead to another");
        let good = read("port = 1\nno-mdns = true").expect("good");
        assert!(good.has("no_mdns") && !good.has("bootstrap"));
    }
}
