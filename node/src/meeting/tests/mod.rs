//! The room against servers that are good, old, slow, lying, or no servers at all.
