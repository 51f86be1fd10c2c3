//! How people and programs reach the service: the console and HTTP. They see the application and [`view`], nothing else.

pub mod console;
pub mod http;
pub mod news;
pub mod view;
