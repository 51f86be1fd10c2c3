//! What shows that a transaction is in the chain, to whoever trusts no node: proofs and receipts.

use bard_chain::{
    block::Header,
    hash::{BlockId, TransactionId},
    merkle::InclusionProof,
    receipt::{self, MAX_HEADERS, Receipt},
    source::Source,
    units::Height,
};

use super::{Failure, FailureKind, Service};
use crate::application::{
    command::Extent,
    reply::{self, Reply},
};

/// How often a receipt is begun anew because the chain changed meanwhile.
const TRIES: usize = 3;

impl Service {
    pub(super) fn proof(&self, id: TransactionId) -> Result<Reply, Failure> {
        let reader = self.parts().keeper.reader();
        let Some((height, position)) = reader.transaction(&id)? else { return Err(self.not_mined(id)) };
        let found = reader.id_at(height)?.map(|block| reader.block(&block)).transpose()?;
        // Another block may have come to that height meanwhile.
        let block = found.ok_or_else(|| self.unknown_transaction(&id))?;
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        let transaction = block.block().transactions.get(index).cloned();
        let proof = InclusionProof::new(block.transaction_ids(), index);
        match (proof, transaction) {
            (Some(proof), Some(transaction)) if block.transaction_ids().get(index) == Some(&id) => {
                let header = reply::HeaderOf { id: block.id(), header: block.header().clone() };
                Ok(Reply::Proof(Box::new(reply::Proof { id, transaction, header, proof })))
            }
            _ => Err(self.unknown_transaction(&id)),
        }
    }

    /// The receipt of a transaction, whose headers end with the one at `until`; if that is left out with the tip, or before it with
    /// the last one that a receipt has room for.
    pub(super) fn receipt(
        &self,
        id: TransactionId,
        extent: Option<Extent>,
        until: Option<Height>,
    ) -> Result<Reply, Failure> {
        let tip = self.parts().keeper.tip().height;
        if let Some(until) = until.filter(|until| *until > tip) {
            let detail = format!("until: there is no height {until} yet: the chain ends at height {tip}");
            return Err(Failure::new(FailureKind::Conflict, detail));
        }
        let end = until.unwrap_or(tip);
        let short = end.get() <= MAX_HEADERS as u64;
        if extent == Some(Extent::Whole) && !short {
            let detail = format!(
                "a whole receipt up to height {end} is longer than the {MAX_HEADERS} headers that one may have"
            );
            return Err(Failure::new(FailureKind::Conflict, detail));
        }
        let whole = extent.map_or(short, |extent| extent == Extent::Whole);
        for _ in 0..TRIES {
            let Reply::Proof(proof) = self.proof(id)? else { break };
            let height = proof.header.header.height;
            if height > end {
                let detail = format!("until: the transaction is in block {height}, after height {end}");
                return Err(Failure::new(FailureKind::Conflict, detail));
            }
            if until.is_some() && !whole {
                check_room(height, end)?;
            }
            let headers = self.headers_of_receipt(&proof.header, whole, end)?;
            let place = headers.iter().position(|header| *header == proof.header.header);
            if let Some(place) = place
                && (whole || place == 0)
            {
                return Ok(Reply::Receipt {
                    id,
                    receipt: Box::new(Receipt {
                        version: receipt::VERSION,
                        specification: self.parts().keeper.spec().to_toml(),
                        transaction: proof.transaction,
                        height: proof.header.header.height,
                        proof: proof.proof,
                        headers,
                    }),
                });
            }
        }
        Err(Failure::new(FailureKind::Unavailable, "the chain changed while the receipt was made; try again"))
    }

    /// The headers from the first block on, or from that of the transaction, up to a height or as many as there may be.
    fn headers_of_receipt(&self, of: &reply::HeaderOf, whole: bool, end: Height) -> Result<Vec<Header>, Failure> {
        let reader = self.parts().keeper.reader();
        let genesis: Option<BlockId> = reader.id_at(Height::ZERO)?;
        let before = if whole { genesis } else { Some(of.header.parent) };
        let mut headers = reader.headers_after(before.as_slice(), MAX_HEADERS)?;
        headers.retain(|header| header.height <= end);
        Ok(headers)
    }

    fn not_mined(&self, id: TransactionId) -> Failure {
        if self.parts().keeper.pool().contains(&id) {
            let detail = format!("transaction {id} waits to be mined: there is nothing to show before that");
            return Failure::new(FailureKind::Conflict, detail);
        }
        self.unknown_transaction(&id)
    }
}

/// That a receipt which begins with the block at `first` has room for the headers up to `end`.
fn check_room(first: Height, end: Height) -> Result<(), Failure> {
    let last = first.get().saturating_add((MAX_HEADERS as u64).saturating_sub(1));
    if end.get() <= last {
        return Ok(());
    }
    let detail = format!(
        "until: a receipt has at most {MAX_HEADERS} headers: one that begins with block {first} ends at height {last} or below"
    );
    Err(Failure::new(FailureKind::Conflict, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_receipt_may_end() {
        let ends = |first, end| check_room(Height::new(first), Height::new(end)).map_err(|failure| failure.to_string());
        assert_eq!((ends(5, 5), ends(5, 10_004)), (Ok(()), Ok(())), "that many headers");
        let why = ends(5, 10_005).expect_err("one more");
        assert!(why.ends_with("one that begins with block 5 ends at height 10004 or below"), "{why}");
        assert!(ends(u64::MAX - 1, u64::MAX).is_ok());
    }
}
