//! Hostile peers against real nodes.
//!
//! Every test has a node under attack and an honest node beside it. Whatever the attacker does, the node names it in its log,
//! penalises it where the fault is provable and only there, answers its API, keeps tip, pool and memory, and keeps exchanging
//! blocks with the honest node.

mod arena;
mod batches;
mod blocks;
mod branches;
mod catch_up;
mod cheap_headers;
mod churn;
mod closed;
mod compact;
mod control;
mod crowds;
mod descriptors;
mod frames;
mod gossip;
mod handshake;
mod identity;
mod introductions;
mod light;
mod load;
mod pools;
mod protocols;
mod punching;
mod quic;
mod records;
mod relay_server;
mod transport;
