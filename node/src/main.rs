//! The binary `bard`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bard_node::commands::run(std::env::args_os())
}
