//! The binary `bard`.

use std::process::ExitCode;

/// The API makes and drops many small things on several threads at once, where the allocators of most systems queue up.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bard_node::commands::run(std::env::args_os())
}
