//! Replies as people and programs see them.

pub mod event;
pub mod event_json;
pub mod health_json;
pub mod json;
pub mod replaced;
pub mod replaced_json;
pub mod text;
