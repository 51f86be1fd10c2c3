//! `bard config`: the options that a node or tracker would run with, and where each comes from.

use std::{any::TypeId, path::Path};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Subcommand, parser::ValueSource};
use serde_json::{Map, Value, json};

use super::{output::print, tracker::TrackerOptions};
use crate::{
    assemble,
    config::{self, FileOptions, NodeOptions, PASSPHRASE},
};

/// Options whose values are nobody's business.
const SECRETS: &[&str] = &["api_token"];
/// What is shown of a secret.
const HIDDEN: &str = "(set, not shown)";

/// Print the options that a node would run with, and where each comes from.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigOptions {
    #[command(subcommand)]
    of: Option<Of>,
    /// What a node would be told.
    #[command(flatten)]
    node: NodeOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Of {
    /// The options of bard tracker
    Tracker(TrackerConfig),
}

#[derive(Args, Clone, Debug)]
struct TrackerConfig {
    #[command(flatten)]
    tracker: TrackerOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One option as it stands.
#[derive(Debug, PartialEq)]
struct Entry {
    option: String,
    value: Value,
    from: String,
}

impl ConfigOptions {
    /// The file of options that was given, with the path of the command that it is for.
    pub(super) fn file(&self) -> Option<(&'static [&'static str], &Path)> {
        match &self.of {
            None => self.node.config.as_deref().map(|file| (&["config"][..], file)),
            Some(Of::Tracker(of)) => of.tracker.config.as_deref().map(|file| (&["config", "tracker"][..], file)),
        }
    }

    /// Prints them. `whole` is the description of the command line, `matches` what came of reading it.
    ///
    /// # Errors
    /// One line.
    pub(super) fn run(&self, whole: &Command, matches: &ArgMatches, file: Option<&FileOptions>) -> Result<(), String> {
        let path: &[&str] = if self.of.is_some() { &["config", "tracker"] } else { &["config"] };
        let both = path.iter().try_fold((whole, matches), |(command, matches), name| {
            Some((command.find_subcommand(name)?, matches.subcommand_matches(name)?))
        });
        let (command, matches) = both.ok_or("the command line does not describe itself")?;
        let mut entries = entries(command, matches, file);
        let json = match &self.of {
            Some(Of::Tracker(of)) => of.json,
            None => {
                entries.iter_mut().filter(|entry| entry.value.is_null()).for_each(|entry| {
                    entry.value = self.implied(&entry.option).unwrap_or_default();
                });
                entries.push(passphrase());
                self.json
            }
        };
        print(&if json { as_json(entries)? } else { as_table(&entries) })
    }

    /// What a node does where an option is left out.
    fn implied(&self, option: &str) -> Option<Value> {
        match option {
            "listen" => Some(assemble::default_listen().iter().map(ToString::to_string).collect()),
            "mine-threads" => Some(self.node.threads().into()),
            "data-dir" => self.data_dir(),
            "log-dir" => Some(Path::new(self.data_dir()?.as_str()?).join("logs").display().to_string().into()),
            "chain" => Some(self.node.spec().ok()?.name.clone().into()),
            _ => None,
        }
    }

    /// The directory of this chain and port; none where the port is not known before.
    fn data_dir(&self) -> Option<Value> {
        let spec = self.node.spec().ok()?;
        self.node.dir(&spec).map(|dir| dir.display().to_string().into())
    }
}

/// Every option of a command, in the order of its help.
fn entries(command: &Command, matches: &ArgMatches, file: Option<&FileOptions>) -> Vec<Entry> {
    let options = command.get_arguments().filter(|option| option.get_id() != "json");
    options.filter_map(|option| entry(option, matches, file)).collect()
}

fn entry(option: &Arg, matches: &ArgMatches, file: Option<&FileOptions>) -> Option<Entry> {
    let id = option.get_id().as_str();
    let from = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => "flag".to_owned(),
        Some(ValueSource::EnvVariable) => {
            format!("environment {}", option.get_env().unwrap_or_default().to_string_lossy())
        }
        _ => match file.filter(|file| file.has(id)) {
            Some(file) => format!("file {}", file.path().display()),
            None => "default".to_owned(),
        },
    };
    Some(Entry { option: option.get_long()?.to_owned(), value: value(option, matches), from })
}

fn value(option: &Arg, matches: &ArgMatches) -> Value {
    let id = option.get_id().as_str();
    let texts = matches.get_raw(id).into_iter().flatten().map(|raw| raw.to_string_lossy().into_owned());
    let mut texts: Vec<String> = texts.collect();
    match option.get_action() {
        ArgAction::SetTrue => matches.get_flag(id).into(),
        _ if texts.is_empty() => Value::Null,
        _ if SECRETS.contains(&id) => HIDDEN.into(),
        ArgAction::Append => texts.into(),
        _ => {
            let text = texts.swap_remove(0);
            let kind = option.get_value_parser().type_id();
            let is_number =
                [TypeId::of::<u16>(), TypeId::of::<u64>(), TypeId::of::<usize>()].iter().any(|n| kind == *n);
            text.parse::<u64>().ok().filter(|_| is_number).map_or_else(|| text.into(), Value::from)
        }
    }
}

/// The passphrase of the keystore is no option, but comes from the environment all the same.
fn passphrase() -> Entry {
    let set = config::is_set(PASSPHRASE);
    let from = if set { format!("environment {PASSPHRASE}") } else { "default".to_owned() };
    Entry { option: "passphrase".to_owned(), value: if set { HIDDEN.into() } else { Value::Null }, from }
}

fn as_json(entries: Vec<Entry>) -> Result<String, String> {
    let one = |entry: Entry| (entry.option, json!({ "value": entry.value, "from": entry.from }));
    let all: Map<String, Value> = entries.into_iter().map(one).collect();
    serde_json::to_string_pretty(&all).map_err(|error| error.to_string())
}

fn as_table(entries: &[Entry]) -> String {
    let rows: Vec<_> = entries.iter().map(|entry| (entry.option.as_str(), shown(&entry.value), &entry.from)).collect();
    let option_width = rows.iter().map(|(option, ..)| option.chars().count()).max().unwrap_or_default();
    let value_width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default();
    let line = |(option, value, from): &(&str, String, &String)| {
        format!("{option:option_width$}  {value:value_width$}  {from}")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
