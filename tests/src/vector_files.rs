//! The frozen vectors as files.
