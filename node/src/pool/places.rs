//! Of transactions with one sender and nonce the chain takes one alone, and what an earlier run left may have several.
//!
//! Those in the file are there in the order in which they came to be written, which is nearly the one in which they came into the
//! pool: whoever submits has his written when it has come in, each by himself. Where that turned two of them around, the one that
//! took the other's place would find the other there. So the one that pays more is tried first, of equals the later one, and
//! the others after it, for whichever it is may no longer be possible. What undone blocks confirmed is older than all of them: where
//! there are any, it left the pool before they came.

use std::collections::HashMap;

use bard_chain::{
    address::Address,
    encoding,
    transaction::Transaction,
    units::{Amount, Nonce},
};

use super::file::Found;

/// The transactions of the file with one sender and nonce.
struct Place {
    /// The first of them.
    first: usize,
    /// The one to be tried first, and what it pays.
    best: usize,
    fee: Amount,
}

/// The sender and the nonce of a transaction, and what it pays.
fn read(bytes: &[u8]) -> Option<((Address, Nonce), Amount)> {
    let Transaction { sender, nonce, fee, .. } = encoding::decode(bytes, bytes.len()).ok()?;
    Some(((sender, nonce), fee))
}

/// Puts what undone blocks confirmed, and then what the file has, in the order in which it is to be tried.
pub(super) fn put_in_order(undone: &mut [Found], mut found: Vec<Found>) -> Vec<Found> {
    let mut places: HashMap<(Address, Nonce), Place> = HashMap::new();
    for (index, (_, bytes)) in found.iter().enumerate() {
        let Some((place, fee)) = read(bytes) else { continue };
        let known = places.entry(place).or_insert(Place { first: index, best: index, fee });
        if fee >= known.fee {
            (known.best, known.fee) = (index, fee);
        }
    }
    for one in undone {
        if let Some(newer) = read(&one.1).and_then(|(place, _)| Some(&places.get(&place)?.best)) {
            // It may have taken that place in the pool. If it cannot be there, it is tried again in its own.
            one.clone_from(&found[*newer]);
        }
    }
    let mut behind: HashMap<usize, Found> = HashMap::new();
    for Place { first, best, .. } in places.into_values().filter(|place| place.first != place.best) {
        let newer = found[best].clone();
        behind.insert(best, std::mem::replace(&mut found[first], newer));
    }
    let with_those_behind = |(index, one)| std::iter::once(one).chain(behind.remove(&index));
    found.into_iter().enumerate().flat_map(with_those_behind).collect()
}
