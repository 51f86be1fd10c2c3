//! Mistakes, typed or sent: each is answered with one clear line and nothing worse.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod book;
mod chain;
mod config;
mod console;
mod devnet;
mod doctor;
mod documented;
mod http;
mod metrics;
mod options;
mod receipts;
mod remote;
mod top;
mod tracker;
mod tx;
mod typed;
mod wallet;
mod wallet_files;
