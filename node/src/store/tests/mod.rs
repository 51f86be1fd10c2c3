//! The store under ordinary use, crashes and bad disks.

#![allow(clippy::unwrap_used)]

mod chain;
mod damage;
mod failures;
mod forks;
mod history;
mod reading;
mod recovery;
