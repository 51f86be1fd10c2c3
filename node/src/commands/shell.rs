//! `bard completions` and `bard man`: made from the very description by which the command line is read.

use std::{io::Write, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

/// Completions of the command line for a shell.
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// Of which shell
    shell: Shell,
}

/// The manual.
#[derive(Args, Clone, Debug)]
pub struct Man {
    /// Write a page for each command into this directory, instead of the first page on standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Completions {
    /// Prints them.
    pub fn run(&self, mut command: Command) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "bard", &mut script);
        write(&script);
    }
}

impl Man {
    /// Prints the page of `bard`, or writes all pages.
    ///
    /// # Errors
    /// One line, where the directory cannot be written.
    pub fn run(&self, command: Command) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(|error| error.to_string())?;
            write(&page);
            return Ok(());
        };
        let written = clap_mangen::generate_to(command, directory);
        written.map_err(|error| format!("{}: the pages cannot be written: {error}", directory.display()))
    }
}

/// A reader that went away is no reason to fail.
fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
