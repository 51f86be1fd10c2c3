//! Disks that fail at any one operation, that are full from any one on, that get full, or that take no writes at all.

use std::io::ErrorKind;

use bard_chain::units::Timestamp;

use super::{
    chain::{Chain, Node, spec},
    picture::{Picture, Story},
    simulated::{Fault, SimDisk},
};
use crate::store::{StoreError, open::INDEX, overlay::LARGE_COMMITS};

/// Every so many operations one is made to fail.
const STRIDE: usize = 2;

/// What came of living with a fault.
struct Lived {
    /// So many blocks were acknowledged.
    acknowledged: usize,
    /// So many were begun.
    begun: usize,
    failed: bool,
}

/// A life on a disk that has a fault; when it shows, the fault is gone, and the blocks go on as far as they can.
fn live(story: &Story, disk: &SimDisk, fault: Fault) -> Lived {
    disk.fail(Some(fault));
    let mut lived = Lived { acknowledged: 0, begun: 0, failed: false };
    let mut node = match Node::on(disk) {
        Ok(node) => node,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            disk.fail(None);
            return Lived { failed: true, ..lived };
        }
    };
    for (number, block) in story.blocks.iter().enumerate() {
        let Ok(effects) = node.engine.accept(block, Timestamp::new(1 << 50), &node.reader()) else { continue };
        lived.begun = number + 1;
        let mut stored = node.store.append(&effects);
        if let Err(StoreError::Full { .. }) = stored {
            // Nothing was changed: what was there can be read, and once there is room the same goes in.
            lived.failed = true;
            assert!(story.pictures[..=number].contains(&Picture::of(&node, &story.blocks)));
            disk.fail(None);
            stored = node.store.append(&effects);
        }
        if stored.and_then(|_| node.store.sync()).is_err() {
            lived.failed = true;
            break;
        }
        node.engine.adopt(&effects);
        lived.acknowledged = number + 1;
    }
    lived.failed |= node.store.close().is_err();
    disk.fail(None);
    lived
}

/// Tries a fault at every so many operations of a life; and makes sure that it mostly showed.
fn at_each(story: &Story, kind: ErrorKind, lasting: bool) {
    let whole = SimDisk::default();
    live(story, &whole, Fault { at: usize::MAX, kind, lasting });
    let (mut shown, mut tried) = (0, 0);
    for at in (0..whole.count()).step_by(STRIDE) {
        let disk = SimDisk::default();
        let lived = live(story, &disk, Fault { at, kind, lasting });
        shown += usize::from(lived.failed);
        tried += 1;
        let node = Node::on(&disk).unwrap_or_else(|error| panic!("{kind} at operation {at}: {error}"));
        assert!(node.repairs.len() <= 1, "{kind} at operation {at}: {:?}", node.repairs);
        let picture = Picture::of(&node, &story.blocks);
        let allowed = &story.pictures[lived.acknowledged..=lived.begun.max(lived.acknowledged)];
        assert!(allowed.contains(&picture), "{kind} at operation {at}: {:?}", story.place_of(&picture));
    }
    assert!(3 * shown > tried, "{kind}: {shown} of {tried}");
}

#[test]
fn whatever_operation_fails_the_store_opens_again_as_it_was() {
    let story = Story::eventful();
    at_each(&story, ErrorKind::Other, false);
    at_each(&story, ErrorKind::StorageFull, true);
}

#[test]
fn nothing_more_is_stored_before_the_disk_is_full() {
    const KEPT: u64 = 1 << 20;
    let story = Story::eventful();
    let mut stops = std::collections::BTreeSet::new();
    for more in (0..20_000).step_by(900) {
        let disk = SimDisk::default();
        let mut node = Node::on(&disk).unwrap();
        node.store = node.store.keeping_free(KEPT);
        disk.hold_at_most(Some(disk.used() + KEPT + more));
        let mut taken = 0;
        let full = story.blocks.iter().find_map(|block| {
            let result = node.try_append(block).and_then(|_| node.store.sync());
            taken += usize::from(result.is_ok());
            result.err()
        });
        let Some(full) = full else { continue };
        assert!(matches!(full, StoreError::Full { .. }), "{full}");
        assert_eq!(Picture::of(&node, &story.blocks), story.pictures[taken], "what is there can be read");
        node.store.close().unwrap();
        assert_eq!(disk.overruns(), 0, "nothing was ever asked of the disk that did not fit");
        disk.hold_at_most(None);
        let mut node = Node::on(&disk).unwrap();
        assert_eq!(node.repairs, Vec::<String>::new());
        story.blocks.iter().for_each(|block| node.give(block));
        assert_eq!(Some(&Picture::of(&node, &story.blocks)), story.pictures.last());
        stops.insert(taken);
    }
    assert!(stops.len() > 5, "{stops:?}");
}

#[test]
fn a_disk_that_takes_no_writes_is_refused_with_that_reason() {
    let written = SimDisk::default();
    Node::on(&written).unwrap().store.close().unwrap();
    for disk in [SimDisk::default(), written] {
        disk.make_read_only();
        let error = Node::on(&disk).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains("mounted read-only"), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn a_disk_without_room_for_what_is_replayed_costs_no_index() {
    let mut chain = Chain::new(spec());
    chain.mine_many(2 * LARGE_COMMITS);
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    // A node that is killed before the index has any of it.
    node.store.flusher.stop();
    node.take_all(&chain.blocks);
    drop(node);
    let files = disk.files();
    let index = |disk: &SimDisk| disk.files().get(INDEX).cloned();
    for more in [0, 4096, 100_000, 400_000] {
        let disk = SimDisk::holding(files.clone());
        disk.hold_at_most(Some(disk.used() + more));
        let error = Node::on(&disk).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{more} bytes: {error}");
        assert!(index(&disk).is_some(), "it is where it was");
        assert_eq!(disk.files().len(), files.len(), "and nothing was set aside");
        disk.hold_at_most(None);
        let node = Node::on(&disk).unwrap();
        assert_eq!(node.repairs, Vec::<String>::new());
        node.assert_is(&chain);
    }
}

#[test]
fn a_disk_that_fails_while_the_log_is_replayed_costs_no_index() {
    let mut chain = Chain::new(spec());
    chain.mine_many(LARGE_COMMITS + 8);
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.store.flusher.stop();
    node.take_all(&chain.blocks);
    drop(node);
    let files = disk.files();
    let whole = SimDisk::holding(files.clone());
    drop(Node::on(&whole).unwrap());
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        let mut failed = 0;
        for at in (0..whole.count()).step_by(3) {
            let disk = SimDisk::holding(files.clone());
            disk.fail(Some(Fault { at, kind, lasting: true }));
            if let Err(error) = Node::on(&disk) {
                assert!(matches!(error, StoreError::Io { .. } | StoreError::Full { .. }), "{error}");
                assert_eq!(disk.files().len(), files.len(), "nothing was set aside at {at}");
                failed += 1;
            }
            disk.fail(None);
            let node = Node::on(&disk).unwrap();
            assert_eq!(node.repairs, Vec::<String>::new(), "{kind} at operation {at}");
            assert_eq!(node.engine.tip(), chain.engine.tip());
        }
        assert!(failed > 5, "{failed}");
    }
}
