//! How people and programs reach the service. HTTP is the one door: it sees the application and [`view`], nothing else.
//! People come through it too: console and commands [`ask`] by a typed [`client`] of the API.

pub mod ask;
pub mod client;
pub mod console;
pub mod http;
pub mod news;
pub mod receipt_file;
pub mod view;
