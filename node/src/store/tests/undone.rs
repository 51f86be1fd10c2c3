//! What left the chain is found from the tip of an earlier time, however far the chain went on since.

use std::sync::Arc;

use bard_chain::{
    encoding,
    engine::Outcome,
    hash::BlockId,
    rules::isolated::Isolated,
    transaction::{Action, Transaction},
    units::Timestamp,
};

use super::chain::{Chain, Node, key, spec};

fn note(chain: &Chain, sender: &str) -> Transaction {
    chain.sign(&key(sender), 0, Action::Record { content_type: "text/plain".into(), bytes: sender.into() })
}

fn left(node: &Node, tip: &BlockId, oldest: Timestamp, max_len: usize) -> Vec<(Timestamp, Vec<u8>)> {
    node.reader().left_the_chain(tip, oldest, max_len).unwrap()
}

/// A block's transactions as they come back.
fn of(block: &Arc<Isolated>) -> Vec<(Timestamp, Vec<u8>)> {
    let time = block.header().timestamp;
    block.block().transactions.iter().map(|one| (time, encoding::encode(one))).collect()
}

#[test]
fn what_left_the_chain_is_found_however_far_it_went_on() {
    let dir = tempfile::tempdir().unwrap();
    let depth = spec().max_reorg_depth as usize;
    let mut old = Chain::new(spec());
    old.mine_many(2);
    let mut new = old.branch(2);
    let again = note(&old, "dave");
    let confirmed = encoding::encode(&again);
    old.mine(&[note(&old, "alice"), note(&old, "carol")]);
    old.mine(&[note(&old, "alice"), again.clone()]);
    for _ in 2..depth {
        old.mine(&[]);
    }
    new.mine(&[again]);
    for _ in 1..=depth {
        new.mine(&[]);
    }
    let tip = old.engine.tip().id;
    let mut node = Node::open(dir.path());
    node.take_all(&old.blocks);
    assert!(left(&node, &tip, Timestamp::ZERO, usize::MAX).is_empty(), "nothing left");
    let outcomes: Vec<_> = new.blocks[2..].iter().map(|block| node.take(block)).collect();
    assert!(outcomes.contains(&Outcome::Reorganised));

    let mut expected = of(&old.blocks[2]);
    expected.extend(of(&old.blocks[3]).into_iter().filter(|(_, bytes)| *bytes != confirmed));
    assert_eq!(expected.len(), 3);
    let all = |node: &Node| left(node, &tip, Timestamp::ZERO, usize::MAX);
    assert_eq!(all(&node), expected, "the whole depth, but for what another block confirmed");
    // Farther than any reorganisation may go, with many more beside it.
    for _ in 0..2 * depth {
        let mut beside = new.branch(3);
        new.mine(&[]);
        beside.mine(&[]);
        node.take(new.blocks.last().unwrap());
        node.take(beside.blocks.last().unwrap());
    }
    assert_eq!(all(&node), expected);
    node.store.close().unwrap();
    let node = Node::open(dir.path());
    assert_eq!(all(&node), expected);

    assert_eq!(left(&node, &tip, expected[0].0, usize::MAX), expected[2..], "what is too old is left out");
    let two = expected[0].1.len() + expected[1].1.len();
    assert_eq!(left(&node, &tip, Timestamp::ZERO, two), expected[..2], "the first, for later ones follow from them");
    assert!(left(&node, &tip, Timestamp::ZERO, 0).is_empty());
    assert!(left(&node, &BlockId::new([7; 32]), Timestamp::ZERO, usize::MAX).is_empty(), "of a tip that is not known");
}
