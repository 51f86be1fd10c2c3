//! Why a transaction is not admitted.

use crate::{
    invalid::TransactionFault,
    source::SourceError,
    units::{Amount, Nonce},
};

/// Why a transaction is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// It is in the pool already.
    #[error("the transaction is in the pool already")]
    AlreadyKnown,
    /// The pool is full, and this one pays no more than what is in it.
    #[error("the pool is full: {}", when_full(*least))]
    Full {
        /// The least fee by which it would take the place of others; `None` where no fee would do.
        least: Option<Amount>,
    },
    /// The pool is full; this one would pay enough, but an earlier one of its sender, which must be mined first, does not.
    #[error(
        "the pool is full, and earlier transactions of the sender pay too little for this one to be mined before what is \
         in it: replace them by ones with a higher fee, or try again when some of it is mined"
    )]
    FullBehind,
    /// The sender has as many transactions in the pool as it may.
    #[error(
        "the sender has {limit} transactions in the pool, no more are taken: try again when some of them are mined"
    )]
    SenderFull {
        /// The limit.
        limit: usize,
    },
    /// The pool has one of the sender with this nonce, and this one does not pay enough more to take its place.
    #[error(
        "a transaction of the sender with nonce {nonce} and fee {fee} is in the pool: to take its place, this one's fee must \
         be at least {least}"
    )]
    FeeTooLow {
        /// The nonce of both.
        nonce: Nonce,
        /// What the one in the pool pays.
        fee: Amount,
        /// What would do: the fees of all that would leave, and the step.
        least: Amount,
    },
    /// The pool has one of the sender with this nonce, and too many others may depend on it.
    #[error(
        "a transaction of the sender with nonce {nonce} is in the pool, and more than {limit} others may depend on it: it \
         is not replaced; wait until it is mined"
    )]
    TooManyFollow {
        /// The nonce of both.
        nonce: Nonce,
        /// The limit.
        limit: usize,
    },
    /// It would wait for transactions of its sender that come before it, no more may wait, and nobody has more waiting than its
    /// sender would have.
    #[error(
        "nonce {nonce} leaves a gap, and too many such transactions wait already: send the one with nonce {expected} first"
    )]
    WaitingFull {
        /// What it says.
        nonce: Nonce,
        /// What follows.
        expected: Nonce,
    },
    /// It breaks a rule, after all that is confirmed and in the pool.
    #[error(transparent)]
    Fault(#[from] TransactionFault),
    /// Something stored could not be read: a fault of this machine.
    #[error("the store cannot be read: {0}")]
    Source(#[from] SourceError),
}

fn when_full(least: Option<Amount>) -> String {
    match least {
        Some(least) => format!(
            "with a fee of at least {least} this transaction would take the place of cheaper ones; or try again when some of \
             it is mined"
        ),
        None => "what is in it cannot make room for this transaction; try again when some of it is mined".to_owned(),
    }
}
