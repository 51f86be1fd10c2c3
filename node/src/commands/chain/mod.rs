//! `bard chain`: make the specification of a chain; look at the blocks of one, check, dump and load them.

mod archive;
mod ask;
mod export;
mod import;
mod info;
mod new;
mod place;
mod snapshot;
mod start;
mod unfinished;
mod verify;

use clap::Subcommand;

/// What to do with a chain.
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Make a chain of your own: its specification, a key with its first money, and the secret of a closed one
    New(Box<new::NewOptions>),
    /// Which chain a data directory or a running node has, and how far it is
    Info(info::InfoOptions),
    /// Check every block of a data directory, from the first on
    Verify(verify::VerifyOptions),
    /// Write the blocks of a data directory, or of a running node, to a portable archive
    Export(export::ExportOptions),
    /// Read the blocks of an archive into a data directory; may be stopped and begun again
    Import(import::ImportOptions),
    /// Write the accounts and items at the tip, with all headers, to a file that anybody can check
    Snapshot(snapshot::SnapshotOptions),
    /// Check such a file: its headers, their work, and that its state is the one that the last header commits to
    CheckSnapshot(snapshot::CheckOptions),
    /// Make a data directory from such a file: its node knows that state, and has the blocks after it
    StartFromSnapshot(start::StartOptions),
}

/// Does it.
///
/// # Errors
/// One line.
pub fn run(command: &ChainCommand) -> Result<(), String> {
    match command {
        ChainCommand::New(options) => new::run(options),
        ChainCommand::Info(options) => info::run(options),
        ChainCommand::Verify(options) => verify::run(options),
        ChainCommand::Export(options) => export::run(options),
        ChainCommand::Import(options) => import::run(options),
        ChainCommand::Snapshot(options) => snapshot::run(options),
        ChainCommand::CheckSnapshot(options) => snapshot::run_check(options),
        ChainCommand::StartFromSnapshot(options) => start::run(options),
    }
}
