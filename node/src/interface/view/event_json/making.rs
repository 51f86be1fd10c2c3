//! What a node makes events of.

use bard_chain::{
    block::Header,
    hash::BlockId,
    target::Target,
    transaction::Action,
    units::{Height, Work},
};
use bard_protocol::{Direction, PeerInfo};

use super::{
    ActionEvent, BlockEvent, Dialled, Event, LabEvent, MiningEvent, PeerEvent, ReorgEvent, SyncEvent, SyncState,
    TransactionEvent,
};
use crate::{
    application::events::{Brief, Change, SyncState as State},
    catch_up, clock, lab, miner,
};

impl From<&Change> for Event {
    fn from(change: &Change) -> Self {
        match change {
            Change::Block { id, header, transactions, size } => {
                Self::Block(BlockEvent::new(id, header, *transactions, *size))
            }
            Change::Reorg { disconnected, connected, fork, old_tip } => Self::Reorg(ReorgEvent::Adopted {
                disconnected: *disconnected,
                connected: *connected,
                fork_height: fork.get(),
                old_tip: old_tip.to_string(),
            }),
            Change::BranchRefused { at, reason } => {
                Self::Reorg(ReorgEvent::Refused { invalid_block: at.to_string(), reason: reason.clone() })
            }
            Change::Transaction(brief) => Self::Transaction((&**brief).into()),
            Change::Connected(info) => Self::Peer((&**info).into()),
            Change::Lost(peer) => Self::Peer(PeerEvent::Lost { peer_id: peer.to_string() }),
            Change::Mining(activity) => Self::Mining(activity.into()),
            Change::Sync { state, progress, height } => Self::Sync(SyncEvent::new(*state, progress, *height)),
            Change::Lab(settings) => Self::Lab(settings.into()),
        }
    }
}

impl BlockEvent {
    fn new(id: &BlockId, header: &Header, transactions: usize, size: usize) -> Self {
        Self {
            height: header.height.get(),
            hash: id.to_string(),
            previous_hash: header.parent.to_string(),
            timestamp: clock::rfc3339(header.timestamp),
            miner: header.miner.to_string(),
            difficulty: header.target.expand().map_or(Work::ZERO, Target::work).to_string(),
            transactions,
            size,
        }
    }
}

impl From<&Brief> for TransactionEvent {
    fn from(brief: &Brief) -> Self {
        Self {
            id: brief.id.to_string(),
            sender: brief.sender.to_string(),
            nonce: brief.nonce.get(),
            fee: brief.fee.get(),
            size: brief.size,
            action: (&brief.action).into(),
        }
    }
}

impl From<&Action> for ActionEvent {
    fn from(action: &Action) -> Self {
        match action {
            Action::Transfer { to, amount } => Self::Transfer { to: to.to_string(), amount: amount.get() },
            Action::Record { content_type, .. } => Self::Record { content_type: content_type.clone() },
            Action::ItemRequest { item } => Self::ItemRequest { item: item.as_str().to_owned() },
            Action::ItemRelease { item } => Self::ItemRelease { item: item.as_str().to_owned() },
            Action::ItemTransfer { item, to } => {
                Self::ItemTransfer { item: item.as_str().to_owned(), to: to.to_string() }
            }
        }
    }
}

impl From<&PeerInfo> for PeerEvent {
    fn from(info: &PeerInfo) -> Self {
        Self::Connected {
            peer_id: info.id.to_string(),
            address: info.addresses.first().map(ToString::to_string),
            direction: match info.direction {
                Direction::Inbound => Dialled::Inbound,
                Direction::Outbound => Dialled::Outbound,
            },
            transport: info.transport.into(),
            found_by: info.origins.first().map(ToString::to_string),
            agent: info.agent.as_str().to_owned(),
        }
    }
}

impl From<&miner::Activity> for MiningEvent {
    fn from(activity: &miner::Activity) -> Self {
        Self {
            enabled: activity.continuous,
            threads: activity.threads,
            hash_rate: activity.hash_rate,
            mined: activity.mined,
        }
    }
}

impl SyncEvent {
    fn new(state: State, progress: &catch_up::Progress, height: Height) -> Self {
        let state = match state {
            State::Started => SyncState::Started,
            State::Progress => SyncState::Progress,
            State::Finished => SyncState::Finished,
        };
        Self { state, height: height.get(), target_height: progress.target.get(), accepted: progress.accepted }
    }
}

impl From<&lab::Settings> for LabEvent {
    fn from(settings: &lab::Settings) -> Self {
        Self {
            apart: settings.apart,
            delay_ms: u64::try_from(settings.delay.as_millis()).unwrap_or(u64::MAX),
            rival: settings.rival.is_some(),
        }
    }
}
