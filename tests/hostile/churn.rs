//! Strangers that come under ever new names: what is kept of them is bounded, however many there were.

use std::time::Duration;

use bard_tests::{
    hostile_peer::{Guise, HostilePeer, sealed},
    process::wait_until,
};
use futures::{AsyncReadExt, AsyncWriteExt, future::join_all};
use libp2p::{Multiaddr, identity::Keypair};
use tokio::{runtime::Runtime, time::timeout};

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, address, memory, spec};

/// Names in one round of those that only prove who they are.
const NAMES: usize = 300;
/// How many come at once: as many may be shaking hands.
const AT_ONCE: usize = 20;
/// How long a connection that is one too many may still stand.
const GIVEN_UP: Duration = Duration::from_secs(4);
/// What a round may leave behind, in bytes, once there was one already: 300 names of 14 KiB each would be more.
const SLOPE: u64 = 4 * MIB;

/// Comes as somebody new, agrees on streams, and leaves.
async fn come_and_go(address: &Multiaddr) -> bool {
    let come = async {
        let mut sealed = sealed::connect(address, &Keypair::generate_ed25519()).await?;
        sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await?;
        // What the node says first: by then it knows who has come.
        sealed.channel.read_exact(&mut [0; 12]).await?;
        sealed.channel.close().await
    };
    timeout(PATIENCE, come).await.is_ok_and(|outcome| outcome.is_ok())
}

/// A round of new names; returns how many were let in.
fn round(arena: &Arena, runtime: &Runtime) -> usize {
    let to = address(&arena.node);
    let come = |_| async { join_all((0..AT_ONCE).map(|_| come_and_go(&to))).await };
    let mut let_in = 0;
    for part in 0..NAMES / AT_ONCE {
        let_in += runtime.block_on(come(part)).into_iter().filter(|is_in| *is_in).count();
    }
    let_in
}

#[test]
fn hundreds_of_names_leave_no_more_behind_than_the_hundreds_before() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let runtime = Runtime::new().expect("a runtime");
    let first = round(&arena, &runtime);
    let half = memory(&arena.node);
    let second = round(&arena, &runtime);
    let whole = memory(&arena.node);
    for let_in in [first, second] {
        assert!(let_in * 2 > NAMES, "only {let_in} of {NAMES} were let in");
    }
    let grown = whole.saturating_sub(half);
    assert!(grown <= SLOPE, "{} KiB more memory after as many names again", grown >> 10);
    wait_until("they are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn peers_of_this_chain_that_change_their_names_leave_no_more_behind_either() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let round = |arena: &Arena| {
        for _ in 0..60 {
            let peer = HostilePeer::connect(&address(&arena.node), &spec(), Guise::default()).expect("it is let in");
            let known = || arena.node.peers().contains(&peer.id().to_string());
            wait_until("it is known to be of this chain", PATIENCE, known);
        }
        memory(&arena.node)
    };
    let half = round(&arena);
    let whole = round(&arena);
    let grown = whole.saturating_sub(half);
    assert!(grown <= SLOPE, "{} KiB more memory after as many names again", grown >> 10);
    wait_until("they are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn two_hundred_connections_of_one_name_are_three() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let runtime = Runtime::new().expect("a runtime");
    let (to, twin) = (address(&arena.node), Keypair::generate_ed25519());
    let come = || async {
        let mut sealed = sealed::connect(&to, &twin).await?;
        sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await?;
        Ok::<_, std::io::Error>(sealed)
    };
    // Each stays as long as the node lets it.
    let kept = async |mut connection: sealed::Sealed| {
        timeout(GIVEN_UP, connection.channel.read_to_end(&mut Vec::new())).await.is_err()
    };
    let (came, kept) = runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..200 / AT_ONCE {
            held.extend(join_all((0..AT_ONCE).map(|_| come())).await.into_iter().flatten());
        }
        let came = held.len();
        let kept = join_all(held.into_iter().map(kept)).await;
        (came, kept.into_iter().filter(|is_kept| *is_kept).count())
    });
    assert!(came > 3, "only {came} connections were made at all");
    assert!(kept <= 3, "{kept} of {came} connections of one peer are kept");
    let stranger = arena.patient_stranger();
    arena.assert_blameless(&stranger);
    drop(stranger);
    arena.assert_unharmed(&before, LITTLE);
}
