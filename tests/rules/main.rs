//! Every rule of the chain, through its public doors: what it refuses, for which reason, and what it lets pass.

mod beside;
mod block_reasons;
mod branches;
mod pool;
mod pool_limits;
mod pool_reasons;
mod pool_replacing;
mod reasons;
mod receipts;
mod reorganisation;
mod restore;
mod snapshots;
mod state_rules;
mod targets;
mod template;
mod transaction_reasons;
