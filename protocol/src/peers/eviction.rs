//! Which inbound connection is given up when there are too many. Whoever fills all places must not keep others out, and must not
//! drive out those that are of use either; so what an attacker cannot have all of at once protects: being named by a person, a
//! short round trip, fresh news, a long stay (after Bitcoin Core's `SelectNodeToEvict`).

use core::{cmp::Reverse, time::Duration};
use std::collections::BTreeMap;

use libp2p::PeerId;

use crate::ranges::Range;

/// How many are protected by their round trip, and how many by their news.
const PROTECTED: usize = 8;

/// An inbound peer that might be given up.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) peer: PeerId,
    /// Where it comes from; `None` on a private network.
    pub(crate) range: Option<Range>,
    /// When it came.
    pub(crate) since: Duration,
    /// The latest round trip.
    pub(crate) rtt: Option<Duration>,
    /// When news of it was last worth forwarding.
    pub(crate) useful_at: Option<Duration>,
    /// So new that it could not show yet what it is good for. It is not given up, but others are protected from it as from
    /// anybody: while a crowd of newcomers is left alone, nobody who was there first goes in its stead.
    pub(crate) on_trial: bool,
}

/// Whom to give up; `None` where everybody is protected. Those that a person named are not to be among the guests, everybody
/// else who is connected is.
pub(crate) fn choose(mut guests: Vec<Guest>) -> Option<PeerId> {
    guests.sort_by_key(|guest| (guest.rtt.is_none(), guest.rtt, guest.peer));
    let measured = guests.iter().take(PROTECTED).filter(|guest| guest.rtt.is_some()).count();
    guests.drain(..measured);
    guests.sort_by_key(|guest| (Reverse(guest.useful_at), guest.peer));
    let useful = guests.iter().take(PROTECTED).filter(|guest| guest.useful_at.is_some()).count();
    guests.drain(..useful);
    guests.sort_by_key(|guest| (guest.since, guest.peer));
    guests.drain(..guests.len() / 2);
    guests.retain(|guest| !guest.on_trial);
    let mut ranges: BTreeMap<Option<Range>, Vec<&Guest>> = BTreeMap::new();
    for guest in &guests {
        ranges.entry(guest.range).or_default().push(guest);
    }
    // Among ranges as full as each other, the one whose youngest came last.
    let youngest = |guests: &Vec<&Guest>| guests.iter().map(|guest| (guest.since, guest.peer)).max();
    let crowded = ranges.into_values().max_by_key(|guests| (guests.len(), youngest(guests)))?;
    youngest(&crowded).map(|(_, peer)| peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(number: u8) -> Option<Range> {
        Range::of(&format!("/ip4/8.8.{number}.1/tcp/1").parse().expect("an address"))
    }

    fn guest(since: u64) -> Guest {
        Guest {
            peer: PeerId::random(),
            range: range(1),
            since: Duration::from_secs(since),
            rtt: None,
            useful_at: None,
            on_trial: false,
        }
    }

    #[test]
    fn the_youngest_of_the_most_crowded_range_goes() {
        assert_eq!(choose(Vec::new()), None);
        let one = guest(1);
        assert_eq!(choose(vec![one.clone()]), Some(one.peer), "there is nobody else");
        let mut guests: Vec<_> = (0..20).map(guest).collect();
        guests[19].range = range(2);
        assert_eq!(choose(guests.clone()), Some(guests[18].peer), "the youngest of all is alone in its range");
    }

    #[test]
    fn those_that_are_of_use_stay() {
        let mut guests: Vec<_> = (100..164).map(guest).collect();
        for guest in guests.iter_mut().rev().take(8) {
            guest.rtt = Some(Duration::from_millis(1));
        }
        for guest in guests.iter_mut().rev().skip(8).take(8) {
            guest.useful_at = Some(Duration::from_secs(200));
        }
        let kept: Vec<_> = guests.iter().skip(48).map(|guest| guest.peer).collect();
        let old: Vec<_> = guests.iter().take(24).map(|guest| guest.peer).collect();
        for _ in 0..24 {
            let gone = choose(guests.clone()).expect("somebody");
            assert!(!kept.contains(&gone) && !old.contains(&gone));
            guests.retain(|guest| guest.peer != gone);
            guests.push(Guest { since: Duration::from_secs(300), ..guest(0) });
        }
    }

    #[test]
    fn who_was_there_first_does_not_go_while_a_crowd_is_on_trial() {
        let mut guests: Vec<_> = (1..64).map(|since| Guest { on_trial: true, ..guest(since) }).collect();
        let first = guest(0);
        guests.push(first.clone());
        assert_eq!(choose(guests.clone()), None, "everybody else is left alone for now");
        guests.iter_mut().filter(|guest| guest.since < Duration::from_secs(12)).for_each(|guest| {
            guest.on_trial = false;
            guest.rtt = Some(Duration::from_millis(guest.since.is_zero().into()));
        });
        assert_eq!(choose(guests.clone()), None, "the one who was first is the slowest of twelve, and stays");
        guests.iter_mut().for_each(|guest| guest.on_trial = false);
        let gone = choose(guests.clone()).expect("the trial is over");
        assert_eq!(guests[62].peer, gone, "the last to come");
    }

    #[test]
    fn a_flood_of_newcomers_drives_out_only_itself() {
        let honest: Vec<_> = (0..40).map(guest).collect();
        let mut guests = honest.clone();
        for number in 0..500 {
            let newcomer = Guest { range: range(u8::try_from(number % 200).expect("small")), ..guest(1_000 + number) };
            guests.push(Guest { rtt: Some(Duration::from_micros(10)), ..newcomer });
            if guests.len() > 64 {
                let gone = choose(guests.clone()).expect("somebody");
                guests.retain(|guest| guest.peer != gone);
            }
        }
        let left = guests.iter().filter(|guest| honest.iter().any(|one| one.peer == guest.peer)).count();
        assert!(left >= 24, "{left} of 40 who came first");
    }
}
