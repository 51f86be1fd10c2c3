//! The journal itself, and those who follow it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{Change, Event, Kind, Kinds};

/// Events kept of each kind; the oldest of its kind makes place for one more. So a flood of transactions does not displace
/// the blocks.
pub const KEPT: usize = 1_024;
/// Events that may wait for a follower...
pub const BACKLOG: usize = 256;
/// ... for longer than this: then it is too slow and is dropped. A burst that is being read does not count.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Those who may follow at the same time.
pub const MAX_FOLLOWERS: usize = 1_024;

/// The kept events of one kind.
#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// The number of the last one that is not kept any more; 0 while all are.
    forgotten: u64,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    rings: [Ring; Kind::ALL.len()],
}

impl State {
    fn add(&mut self, change: Change, at: Instant) {
        self.last = self.last.saturating_add(1);
        let kind = change.kind();
        let event = Event::new(self.last, change, at);
        for (_, ring) in Kind::ALL.into_iter().zip(&mut self.rings).filter(|(one, _)| *one == kind) {
            if ring.events.len() >= KEPT
                && let Some(oldest) = ring.events.pop_front()
            {
                ring.forgotten = oldest.number;
            }
            ring.events.push_back(Arc::clone(&event));
        }
    }

    fn of(&self, kinds: Kinds) -> impl Iterator<Item = &Ring> {
        Kind::ALL.into_iter().zip(&self.rings).filter(move |(kind, _)| kinds.contain(*kind)).map(|(_, ring)| ring)
    }
}

/// The journal: cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Which run of the node this is: the time of its start in milliseconds since 1970, so that a later run has a greater one.
    run: u64,
    state: Arc<Mutex<State>>,
    head: watch::Receiver<u64>,
    places: Arc<Semaphore>,
}

/// The one who writes.
#[derive(Debug)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    head: watch::Sender<u64>,
}

/// As many follow as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Why a follower cannot go on: it was too slow, or more happened at once than is kept. It may begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With what happens from now on.
    Now,
    /// With the first event of this run that is kept.
    Beginning,
    /// After this event of this run.
    After {
        /// The run.
        run: u64,
        /// The number.
        number: u64,
    },
    /// After an event whose id cannot be understood.
    Unknown,
}

impl Place {
    /// The place after the event with this id; `start` is before the first that is kept.
    pub fn after(id: &str) -> Self {
        if id == "start" {
            return Self::Beginning;
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let parts = id.split_once('-').and_then(|(run, number)| Some((digits(run)?, digits(number)?)));
        parts.map_or(Self::Unknown, |(run, number)| Self::After { run, number })
    }
}

/// Why a follower begins now instead of where it asked to: state must be fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The event is of another run: the node was started anew.
    Restarted,
    /// What came after it is no longer kept.
    Expired,
    /// There was no such event.
    Unknown,
}

/// An empty journal and its writer.
pub(super) fn new(run: u64) -> (Journal, Writer) {
    let state = Arc::new(Mutex::new(State::default()));
    let (sender, head) = watch::channel(0);
    let journal = Journal { run, state: Arc::clone(&state), head, places: Arc::new(Semaphore::new(MAX_FOLLOWERS)) };
    (journal, Writer { state, head: sender })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Writes an event down.
    pub(super) fn push(&self, change: Change) {
        self.write([change], Instant::now());
    }

    /// Writes down what happened at the same time, in order.
    pub(super) fn push_all(&self, changes: impl IntoIterator<Item = Change>) {
        self.write(changes, Instant::now());
    }

    fn write(&self, changes: impl IntoIterator<Item = Change>, at: Instant) {
        let mut state = lock(&self.state);
        for change in changes {
            state.add(change, at);
        }
        let number = state.last;
        drop(state);
        self.head.send_replace(number);
    }

    /// Notes that events were missed: nobody can go on as if none had been.
    pub(super) fn gap(&self) {
        let mut state = lock(&self.state);
        let number = state.last.saturating_add(1);
        state.last = number;
        for ring in &mut state.rings {
            *ring = Ring { events: VecDeque::new(), forgotten: number };
        }
        drop(state);
        self.head.send_replace(number);
    }
}

impl Journal {
    /// Follows events of some kinds. The second is why it does not begin where it was asked to, if it does not.
    ///
    /// # Errors
    /// [`Full`], if [`MAX_FOLLOWERS`] follow already.
    pub fn follow(&self, kinds: Kinds, from: Place) -> Result<(Follower, Option<Reset>), Full> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full)?;
        let (follower, reset) = self.read(kinds, from);
        Ok((Follower { _place: Some(place), ..follower }, reset))
    }

    /// Follows events for the node's own console, which takes no place from others.
    pub fn read(&self, kinds: Kinds, from: Place) -> (Follower, Option<Reset>) {
        let state = lock(&self.state);
        let forgotten = state.of(kinds).map(|ring| ring.forgotten).max().unwrap_or(0);
        let (at, reset) = match from {
            Place::Now => (state.last, None),
            Place::Beginning => (forgotten, None),
            Place::Unknown => (state.last, Some(Reset::Unknown)),
            Place::After { run, .. } if run != self.run => (state.last, Some(Reset::Restarted)),
            Place::After { number, .. } if number > state.last => (state.last, Some(Reset::Unknown)),
            Place::After { number, .. } if number < forgotten => (state.last, Some(Reset::Expired)),
            Place::After { number, .. } => (number, None),
        };
        let joined = state.last;
        drop(state);
        (Follower { journal: self.clone(), kinds, at, joined, _place: None }, reset)
    }

    /// How many follow.
    pub fn followers(&self) -> usize {
        MAX_FOLLOWERS.saturating_sub(self.places.available_permits())
    }

    /// How many events there were since the node started.
    pub fn count(&self) -> u64 {
        lock(&self.state).last
    }

    /// The id of the event with this number.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }
}

/// One who follows: a place in the journal. Dropped, it makes place for another.
#[derive(Debug)]
pub struct Follower {
    journal: Journal,
    kinds: Kinds,
    /// The number of the last event that was read, or passed over because it is of no wanted kind.
    at: u64,
    /// The number of the last event when it began: what is older is not held against it.
    joined: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Follower {
    /// The id of the last event before those to come: whoever goes on after it misses nothing.
    pub fn id(&self) -> String {
        self.journal.id(self.at)
    }

    /// The next event, if it is there already.
    ///
    /// # Errors
    /// [`Missed`].
    pub fn ready(&mut self) -> Result<Option<Arc<Event>>, Missed> {
        let state = lock(&self.journal.state);
        let mut waiting = 0;
        let mut first: Option<&Arc<Event>> = None;
        for ring in state.of(self.kinds) {
            if ring.forgotten > self.at {
                return Err(Missed);
            }
            let read = ring.events.partition_point(|event| event.number <= self.at);
            waiting += ring.events.len().saturating_sub(read);
            if let Some(event) = ring.events.get(read)
                && first.is_none_or(|first| event.number < first.number)
            {
                first = Some(event);
            }
        }
        let Some(event) = first else {
            self.at = state.last;
            return Ok(None);
        };
        if waiting > BACKLOG && event.number > self.joined && event.at.elapsed() > PATIENCE {
            return Err(Missed);
        }
        self.at = event.number;
        Ok(Some(Arc::clone(event)))
    }

    /// The next event; `None` when the node stops.
    ///
    /// # Errors
    /// [`Missed`].
    ///
    /// # Cancel safety
    /// No event is lost where the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Arc<Event>>, Missed> {
        let mut head = self.journal.head.clone();
        loop {
            head.borrow_and_update();
            if let Some(event) = self.ready()? {
                return Ok(Some(event));
            }
            if head.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::units::Height;

    use super::*;

    fn lost() -> Change {
        Change::Lost(bard_protocol::PeerId::random())
    }

    fn reorg(fork: u64) -> Change {
        Change::Reorg { disconnected: 1, connected: 2, fork: Height::new(fork), old_tip: Default::default() }
    }

    fn numbers(follower: &mut Follower) -> Vec<u64> {
        std::iter::from_fn(|| follower.ready().expect("nothing missed")).map(|event| event.number).collect()
    }

    #[tokio::test]
    async fn everybody_reads_everything_in_order() {
        let (journal, writer) = new(7);
        let (mut early, reset) = journal.follow(Kinds::ALL, Place::Now).expect("a place");
        assert_eq!((reset, early.id().as_str()), (None, "7-0"));
        for n in 0..4 {
            writer.push(if n % 2 == 0 { lost() } else { reorg(n) });
        }
        assert_eq!(numbers(&mut early), [1, 2, 3, 4]);
        let (mut late, _) = journal.follow(Kinds::ALL, Place::Now).expect("a place");
        assert_eq!(late.ready().map(|event| event.is_none()), Ok(true));
        writer.push(reorg(9));
        assert_eq!(late.next().await.expect("nothing missed").expect("an event").number, 5);
        assert_eq!(numbers(&mut early), [5]);
        drop(writer);
        assert!(late.next().await.expect("nothing missed").is_none(), "the node stops");
    }

    #[test]
    fn only_what_is_wanted() {
        let (journal, writer) = new(7);
        let (mut peers, _) = journal.follow(Kinds::of(&[Kind::Peer]), Place::Now).expect("a place");
        [reorg(1), lost(), reorg(2), lost(), reorg(3)].into_iter().for_each(|change| writer.push(change));
        assert_eq!(numbers(&mut peers), [2, 4]);
        assert_eq!(peers.id(), "7-5", "what is passed over need not be asked for again");
        assert_eq!(Kinds::parse("peer"), Ok(Kinds::of(&[Kind::Peer])));
        assert_eq!(Kinds::parse("block, sync"), Ok(Kinds::of(&[Kind::Sync, Kind::Block])));
        for bad in ["", "blocks", "block,", "Block"] {
            assert!(Kinds::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn going_on_where_one_left_off() {
        let (journal, writer) = new(7);
        (0..5).for_each(|n| writer.push(reorg(n)));
        let from = |id| journal.follow(Kinds::ALL, Place::after(id)).expect("a place");
        let (mut resumed, reset) = from("7-2");
        assert_eq!((numbers(&mut resumed), reset), (vec![3, 4, 5], None));
        assert_eq!(from("7-5").1, None);
        let (mut anew, reset) = from("6-2");
        assert_eq!((numbers(&mut anew), reset), (vec![], Some(Reset::Restarted)));
        for unknown in ["7-6", "7", "", "7-", "-2", "7-x", "7-+2", "7-99999999999999999999", "seven-2"] {
            assert_eq!(from(unknown).1, Some(Reset::Unknown), "{unknown}");
        }
    }

    #[test]
    fn what_is_no_longer_kept_cannot_be_asked_for() {
        let (journal, writer) = new(7);
        writer.push(reorg(1));
        (0..KEPT + 10).for_each(|_| writer.push(lost()));
        let from = |kinds, number| journal.follow(kinds, Place::After { run: 7, number }).expect("a place");
        assert_eq!(from(Kinds::ALL, 10).1, Some(Reset::Expired));
        assert_eq!(from(Kinds::ALL, 11).1, None);
        let (mut reorgs, reset) = from(Kinds::of(&[Kind::Reorg]), 0);
        assert_eq!((numbers(&mut reorgs), reset), (vec![1], None), "a flood of one kind displaces no other");
        let (mut beginning, _) = journal.follow(Kinds::ALL, Place::Beginning).expect("a place");
        assert_eq!(numbers(&mut beginning).len(), KEPT);
    }

    #[test]
    fn who_does_not_read_is_dropped_and_others_are_not() {
        let (journal, writer) = new(7);
        let (mut slow, _) = journal.follow(Kinds::ALL, Place::Now).expect("a place");
        let (mut quick, _) = journal.follow(Kinds::ALL, Place::Now).expect("a place");
        (0..=BACKLOG).for_each(|_| writer.push(lost()));
        assert!(slow.ready().is_ok_and(|event| event.is_some()), "a burst is not held against anybody");
        assert_eq!((numbers(&mut slow).len(), numbers(&mut quick).len()), (BACKLOG, BACKLOG + 1));
        let before = Instant::now().checked_sub(PATIENCE * 2).expect("the machine runs for seconds");
        (0..=BACKLOG).for_each(|_| writer.write([lost()], before));
        assert_eq!(slow.ready().expect_err("too slow"), Missed);
        let (mut again, reset) = journal.follow(Kinds::ALL, Place::after(&slow.id())).expect("a place");
        assert_eq!((numbers(&mut again).len(), reset), (BACKLOG + 1, None), "who comes back has lost nothing");
        (0..=KEPT).for_each(|_| writer.push(lost()));
        assert_eq!(quick.ready().expect_err("more than is kept"), Missed);
    }

    #[test]
    fn a_gap_is_told_to_all() {
        let (journal, writer) = new(7);
        writer.push(lost());
        let (mut follower, _) = journal.follow(Kinds::of(&[Kind::Reorg]), Place::Now).expect("a place");
        writer.gap();
        assert_eq!(follower.ready().expect_err("a gap"), Missed);
        let (mut again, reset) = journal.follow(Kinds::ALL, Place::after(&follower.id())).expect("a place");
        assert_eq!((reset, numbers(&mut again)), (Some(Reset::Expired), vec![]));
        assert_eq!(journal.follow(Kinds::ALL, Place::after(&again.id())).expect("a place").1, None);
    }

    #[test]
    fn places_are_bounded() {
        let (journal, _writer) = new(7);
        let mut all: Vec<_> =
            (0..MAX_FOLLOWERS).map(|_| journal.follow(Kinds::ALL, Place::Now).expect("a place")).collect();
        assert_eq!(journal.follow(Kinds::ALL, Place::Now).expect_err("full"), Full);
        assert_eq!(journal.followers(), MAX_FOLLOWERS);
        all.pop();
        assert!(journal.follow(Kinds::ALL, Place::Now).is_ok());
    }
}
