//! All that a person or a program may ask of a node, as data ([`command`]), and the one place that does it ([`service`]).

pub mod command;
mod connect;
pub mod reply;
pub mod service;
mod verify;

pub use command::{BlockChoice, Command, ItemFilter};
pub use reply::Reply;
pub use service::{Failure, Service};
