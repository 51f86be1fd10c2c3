//! All that a person or a program may ask of a node, as data ([`command`]), and the one place that does it ([`service`]); what happens
//! there ([`events`]) and how it is ([`health`]).

pub mod command;
mod connect;
pub mod events;
pub mod health;
pub mod intake;
pub mod reply;
mod sample;
pub mod service;
mod verify;

pub use command::{BlockChoice, Command, Extent, ItemFilter};
pub use reply::Reply;
pub use sample::Sample;
pub use service::{Failure, Service};
pub use verify::{Mark, verify as verify_chain};
