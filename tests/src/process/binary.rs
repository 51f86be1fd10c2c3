//! The binary under test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::workspace;

/// The binary `bard`: the one that `BARD_BIN` names, or the workspace's, built once with the profile of this test.
///
/// # Panics
/// Where it cannot be built.
pub fn bard() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("BARD_BIN") {
        Some(named) => std::path::absolute(named).expect("BARD_BIN is a path"),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--bin", "bard", "--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo tells this test about itself would make build scripts that look at it run again, and half of the
    // dependencies with them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_"].iter().any(|own| text.starts_with(own)) {
            command.env_remove(&name);
        }
    }
    let built = command.current_dir(workspace::root()).stderr(Stdio::piped()).output().expect("cargo runs");
    assert!(built.status.success(), "bard cannot be built:\n{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executables.next_back().expect("cargo names the executable")
}
