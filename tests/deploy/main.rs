//! What one installs and forgets: the files under `deploy/` with the programs that read them, what a service manager hears, backups,
//! and data of earlier versions.
//!
//! Tests that need a program which a clone need not have are ignored; `.ci/run deploy` installs those programs and runs them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod backup;
mod monitoring;
mod proxy;
mod samples;
mod service;
mod units;
mod variables;
