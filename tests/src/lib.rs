//! Helpers to test BlockBard from outside, and suites by kind of test.
//!
//! | suite | question |
//! |---|---|
//! | `rules` | does every rule of the chain refuse what it must, for its own reason, and let the rest pass? |
//! | `vectors` | are the bytes and hashes still those that were frozen, and those that others published? |
//! | `properties` | does what must hold for every input hold for thousands of random ones? |
//! | `architecture` | does every file import only what its room may? |
//! | `hostile` | does a node stay itself, and keep its honest peers, whatever a peer sends? |
//! | `processes` | do real nodes find each other, agree, catch up, survive crashes, and stop when told? |
//! | `meeting` | does every way to meet, alone, form a network that outlives what brought it together? |
//! | `http` | is every call of the API answered as described, whoever asks, in whatever pieces, and however many at once? |
//! | `terminal` | is the console on a terminal what a person expects of one, and leaves it as it was? |
//! | `commands` | is every mistake, typed or sent, answered with one clear line and nothing worse? |
//! | `replaced` | do the documented sessions of the programs that BlockBard replaces work as typed, and their mistakes do no harm? |
//! | `deploy` | does what is under `deploy/` and in docs/runbook.md work with a real node, and old data with today's software? (tools of its own for half of it) |
//! | `network` | do nodes on different machines find each other and heal? (Linux, its own step) |
//!
//! | helper | offers |
//! |---|---|
//! | [`chain_builder`] | a whole node's chain in memory, and blocks mined, tampered with and sealed again |
//! | [`actions`] | the public keys of the `dev` chain and short names for actions |
//! | [`asert_reference`] | the difficulty rule a second time, written from its specification |
//! | [`documents`] | the commands that the documents show, taken from their text |
//! | [`frozen`] | what is frozen of the consensus format, with the inputs it follows from |
//! | [`hostile_peer`] | a peer that sends any bytes on any stream and answers as a script says |
//! | [`netns`] | network namespaces: machines, and a network between them, that are not there |
//! | [`plain_relay`] | a relay of libp2p's own making, with its narrow limits |
//! | [`process`] | real nodes as processes, driven by console and HTTP |
//! | [`vector_files`] | the frozen vectors as files |
//! | [`workspace`] | the sources of the workspace, for tests that read them |

pub mod actions;
pub mod asert_reference;
pub mod chain_builder;
pub mod documents;
pub mod frozen;
pub mod hostile_peer;
pub mod netns;
pub mod plain_relay;
pub mod process;
pub mod vector_files;
pub mod workspace;
