//! The command line: one file a subcommand.

pub mod act;
mod api;
pub mod bench;
pub mod chain;
pub mod config;
pub mod console;
pub mod devnet;
pub mod doctor;
mod examples;
pub mod invite;
pub mod join;
pub mod node;
mod output;
mod progress;
pub mod query;
pub mod receipt;
pub mod remote;
pub mod shell;
pub mod top;
pub mod tracker;
pub mod tx;
pub mod wallet;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{ConfigError, FileOptions, NodeOptions},
    interface::ask::Question,
    logging,
};

/// A decentralised proof-of-work ledger for groups without a server.
#[derive(Debug, Parser)]
#[command(name = "bard", version, propagate_version = true, after_help = "With no command, bard runs a node.")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Run a node: P2P, HTTP API, console on stdin
    #[command(after_help = examples::NODE)]
    Node(Box<NodeOptions>),
    /// Run a meeting point only: HTTP tracker, libp2p rendezvous server, Kademlia server, relay
    #[command(after_help = examples::TRACKER)]
    Tracker(tracker::TrackerOptions),
    /// Attach the console to a running node
    #[command(after_help = examples::CONSOLE)]
    Console(console::ConsoleOptions),
    /// How a running node is doing: chain, pool, peers, miner
    #[command(after_help = examples::STATUS)]
    Status(query::Plain),
    /// The peers of a running node
    Peers(query::Plain),
    /// Connect a running node to another
    Connect(act::Connect),
    /// Let a running node ask every peer now whether it knows more
    Sync(query::Plain),
    /// Let a running node check its whole chain from the genesis block on
    Verify(act::Verify),
    /// Blocks of the active chain
    #[command(after_help = examples::BLOCKS)]
    Blocks(query::Blocks),
    /// One block with its transactions
    Block(query::Block),
    /// Transactions that wait to be mined
    Pool(query::Plain),
    /// What an account has
    Balance(query::Balance),
    /// Pay
    #[command(after_help = examples::SEND)]
    Send(act::Send),
    /// Put a text on record
    #[command(after_help = examples::RECORD)]
    Record(act::Record),
    /// Take, give back, hand on and look up items
    #[command(subcommand, after_help = examples::ITEM)]
    Item(act::Item),
    /// Mine blocks now
    #[command(after_help = examples::MINE)]
    Mine(act::Mine),
    /// Make a chain of your own; inspect, verify, dump or load the blocks of one
    #[command(subcommand, after_help = examples::CHAIN)]
    Chain(chain::ChainCommand),
    /// Put the digest of a file on record: proof, from then on, that the file existed
    Notarise(receipt::Notarise),
    /// Write the receipt of a transaction to a file, which shows without any node that it is in the chain
    Receipt(receipt::GetReceipt),
    /// Check a receipt; needs no node and no network
    VerifyReceipt(receipt::verify::VerifyReceipt),
    /// Print a link, and a QR code, by which others join a chain
    #[command(after_help = examples::INVITE)]
    Invite(invite::InviteOptions),
    /// Run a node on the chain that a link leads to
    #[command(after_help = examples::JOIN)]
    Join(Box<join::JoinOptions>),
    /// Keys by name: make, show, import, export, protect
    Wallet(wallet::WalletOptions),
    /// Transactions that are made, signed and submitted on different machines
    Tx(tx::TxOptions),
    /// Print the options that a node would run with, and where each comes from
    #[command(after_help = examples::CONFIG)]
    Config(Box<config::ConfigOptions>),
    /// Find out why no peer is found: interfaces, multicast, ports, clock, chain, bootstrap addresses
    #[command(after_help = examples::DOCTOR)]
    Doctor(Box<doctor::DoctorOptions>),
    /// Start connected nodes on this machine, for trying things out
    #[command(after_help = examples::DEVNET)]
    Devnet(devnet::DevnetOptions),
    /// Watch a running node on a live dashboard
    #[command(after_help = examples::TOP)]
    Top(top::TopOptions),
    /// Measure this machine: hashing, signatures, block import, sync, HTTP API, each beside its ceiling
    Bench(bench::BenchOptions),
    /// Print completions of the command line for a shell
    Completions(shell::Completions),
    /// Print the manual
    Man(shell::Man),
}

impl Commands {
    /// The file of options that a command was given, with the command's path.
    fn file(&self) -> Option<(&'static [&'static str], &Path)> {
        match self {
            Self::Node(options) => options.config.as_deref().map(|file| (&["node"][..], file)),
            Self::Tracker(options) => options.config.as_deref().map(|file| (&["tracker"][..], file)),
            Self::Join(options) => options.node.config.as_deref().map(|file| (&["join"][..], file)),
            Self::Doctor(options) => options.node.config.as_deref().map(|file| (&["doctor"][..], file)),
            Self::Config(options) => options.file(),
            _ => None,
        }
    }
}

/// A command line that was read.
struct Parsed {
    command: Commands,
    /// Where each value comes from.
    matches: ArgMatches,
    /// What the file of options says.
    file: Option<FileOptions>,
}

/// Reads a command line, and once more with what its `--config` file says as defaults.
///
/// # Errors
/// [`ConfigError`] names the file and what is wrong in it; clap's own error is returned as it is.
fn parse(arguments: &[OsString]) -> Result<Result<Parsed, clap::Error>, ConfigError> {
    let read = |command: clap::Command, file| {
        let matches = command.try_get_matches_from(arguments)?;
        Ok(Parsed { command: Cli::from_arg_matches(&matches)?.command, matches, file })
    };
    let parsed: Result<Parsed, clap::Error> = read(Cli::command(), None);
    let Some((path, file)) = parsed.as_ref().ok().and_then(|parsed| parsed.command.file()) else { return Ok(parsed) };
    let whole = Cli::command();
    let meant = path.iter().try_fold(&whole, |command, name| command.find_subcommand(name));
    // Those that look at a node's options are told the same file as the node.
    let name = path.last().copied().filter(|name| !matches!(*name, "config" | "doctor")).unwrap_or("node");
    let file = FileOptions::read(meant.unwrap_or(&whole), name, file)?;
    Ok(read(file.as_defaults(whole.clone(), path), Some(file)))
}

impl Commands {
    fn run(self, matches: &ArgMatches, file: Option<&FileOptions>) -> Result<(), String> {
        match self {
            Self::Node(options) => node::run(*options),
            Self::Tracker(options) => tracker::run(options),
            Self::Console(options) => console::run(&options),
            Self::Status(plain) => plain.run(Question::Status),
            Self::Peers(plain) => plain.run(Question::Peers),
            Self::Connect(connect) => connect.run(),
            Self::Sync(plain) => plain.run(Question::Sync),
            Self::Verify(verify) => verify.run(),
            Self::Blocks(blocks) => blocks.run(),
            Self::Block(block) => block.run(),
            Self::Pool(plain) => plain.run(Question::Pool),
            Self::Balance(balance) => balance.run(),
            Self::Send(send) => send.run(),
            Self::Record(record) => record.run(),
            Self::Item(item) => item.run(),
            Self::Mine(mine) => mine.run(),
            Self::Wallet(options) => wallet::run(options),
            Self::Tx(options) => tx::run(options),
            Self::Config(options) => options.run(&Cli::command(), matches, file),
            Self::Doctor(options) => doctor::run(&options),
            Self::Devnet(options) => devnet::run(&options),
            Self::Top(options) => top::run(&options),
            Self::Bench(options) => bench::run(&options),
            Self::Completions(completions) => {
                completions.run(Cli::command());
                Ok(())
            }
            Self::Man(man) => man.run(Cli::command()),
            Self::Chain(command) => chain::run(&command),
            Self::Notarise(notarise) => notarise.run(),
            Self::Receipt(receipt) => receipt.run(),
            Self::VerifyReceipt(verify) => verify.run(),
            Self::Invite(options) => invite::run(&options),
            Self::Join(options) => join::run(*options),
        }
    }
}

/// Exit code of a request that failed.
const FAILED: u8 = 1;
/// Exit code of a command line that cannot be understood.
const USAGE: u8 = 2;

/// Runs the command line and returns the exit code: 0 done, 1 failed, 2 usage.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = with_default_command(arguments.collect());
    let result = match parse(&arguments) {
        Ok(Ok(Parsed { command, matches, file })) => command.run(&matches, file.as_ref()),
        Ok(Err(error)) => {
            // Help and version are no errors; clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
        Err(error) => return fail(&error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

#[allow(clippy::print_stderr, reason = "the one line that a command which failed has to say")]
fn fail(reason: &str) -> ExitCode {
    eprintln!("{}error: {reason}", logging::prefix(tracing::Level::ERROR));
    ExitCode::from(FAILED)
}

/// Prints what a command has to say; a reader that went away is no reason to fail.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// With no command it is `bard node`, options included.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy().into_owned());
    let top_level = ["-h", "--help", "-V", "--version"];
    let is_option = first.as_deref().is_none_or(|first| first.starts_with('-') && !top_level.contains(&first));
    if is_option {
        arguments.insert(arguments.len().min(1), "node".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(all: &[&str]) -> Vec<OsString> {
        with_default_command(all.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_node() {
        assert_eq!(arguments(&["bard"]), ["bard", "node"]);
        assert_eq!(arguments(&["bard", "--port", "1"]), ["bard", "node", "--port", "1"]);
        assert_eq!(arguments(&["bard", "--help"]), ["bard", "--help"]);
        assert_eq!(arguments(&["bard", "bench"]), ["bard", "bench"]);
    }

    #[test]
    fn every_command_s_file_is_for_a_command_that_is_there() {
        for line in [&["node"][..], &["tracker"], &["join", "x"], &["doctor"], &["config"], &["config", "tracker"]] {
            let typed = [&["bard"], line, &["--config", "x"]].concat();
            let parsed = Cli::try_parse_from(&typed).expect("a command line");
            let (path, _) = parsed.command.file().expect("a file");
            let whole = Cli::command();
            let command = path.iter().try_fold(&whole, |command, name| command.find_subcommand(name)).expect("there");
            assert!(command.get_arguments().any(|argument| argument.get_id() == "config"), "{line:?}");
        }
    }

    #[test]
    fn a_file_is_below_flags_and_above_defaults() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("bard.toml");
        let text = "port = 7000\nno-mdns = true\nbootstrap = [\"/ip4/10.0.0.1/tcp/6000\"]\nlog = \"warn\"\n";
        std::fs::write(&file, text).expect("written");
        let typed = arguments(&["bard", "--log", "debug", "--config", file.to_str().expect("text")]);
        let parsed = parse(&typed).expect("readable").expect("valid");
        let Commands::Node(options) = parsed.command else { panic!("another command") };
        assert_eq!((options.port, options.no_mdns, options.log.as_str()), (7000, true, "debug"));
        assert_eq!(options.bootstrap.len(), 1);
        std::fs::write(&file, "colour = 1").expect("written");
        let unknown = parse(&typed).map(|_| ()).expect_err("unknown key");
        assert!(unknown.to_string().contains("colour"), "{unknown}");
    }
}
