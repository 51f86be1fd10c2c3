//! The keeper: sole writer of the engine, the pool and the store.
//!
//! It is one thread with a bounded inbox. Whoever wants the chain changed sends it a request through a [`Handle`] and gets
//! a reply once the change is on disk. Signatures are checked before, on a pool of threads; blocks come in the order in
//! which they were submitted, however their checks end. Readers never wait for it: they have a
//! [`crate::store::StoreReader`], a shared pool, and watch the tip.

mod handle;
mod signatures;
mod task;
#[cfg(test)]
pub(crate) mod tests;

pub use handle::{Accepted, BlockReply, Closed, CutOff, Handle, Placing, Space, Submitted, Verdicts};
pub(crate) use signatures::{Signatures, all_hold_in_parallel};
// What is stored is read by the keeper's handle, in these terms.
pub use crate::store::{
    Counts, Handover, KnownBlock, KnownTree, NotAPlace, NotHeld, Page, PastError, Place, Placed, Room, Verdict,
};
pub use task::{ChainEvent, Keeper, KeeperError, start};
pub(crate) use task::{GROUP, GROUP_LEN, GROUP_TIME};
