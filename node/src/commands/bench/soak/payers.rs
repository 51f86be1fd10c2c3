//! Who pays, where, and what was acknowledged.
//!
//! Each payer has one node that takes what it signs, so that the order of its payments is that node's to keep, through kills
//! and restarts. What a node has acknowledged must be in the chain at the end.

use bard_chain::{
    encoding,
    hash::{ChainId, TransactionId},
    signature::SecretKey,
    transaction::{Action, Transaction},
    units::{Amount, Nonce},
};
use serde_json::{Value, json};

use super::{super::workload, Chance, fleet::Fleet};

/// A key, and the nonce of its next payment; `None` while the node has to be asked.
struct Payer {
    key: SecretKey,
    next: Option<u64>,
}

/// All of them.
pub(super) struct Payers {
    chain: ChainId,
    /// By the number of the node that takes what they sign.
    by_node: Vec<Vec<Payer>>,
    /// Whose turn it is at each node.
    turns: Vec<usize>,
    /// What was acknowledged.
    pub(super) acknowledged: Vec<TransactionId>,
    /// What was refused or went unanswered.
    pub(super) refused: u64,
    pub(super) unanswered: u64,
}

impl Payers {
    /// So many, who have money by the chain's specification.
    pub(super) fn new(chain: ChainId, payers: usize, nodes: usize) -> Self {
        let mut by_node: Vec<Vec<Payer>> = (0..nodes).map(|_| Vec::new()).collect();
        for number in 0..payers {
            let key = workload::sender(u32::try_from(number).unwrap_or(u32::MAX));
            if let Some(group) = by_node.get_mut(number % nodes.max(1)) {
                group.push(Payer { key, next: Some(0) });
            }
        }
        Self { chain, by_node, turns: vec![0; nodes], acknowledged: Vec::new(), refused: 0, unanswered: 0 }
    }

    /// Makes so many payments at one of the nodes that run.
    pub(super) fn pay(&mut self, fleet: &Fleet, chance: &mut Chance, count: u64) {
        let Some(number) = chance.one_of(&fleet.running()).filter(|_| count > 0) else { return };
        let (Some(node), Some(group), Some(turn)) =
            (fleet.node(number), self.by_node.get_mut(number), self.turns.get_mut(number))
        else {
            return;
        };
        let (mut whose, mut signed) = (Vec::new(), Vec::new());
        for _ in 0..count {
            *turn = (*turn + 1) % group.len().max(1);
            let to = group.get((*turn + 1) % group.len().max(1)).map(|payer| payer.key.address());
            let (Some(payer), Some(to)) = (group.get_mut(*turn), to) else { continue };
            if payer.next.is_none() {
                let account = node.get(&format!("api/v1/accounts/{}", payer.key.address()));
                payer.next = account.ok().and_then(|account| account.pointer("/pending/nonce")?.as_u64());
            }
            let Some(nonce) = payer.next else { continue };
            let action = Action::Transfer { to, amount: Amount::new(1) };
            signed.push(Transaction::sign(self.chain, &payer.key, Nonce::new(nonce), Amount::ZERO, action));
            payer.next = Some(nonce + 1);
            whose.push(*turn);
        }
        let texts: Vec<String> = signed.iter().map(|one| hex::encode(encoding::encode(one))).collect();
        if texts.is_empty() {
            return;
        }
        let answer = node.post("api/v1/transactions", &json!({ "transactions": texts }));
        let verdicts = answer.ok().and_then(|answer| answer.get("results").and_then(Value::as_array).cloned());
        for (at, (payer, one)) in whose.iter().zip(&signed).enumerate() {
            let verdict = verdicts.as_ref().and_then(|all| all.get(at));
            let taken = verdict.is_some_and(|verdict| verdict.get("id").is_some());
            if taken {
                self.acknowledged.push(one.id());
                continue;
            }
            self.refused += u64::from(verdict.is_some());
            self.unanswered += u64::from(verdict.is_none());
            if let Some(payer) = group.get_mut(*payer) {
                payer.next = None;
            }
        }
    }

    /// What was acknowledged and is not in the chain. All nodes are asked in turn.
    ///
    /// # Errors
    /// Where a node that should run does not answer.
    pub(super) fn lost(&self, fleet: &Fleet) -> Result<Vec<TransactionId>, String> {
        let running = fleet.running();
        let mut lost = Vec::new();
        for (at, id) in self.acknowledged.iter().enumerate() {
            let number = running.get(at % running.len().max(1)).copied().unwrap_or_default();
            let node = fleet.node(number).ok_or("no node runs any more")?;
            match node.get(&format!("api/v1/transactions/{id}")) {
                Ok(one) if one.get("block").is_some_and(Value::is_object) => {}
                Ok(_) => lost.push(*id),
                Err(why) if why.contains(": 404") => lost.push(*id),
                Err(why) => return Err(why),
            }
        }
        Ok(lost)
    }
}
