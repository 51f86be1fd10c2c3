//! Who is not spoken to, and who left, as JSON.

use std::borrow::Cow;

use bard_protocol::BannedBy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::primitive::Time;
use crate::application::reply;

/// The bans that hold.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Bans<'a> {
    /// The bans, by peer.
    pub bans: Vec<Ban<'a>>,
}

/// A peer that is not spoken to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ban<'a> {
    /// Its id in the network.
    pub peer: String,
    /// Until when.
    pub until: Time,
    /// Whose decision it was.
    pub by: Judge,
    /// Why; empty where a person did not say.
    pub reason: Cow<'a, str>,
}

/// Whose decision a ban was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// The node's, for faults that were provably the peer's.
    Node,
    /// A person's.
    Person,
}

/// Bans that were ended before their time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Lifted {
    /// How many.
    pub lifted: usize,
}

/// A peer that was connected and is no longer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Departed<'a> {
    /// Its id in the network.
    pub peer_id: String,
    /// The other end of the last connection to it.
    pub address: Cow<'a, str>,
    /// When that ended.
    pub at: Time,
    /// Why: what this node had against it, or what the connection ended with.
    pub reason: Cow<'a, str>,
}

impl<'a> Bans<'a> {
    pub(super) fn new(all: &'a [reply::Ban]) -> Self {
        Self { bans: all.iter().map(Into::into).collect() }
    }
}

impl<'a> From<&'a reply::Ban> for Ban<'a> {
    fn from(ban: &'a reply::Ban) -> Self {
        Self {
            peer: ban.peer.to_string(),
            until: Time(ban.until),
            by: match ban.by {
                BannedBy::Fault => Judge::Node,
                BannedBy::Person => Judge::Person,
            },
            reason: Cow::Borrowed(&ban.reason),
        }
    }
}

impl<'a> From<&'a reply::Departed> for Departed<'a> {
    fn from(one: &'a reply::Departed) -> Self {
        Self {
            peer_id: one.peer.to_string(),
            address: Cow::Borrowed(&one.address),
            at: Time(one.at),
            reason: Cow::Borrowed(&one.reason),
        }
    }
}
