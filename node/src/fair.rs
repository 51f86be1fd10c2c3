//! A queue in which every peer has its own line: whoever fills his does not keep others waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bard_protocol::PeerId;
use tokio::sync::Notify;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Of one peer; one more is given back.
    pub(crate) per_peer: usize,
    /// Of all together; one more takes the place of the last in the longest line, if that is longer than the newcomer's.
    pub(crate) all: usize,
}

struct Lines<T> {
    room: Room,
    lines: BTreeMap<PeerId, VecDeque<T>>,
    /// Whose turn it is; each peer that has a line once.
    turns: VecDeque<PeerId>,
    waiting: usize,
    senders: usize,
    receiving: bool,
}

struct Shared<T> {
    lines: Mutex<Lines<T>>,
    changed: Notify,
}

impl<T> Shared<T> {
    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where things are put in.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Where they come out, one of each peer in turn.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// A queue with this much room. What finds none is given back to whoever puts something in.
pub(crate) fn queue<T>(room: Room) -> (Sender<T>, Receiver<T>) {
    let lines = Lines { room, lines: BTreeMap::new(), turns: VecDeque::new(), waiting: 0, senders: 1, receiving: true };
    let shared = Arc::new(Shared { lines: Mutex::new(lines), changed: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Lines<T> {
    fn put(&mut self, peer: PeerId, thing: T) -> Option<T> {
        let own = self.lines.get(&peer).map_or(0, VecDeque::len);
        if !self.receiving || own >= self.room.per_peer {
            return Some(thing);
        }
        let mut displaced = None;
        if self.waiting >= self.room.all {
            let longest = self.lines.iter().max_by_key(|(_, line)| line.len()).map(|(peer, line)| (*peer, line.len()));
            match longest {
                Some((other, length)) if length > own + 1 => {
                    displaced = self.lines.get_mut(&other).and_then(VecDeque::pop_back);
                    self.waiting -= usize::from(displaced.is_some());
                }
                _ => return Some(thing),
            }
        }
        if own == 0 {
            self.turns.push_back(peer);
        }
        self.lines.entry(peer).or_default().push_back(thing);
        self.waiting += 1;
        displaced
    }

    fn take(&mut self) -> Option<T> {
        let peer = self.turns.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let thing = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        self.waiting -= usize::from(thing.is_some());
        thing
    }
}

impl<T> Sender<T> {
    /// Puts something in a peer's line. `Some` is what found no place: this, or what made room for it.
    pub(crate) fn put(&self, peer: PeerId, thing: T) -> Option<T> {
        let displaced = self.0.lines().put(peer, thing);
        self.0.changed.notify_one();
        displaced
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lines().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lines().senders -= 1;
        self.0.changed.notify_one();
    }
}

impl<T> Receiver<T> {
    /// The next, of the peer whose turn it is; `None` once nothing waits and nobody can put anything in.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            let changed = self.0.changed.notified();
            {
                let mut lines = self.0.lines();
                if let Some(thing) = lines.take() {
                    return Some(thing);
                }
                if lines.senders == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut lines = self.0.lines();
        lines.receiving = false;
        (lines.lines, lines.turns, lines.waiting) = (BTreeMap::new(), VecDeque::new(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { per_peer: 4, all: 6 };

    /// Peers, the greatest first: of lines as long as each other the greatest peer's counts as the longest.
    fn peers<const N: usize>() -> [PeerId; N] {
        let mut peers = std::array::from_fn(|_| PeerId::random());
        peers.sort_by(|one, other| other.cmp(one));
        peers
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let (sender, mut receiver) = queue(ROOM);
        let [one, other] = peers();
        for number in 0..4 {
            assert_eq!(sender.put(one, (one, number)), None);
        }
        assert_eq!(sender.put(one, (one, 4)), Some((one, 4)), "its line is full");
        assert_eq!(sender.put(other, (other, 0)), None);
        let mut order = Vec::new();
        for _ in 0..5 {
            order.extend(receiver.next().await);
        }
        assert_eq!(order, [(one, 0), (other, 0), (one, 1), (one, 2), (one, 3)]);
    }

    #[tokio::test]
    async fn a_crowd_is_not_kept_out_by_the_few_who_came_first() {
        let (sender, mut receiver) = queue(ROOM);
        let [one, other, third, fourth] = peers();
        (0..4).for_each(|number| assert_eq!(sender.put(one, (one, number)), None));
        (0..2).for_each(|number| assert_eq!(sender.put(other, (other, number)), None));
        assert_eq!(sender.put(third, (third, 0)), Some((one, 3)), "the last of the longest line makes room");
        assert_eq!(sender.put(third, (third, 1)), Some((one, 2)));
        assert_eq!(sender.put(fourth, (fourth, 0)), Some((one, 1)));
        assert_eq!(sender.put(fourth, (fourth, 1)), Some((fourth, 1)), "no line is much longer than its own");
        let mut order = Vec::new();
        for _ in 0..6 {
            order.extend(receiver.next().await);
        }
        assert_eq!(order, [(one, 0), (other, 0), (third, 0), (fourth, 0), (other, 1), (third, 1)]);
        assert!(receiver.0.lines().lines.is_empty() && receiver.0.lines().turns.is_empty());
    }

    #[tokio::test]
    async fn it_ends_with_its_senders_and_refuses_without_a_receiver() {
        let (sender, mut receiver) = queue(ROOM);
        let [one] = peers();
        let clone = sender.clone();
        assert_eq!(clone.put(one, 1), None);
        drop(sender);
        let waiting = tokio::spawn(async move { (receiver.next().await, receiver.next().await, receiver) });
        tokio::task::yield_now().await;
        drop(clone);
        let (first, end, _) = waiting.await.expect("it ends");
        assert_eq!((first, end), (Some(1), None));
        let (sender, receiver) = queue(ROOM);
        drop(receiver);
        assert_eq!(sender.put(one, 1), Some(1));
    }
}
