//! Mistakes, typed or sent: each is answered with one clear line and nothing worse.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod chain;
mod console;
mod http;
mod metrics;
mod options;
mod receipts;
mod remote;
mod tracker;
mod tx;
mod wallet;
mod wallet_files;
