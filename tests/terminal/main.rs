//! The console on a terminal: what a person types, sees and is asked.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod colours;
mod documented;
mod editing;
mod ending;
mod remembering;
mod screen;
mod secrets;
