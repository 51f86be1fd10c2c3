//! The one door that changes the chain.
//!
//! [`Engine::accept`] decides what a block does, and changes nothing. Whoever asked stores the [`Effects`] first and then
//! hands them to [`Engine::adopt`]; so the engine is never ahead of the disk, and a failed write leaves it as it was.

use std::sync::Arc;

use crate::{
    hash::{BlockId, ChainId},
    invalid::Invalid,
    ledger::{Delta, Overlay, Undo, apply::ApplyError, commitment::Commitment},
    rules::{in_chain::Position, in_state, isolated::Isolated},
    source::{Source, SourceError},
    spec::ChainSpec,
    tree::{Node, Tree},
    units::{Height, Timestamp, Work},
};

/// The end of the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Id of the last block.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
    /// Work of the whole chain.
    pub work: Work,
    /// Time of the last block.
    pub timestamp: Timestamp,
}

/// What came of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the new tip, after the old one.
    Extended,
    /// Its branch has more work: blocks were undone, others applied, and it is the new tip.
    Reorganised,
    /// It is kept, on a branch without more work.
    SideBranch,
    /// Its branch has more work, but a block on it breaks a rule: the chain stays, the branch is marked.
    BranchRefused {
        /// The block that breaks the rule.
        at: BlockId,
        /// The rule.
        reason: Invalid,
    },
}

/// A block that becomes part of the active chain.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The block.
    pub block: Arc<Isolated>,
    /// What takes it back.
    pub undo: Undo,
}

/// All that accepting a block changes. To be stored as one, then adopted.
#[derive(Clone, Debug)]
pub struct Effects {
    /// What came of the block.
    pub outcome: Outcome,
    /// The block, with what the tree holds of it; `None` where it is not kept.
    pub stored: Option<(Arc<Isolated>, Node)>,
    /// Blocks that leave the active chain, the tip first.
    pub disconnected: Vec<BlockId>,
    /// Blocks that join it, the lowest first.
    pub connected: Vec<Connected>,
    /// Blocks found invalid, with all after them.
    pub invalidated: Vec<BlockId>,
    /// The net change of the ledger.
    pub state: Delta,
    /// The running commitment afterwards.
    pub commitment: Commitment,
    /// The tip afterwards.
    pub tip: Tip,
}

/// Why a block is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is known already; nobody's fault.
    #[error("the block is known already")]
    AlreadyKnown,
    /// It breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Something stored could not be read: a fault of this machine.
    #[error("the store cannot be read: {0}")]
    Source(#[from] SourceError),
    /// There is no room for it now, or it is not its time, by whoever stores what the engine decides. Another time it may be accepted.
    #[error("{0}")]
    NoRoom(Arc<str>),
}

impl From<ApplyError<Invalid>> for Refused {
    fn from(error: ApplyError<Invalid>) -> Self {
        match error {
            ApplyError::Fault(invalid) => Self::Invalid(invalid),
            ApplyError::Source(error) => Self::Source(error),
        }
    }
}

/// What is needed to go on where an engine left off.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The known blocks.
    pub tree: Tree,
    /// The running commitment at the tip.
    pub commitment: Commitment,
    /// Height of the state that the store began with, below which nothing can be undone: 0 where it has every block.
    pub floor: Height,
}

/// The state of the chain: the tree of known blocks, and the commitment to the ledger at its tip.
#[derive(Clone, Debug)]
pub struct Engine {
    spec: Arc<ChainSpec>,
    chain: ChainId,
    tree: Tree,
    commitment: Commitment,
    /// Blocks up to this height have no undo.
    floor: Height,
}

/// What a change of the active chain does to the ledger.
struct Switch {
    connected: Vec<Connected>,
    state: Delta,
    commitment: Commitment,
}

/// Why a change of the active chain fails: at which block, and why.
struct Failed {
    at: BlockId,
    reason: Invalid,
}

impl Engine {
    /// At the genesis block.
    pub fn genesis(spec: Arc<ChainSpec>) -> Self {
        let header = spec.genesis().header;
        let chain = spec.chain_id();
        let node = Node { header, work: Work::ZERO, anchor: None, arrival: 0, invalid: false };
        let tree = Tree::new(&spec, chain.into(), node);
        Self { commitment: spec.genesis_commitment(), floor: Height::ZERO, chain, tree, spec }
    }

    /// Where another engine left off.
    pub fn restore(spec: Arc<ChainSpec>, restored: Restored) -> Self {
        let Restored { tree, commitment, floor } = restored;
        Self { chain: spec.chain_id(), spec, tree, commitment, floor }
    }

    /// The specification.
    pub const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The chain's id.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The known blocks.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Height of the state that it began with, below which it never goes back: 0 where it has every block.
    pub const fn floor(&self) -> Height {
        self.floor
    }

    /// The running commitment at the tip.
    pub const fn commitment(&self) -> &Commitment {
        &self.commitment
    }

    /// The tip.
    pub fn tip(&self) -> Tip {
        let id = self.tree.tip_id();
        let timestamp = self.tree.get(&id).map_or(Timestamp::ZERO, |node| node.header.timestamp);
        Tip { id, height: self.tree.tip_height(), work: self.tree.tip_work(), timestamp }
    }

    /// Where the block after the tip stands.
    pub fn tip_position(&self) -> Position {
        self.tree.position(&self.tree.tip_id()).unwrap_or_else(|| Position::genesis(&self.spec))
    }

    /// Decides what a block does. `now` is the reader's clock.
    ///
    /// # Errors
    /// [`Refused`]; the engine stays as it is in any case.
    pub fn accept<S: Source>(&self, block: &Arc<Isolated>, now: Timestamp, source: &S) -> Result<Effects, Refused> {
        let id = block.id();
        if let Some(known) = self.tree.get(&id) {
            return Err(if known.invalid { Invalid::KnownInvalid.into() } else { Refused::AlreadyKnown });
        }
        self.check_parent(&block.header().parent)?;
        // Before the header's own rules: of a branch that left too far back, the ancestors they look at may be forgotten.
        let (fork, mut path) = self.tree.path_from_active(&self.spec, &block.header().parent)?;
        self.check_floor(&fork)?;
        path.push(id);
        let node = self.node_of(block, now)?;
        if node.work <= self.tree.tip_work() {
            if !self.tree.has_room_for(&self.spec, &node) {
                return Err(Invalid::TooManyBranches.into());
            }
            return Ok(self.effects(Outcome::SideBranch, Some((Arc::clone(block), node))));
        }
        let disconnected = self.tree.active_above(&fork);
        match self.switch(&disconnected, &path, block, source)? {
            Ok(Switch { connected, state, commitment }) => {
                let outcome =
                    if disconnected.is_empty() && path.len() == 1 { Outcome::Extended } else { Outcome::Reorganised };
                let header = block.header();
                let tip = Tip { id, height: header.height, work: node.work, timestamp: header.timestamp };
                let stored = Some((Arc::clone(block), node));
                Ok(Effects {
                    outcome,
                    stored,
                    disconnected,
                    connected,
                    invalidated: Vec::new(),
                    state,
                    commitment,
                    tip,
                })
            }
            Err(Failed { at, reason }) if at == id => Err(reason.into()),
            Err(Failed { at, reason }) => {
                let invalidated = self.tree.descendants(&at);
                Ok(Effects { invalidated, ..self.effects(Outcome::BranchRefused { at, reason }, None) })
            }
        }
    }

    /// Makes effects real that [`Engine::accept`] of this engine, unchanged since, gave.
    pub fn adopt(&mut self, effects: &Effects) {
        if let Some((block, node)) = &effects.stored {
            self.tree.insert(&self.spec, block.id(), node.clone());
        }
        self.tree.mark_invalid(&effects.invalidated);
        if !effects.connected.is_empty() {
            let connected = effects.connected.iter().map(|connected| connected.block.id());
            self.tree.activate(effects.disconnected.len(), connected);
            self.commitment = effects.commitment.clone();
        }
    }

    /// Holds as much of the active chain again as an engine holds that is restored here: after a branch of fewer blocks became
    /// the chain, less is held than a reorganisation may reach. `node_of` gives what is stored of a block.
    ///
    /// # Errors
    /// That of `node_of`; what is held by then stays.
    pub fn deepen<E>(&mut self, mut node_of: impl FnMut(&BlockId) -> Result<Node, E>) -> Result<(), E> {
        while let Some(id) = self.tree.wanted_below() {
            let node = node_of(&id)?;
            if !self.tree.deepen(id, node) {
                break;
            }
        }
        Ok(())
    }

    /// Refuses a branch for which blocks would have to be undone that this node never had.
    fn check_floor(&self, fork: &BlockId) -> Result<(), Invalid> {
        let fork = self.tree.get(fork).map_or(Height::ZERO, |node| node.header.height);
        if fork < self.floor { Err(Invalid::ForkBelowStart { fork, floor: self.floor }) } else { Ok(()) }
    }

    fn check_parent(&self, parent: &BlockId) -> Result<(), Invalid> {
        match self.tree.get(parent) {
            None => Err(Invalid::UnknownParent { parent: *parent }),
            Some(known) if known.invalid => Err(Invalid::InvalidAncestor),
            Some(_) => Ok(()),
        }
    }

    /// Checks the block's header after the headers before it.
    fn node_of(&self, block: &Isolated, now: Timestamp) -> Result<Node, Invalid> {
        let header = block.header();
        let parent = header.parent;
        let position = self.tree.position(&parent).ok_or(Invalid::UnknownParent { parent })?;
        let after = position.step(&self.spec, header, block.id(), now)?;
        Ok(Node {
            header: header.clone(),
            work: after.work(),
            anchor: after.anchor(),
            arrival: self.tree.next_arrival(),
            invalid: false,
        })
    }

    /// Effects that leave the active chain as it is.
    fn effects(&self, outcome: Outcome, stored: Option<(Arc<Isolated>, Node)>) -> Effects {
        Effects {
            outcome,
            stored,
            disconnected: Vec::new(),
            connected: Vec::new(),
            invalidated: Vec::new(),
            state: Delta::default(),
            commitment: self.commitment.clone(),
            tip: self.tip(),
        }
    }

    /// Undoes blocks, applies others, in a scratch ledger on top of the stored one. `new` is the last of `path`.
    fn switch<S: Source>(
        &self,
        disconnected: &[BlockId],
        path: &[BlockId],
        new: &Arc<Isolated>,
        source: &S,
    ) -> Result<Result<Switch, Failed>, SourceError> {
        let mut ledger = Overlay::new(source);
        let mut commitment = self.commitment.clone();
        for id in disconnected {
            let delta = ledger.take_back(&source.undo(id)?)?;
            commitment.apply(&delta);
        }
        let mut connected = Vec::with_capacity(path.len());
        for id in path {
            let block = if *id == new.id() { Arc::clone(new) } else { source.block(id)? };
            match in_state::check(&self.spec, &ledger, &commitment, block.block()) {
                Ok(in_state::InState { delta, commitment: after }) => {
                    ledger.absorb(&delta);
                    commitment = after;
                    connected.push(Connected { block, undo: delta.undo() });
                }
                Err(ApplyError::Fault(reason)) => return Ok(Err(Failed { at: *id, reason })),
                Err(ApplyError::Source(error)) => return Err(error),
            }
        }
        Ok(Ok(Switch { connected, state: ledger.into_delta(), commitment }))
    }
}
