//! The store under ordinary use, crashes and bad disks.

mod chain;
mod damage;
mod failures;
mod reading;
mod recovery;
