//! Why something could not be done.

use bard_chain::{engine::Refused, invalid::Blame, mempool::PoolRefusal, source::SourceError};

use crate::{
    keeper::{Closed, CutOff, NotHeld, PastError},
    pool::NotKept,
    wallet::{NoKey, UnknownName, WalletError},
};

/// Why something could not be done: one line for a person, and of what kind it is for a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Of what kind it is.
    pub kind: FailureKind,
    /// What was wrong and what to do.
    pub message: String,
}

/// Of what kind a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The question itself is malformed.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// There is one, but this node began with a later state and does not have it.
    NotHeld,
    /// It contradicts the state of the chain or the pool.
    Conflict,
    /// One with its sender and nonce is in the pool, and it pays too little more.
    FeeTooLow,
    /// Well-formed, but it breaks a rule.
    Invalid,
    /// The keys are locked, or the passphrase is not the right one.
    Locked,
    /// Not now: the pool, or what one sender may have in it, is full.
    PoolFull,
    /// Not now: a peer does not answer, the node stops.
    Unavailable,
    /// A fault of this machine.
    Internal,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Closed> for Failure {
    fn from(error: Closed) -> Self {
        Self::new(FailureKind::Unavailable, error.to_string())
    }
}

impl From<CutOff> for Failure {
    fn from(error: CutOff) -> Self {
        Self::new(FailureKind::Internal, error.to_string())
    }
}

impl From<NotKept> for Failure {
    fn from(error: NotKept) -> Self {
        Self::new(FailureKind::Internal, error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(FailureKind::Internal, error.to_string())
    }
}

impl From<NotHeld> for Failure {
    fn from(error: NotHeld) -> Self {
        Self::new(FailureKind::NotHeld, error.to_string())
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        let kind = match &error {
            PastError::AboveTip { .. } => FailureKind::NotFound,
            PastError::BelowStart { .. } => FailureKind::NotHeld,
            PastError::Busy(_) => FailureKind::Unavailable,
            PastError::Source(_) => FailureKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<UnknownName> for Failure {
    fn from(error: UnknownName) -> Self {
        Self::new(FailureKind::Malformed, error.to_string())
    }
}

impl From<NoKey> for Failure {
    fn from(error: NoKey) -> Self {
        let kind = match &error {
            NoKey::Unknown(_) | NoKey::Elsewhere(_) | NoKey::Watched(_) => FailureKind::Malformed,
            NoKey::Locked(_) => FailureKind::Locked,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        let kind = match &error {
            WalletError::Name(_) | WalletError::Reserved(_) | WalletError::Weak(_) => FailureKind::Malformed,
            WalletError::Unknown { .. } => FailureKind::NotFound,
            WalletError::Taken(_) | WalletError::Known { .. } | WalletError::Full | WalletError::NotProtected => {
                FailureKind::Conflict
            }
            WalletError::Watched(_) | WalletError::Locked | WalletError::WrongPassphrase => FailureKind::Locked,
            WalletError::Busy { .. } | WalletError::Trying => FailureKind::Unavailable,
            WalletError::Damaged { .. } | WalletError::File(_) => FailureKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<PoolRefusal> for Failure {
    fn from(refusal: PoolRefusal) -> Self {
        let kind = match &refusal {
            PoolRefusal::AlreadyKnown => FailureKind::Conflict,
            PoolRefusal::FeeTooLow { .. } => FailureKind::FeeTooLow,
            PoolRefusal::TooManyFollow { .. } => FailureKind::Conflict,
            PoolRefusal::Full { .. }
            | PoolRefusal::FullBehind
            | PoolRefusal::SenderFull { .. }
            | PoolRefusal::WaitingFull { .. } => FailureKind::PoolFull,
            PoolRefusal::Fault(fault) if fault.blame() == Blame::Sender => FailureKind::Invalid,
            PoolRefusal::Fault(_) => FailureKind::Conflict,
            PoolRefusal::Source(_) => FailureKind::Internal,
        };
        Self::new(kind, refusal.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let kind = match &refused {
            Refused::AlreadyKnown => FailureKind::Conflict,
            Refused::Invalid(reason) if reason.blame() == Blame::Sender => FailureKind::Invalid,
            Refused::Invalid(_) => FailureKind::Conflict,
            Refused::Source(_) => FailureKind::Internal,
            Refused::NoRoom(_) => FailureKind::Unavailable,
        };
        Self::new(kind, refused.to_string())
    }
}
