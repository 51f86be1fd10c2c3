//! The laboratory of a class: what makes forks on purpose, so that they can be watched.
//!
//! ```text
//! network -> Inbound -> router          relay, catch_up, rival -> Link -> Sender -> network
//!              \----------- Lab: cut off, slow, a rival -----------/
//! ```
//!
//! - *apart*: nothing of the chain is sent to peers or taken from them. The connections stay, so that nobody has to find
//!   anybody again; whoever asks is told that the node is busy.
//! - *slow*: blocks and transactions on their way in or out are held back for a while.
//! - *rival*: a second miner ([`rival`]) on a branch of its own.
//!
//! All of it is off when a node starts, and nothing of it is kept on disk.

mod inbound;
mod link;
pub mod rival;

use std::{sync::Arc, time::Duration};

use bard_chain::{address::Address, spec::ChainSpec, target::Target};
use tokio::sync::watch;

pub use self::{
    inbound::Inbound,
    link::{Link, Sender, link},
};

/// The longest that blocks and transactions are held back. A verdict on gossip counts for some seconds only.
pub const MAX_DELAY: Duration = Duration::from_secs(5);
/// The name of the key that the rival mines for.
pub const RIVAL: &str = "rival";
/// What tells a chain for teaching: the most hashes that its first blocks take, those of `bard chain new --preset class`. One
/// laptop finds such a block in less than a second, so that nobody keeps anything of value there.
const TEACHING_HASHES: u64 = 1 << 22;
/// And the longest time intended between two blocks: forks happen while somebody watches.
const TEACHING_INTERVAL: Duration = Duration::from_secs(30);

/// Whether a chain is for teaching, by the numbers of its specification: its first blocks are cheap, and come within seconds.
pub fn is_for_teaching(spec: &ChainSpec) -> bool {
    // As a specification writes it: in compact form, which is a little harder.
    let hardest = Target::of_hashes(TEACHING_HASHES).compact().expand();
    let is_cheap = spec.initial_target.expand().zip(hardest).is_some_and(|(target, hardest)| target >= hardest);
    is_cheap && u128::from(spec.target_interval_ms) <= TEACHING_INTERVAL.as_millis()
}

/// What is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether this node is cut off.
    pub apart: bool,
    /// For how long blocks and transactions are held back; at most [`MAX_DELAY`].
    pub delay: Duration,
    /// For whom a rival mines.
    pub rival: Option<Address>,
}

/// The switches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lab {
    teaching: bool,
    settings: Arc<watch::Sender<Settings>>,
}

impl Lab {
    /// With everything off, for the node of a chain.
    pub fn new(spec: &ChainSpec) -> Self {
        Self { teaching: is_for_teaching(spec), settings: Arc::new(watch::channel(Settings::default()).0) }
    }

    /// Whether this chain is for teaching; on others everything stays off.
    pub const fn is_open(&self) -> bool {
        self.teaching
    }

    /// What is switched on.
    pub fn settings(&self) -> Settings {
        *self.settings.borrow()
    }

    /// What is switched on, to wait for its changes.
    pub fn watch(&self) -> watch::Receiver<Settings> {
        self.settings.subscribe()
    }

    /// Switches some of it, all in one go, and tells what is on then. On a chain that is not for teaching nothing changes.
    pub fn switch(&self, change: impl FnOnce(&mut Settings)) -> Settings {
        if self.teaching {
            self.settings.send_modify(|settings| {
                change(settings);
                settings.delay = settings.delay.min(MAX_DELAY);
            });
        }
        self.settings()
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;

    use super::*;

    fn spec(hashes: u64, interval_ms: u64) -> ChainSpec {
        let initial_target = Target::of_hashes(hashes).compact();
        ChainSpec { initial_target, target_interval_ms: interval_ms, ..presets::dev() }
    }

    #[test]
    fn teaching_is_what_the_numbers_say() {
        assert!(is_for_teaching(&presets::dev()));
        assert!(is_for_teaching(&spec(1 << 22, 10_000)), "the preset class");
        assert!(!is_for_teaching(&spec(1 << 26, 60_000)), "the preset consortium");
        assert!(!is_for_teaching(&spec(1 << 26, 10_000)), "blocks that cost something");
        assert!(!is_for_teaching(&spec(1 << 16, 60_000)), "blocks that come rarely");
    }

    #[test]
    fn elsewhere_nothing_can_be_switched_on() {
        let all = |settings: &mut Settings| *settings = Settings { apart: true, delay: MAX_DELAY * 9, rival: None };
        let lab = Lab::new(&spec(1 << 26, 60_000));
        assert_eq!((lab.is_open(), lab.switch(all)), (false, Settings::default()));
        let lab = Lab::new(&presets::dev());
        assert_eq!(lab.switch(all), Settings { apart: true, delay: MAX_DELAY, rival: None });
    }
}
