//! BlockBard's node: the only crate with files, a clock, HTTP and a terminal.
//!
//! ```text
//! network -> router -> relay ----> keeper (engine, pool, store: one thread) -> watch(tip) -> miner, relay, events
//!                  \-> serve (reader)    ^            ^
//!            catch_up -------------------+            |
//! stdin, commands -> client -> HTTP -> application/command -> service
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | [`assemble`] | puts the parts together, runs and stops them; [`supervise`] watches the tasks |
//! | [`commands`], [`config`] | the command line, and what a node is told |
//! | [`chains`] | the specifications and secrets of the chains that this user has |
//! | [`invitation`] | the link by which others join a chain |
//! | [`keeper`] | sole writer of engine, pool and store |
//! | [`store`] | the log of blocks, which is the truth, and what is derived from it |
//! | [`relay`], [`catch_up`], [`serve`] | gossip, following peers that are ahead, answering peers that ask |
//! | [`pool`] | the pool from one run to the next |
//! | [`miner`] | the search for the next block |
//! | [`lab`] | what makes forks on purpose, on chains for teaching |
//! | [`wallet`] | keys by name |
//! | [`application`] | all that may be asked, as data, and the one place that does it |
//! | [`interface`] | HTTP, the client of it, the console |
//! | [`meeting`] | finding other nodes by files and HTTP: peers file, trackers, APIs, the book of peers |
//! | [`tracker`] | a meeting point instead of a node |
//! | [`listener`] | HTTP connections with their limits, for the API and the tracker |
//! | [`wake`] | notices that the machine has slept |
//! | [`registry`], [`service_manager`] | `node.json`; what systemd is told |
//! | [`metrics`] | what is counted |
//! | [`clock`], [`logging`], [`ports`], [`near`] | the wall clock, log lines, taking a port, mistyped words |
//! | [`whole_file`] | files that are there whole or not at all |
//! | `fair` | a queue in which every peer has its own line |

pub mod application;
pub mod assemble;
pub mod catch_up;
pub mod chains;
pub mod clock;
pub mod commands;
pub mod config;
mod fair;
pub mod interface;
pub mod invitation;
pub mod keeper;
pub mod lab;
pub mod listener;
pub mod logging;
pub mod meeting;
pub mod metrics;
pub mod miner;
pub mod near;
pub mod pool;
pub mod ports;
pub mod registry;
pub mod relay;
pub mod serve;
pub mod service_manager;
pub mod store;
pub mod supervise;
pub mod tracker;
pub mod wake;
pub mod wallet;
pub mod whole_file;
