//! Replies as people and programs see them.

pub mod json;
pub mod replaced;
pub mod text;
