//! Real nodes as processes: started with their own directories and free ports, driven by console and HTTP, always ended.
//!
//! ```no_run
//! use bard_tests::process::Node;
//!
//! let one = Node::start();
//! let two = Node::builder().bootstrap(one.address()).start();
//! two.wait_for_peers(1);
//! assert!(one.ask("mine 3").iter().all(|line| line.starts_with("mined block")));
//! one.wait_for_same_tip(&two);
//! ```
//!
//! Nothing here sleeps and hopes: [`wait_until`] and [`wait_for`] look again and again until a deadline.

mod binary;
mod builder;
mod command;
mod events;
mod http;
mod node;
mod output;
mod tracker;

use std::time::{Duration, Instant};

pub use binary::bard;
pub use builder::{Builder, Ended, Stdin, run};
pub use command::{Run, Running};
pub use events::{Event, Events};
pub use http::{Answer, Http};
pub use node::{Node, NodeFile};
pub use output::Output;
pub use tracker::{TrackerBuilder, TrackerProcess};

/// How long a node may take to start, to stop, or to answer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
///
/// # Panics
/// Where it does not within `deadline`.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, deadline, || condition().then_some(()));
}

/// Waits for a value.
///
/// # Panics
/// Where there is none within `deadline`.
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(began.elapsed() < deadline, "waited {:.1} s in vain: {what}", deadline.as_secs_f64());
        std::thread::sleep(LOOK);
    }
}

/// Holds a condition for so long, looking again and again.
///
/// # Panics
/// As soon as it does not hold.
pub fn holds_for(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < time {
        assert!(condition(), "after {:.1} s it no longer holds: {what}", began.elapsed().as_secs_f64());
        std::thread::sleep(LOOK);
    }
}
