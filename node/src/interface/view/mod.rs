//! Replies as people and programs see them.

pub mod event;
pub mod json;
pub mod replaced;
pub mod text;
