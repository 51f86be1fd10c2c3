//! Pools that peers hand out on meeting.

use bard_chain::{encoding, signature::Signature, transaction::Transaction};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    actions::pay,
    hostile_peer::{Answer, Guise, HostilePeer},
    process::wait_until,
};

use crate::{
    arena::{Arena, LITTLE, PATIENCE, attack},
    catch_up::claim,
};

/// A peer that is as far as the node, lists some transactions, and hands out others.
fn host(arena: &Arena, listed: &[Transaction], handed: &[Transaction]) -> HostilePeer {
    let (status, ids) = (claim(&arena.chain), listed.iter().map(Transaction::id).collect::<Vec<_>>());
    let handed: Vec<_> = handed.iter().map(encoding::encode).collect();
    let script = move |request: &SyncRequest| {
        Answer::Message(match request {
            SyncRequest::Status(_) => SyncResponse::Status(status.clone()),
            SyncRequest::PoolIds => SyncResponse::PoolIds(ids.clone()),
            SyncRequest::Transactions { .. } => SyncResponse::Transactions(handed.clone()),
            _ => SyncResponse::Refused(RefusedReason::Unknown),
        })
    };
    attack(&arena.node, Guise::with_script(script))
}

#[test]
fn whoever_hands_out_a_forged_signature_is_banned() {
    let mut arena = Arena::new();
    let before = arena.look();
    let good = arena.chain.sign("bob", 0, 1, pay("carol", 5));
    let forged = Transaction { signature: Signature::new([9; 64]), ..good };
    let peer = host(&arena, std::slice::from_ref(&forged), std::slice::from_ref(&forged));
    arena.wait_for_line(&["a pool is refused", &peer.id().to_string(), "the signature is not the sender's"]);
    arena.assert_banned(&peer, "sent an invalid transaction");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_transaction_that_nobody_asked_for_is_a_fault() {
    let mut arena = Arena::new();
    let before = arena.look();
    let listed = arena.chain.sign("bob", 0, 1, pay("carol", 5));
    let other = arena.chain.sign("bob", 0, 1, pay("carol", 6));
    let peer = host(&arena, &[listed], &[other]);
    arena.assert_fault(&peer, "serious", "sent a transaction nobody asked for");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn an_answer_that_is_cut_short_is_asked_for_again() {
    let arena = Arena::new();
    let all: Vec<_> = (0..3).map(|nonce| arena.chain.sign("bob", nonce, 1, pay("carol", 5))).collect();
    let (ids, status) = (all.iter().map(Transaction::id).collect::<Vec<_>>(), claim(&arena.chain));
    let script = move |request: &SyncRequest| {
        Answer::Message(match request {
            SyncRequest::Status(_) => SyncResponse::Status(status.clone()),
            SyncRequest::PoolIds => SyncResponse::PoolIds(ids.clone()),
            // One at a time, as where each nearly fills an answer.
            SyncRequest::Transactions { ids } => {
                let first = all.iter().find(|one| ids.first() == Some(&one.id()));
                SyncResponse::Transactions(first.map(encoding::encode).into_iter().collect())
            }
            _ => SyncResponse::Refused(RefusedReason::Unknown),
        })
    };
    let peer = attack(&arena.node, Guise::with_script(script));
    wait_until("all of it comes", PATIENCE, || arena.node.pool().len() == 3);
    arena.assert_blameless(&peer);
    wait_until("and is passed on", PATIENCE, || arena.honest.pool().len() == 3);
}
