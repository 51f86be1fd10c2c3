//! What a node says of itself when it meets another, and now and then afterwards.

use core::fmt;

use bard_chain::{
    array_form,
    hash::{BlockId, ChainId},
    units::{Height, Timestamp, Work},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::limits::MAX_AGENT_LEN;

/// The name and version of a peer's software: at most [`MAX_AGENT_LEN`] bytes without control characters, so that it can be
/// shown on a terminal as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent(String);

impl Agent {
    /// From any text: control characters are left out, the rest is cut to the limit.
    pub fn new(text: &str) -> Self {
        let mut agent = String::new();
        for character in text.chars().filter(|character| !character.is_control()) {
            if agent.len() + character.len_utf8() > MAX_AGENT_LEN {
                break;
            }
            agent.push(character);
        }
        Self(agent)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Agent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Agent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let agent = Self::new(text);
        if agent.0 == text { Ok(agent) } else { Err(de::Error::custom("an agent that is too long or unprintable")) }
    }
}

/// Which chain a node is on, how far it is, and what its clock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The chain.
    pub chain: ChainId,
    /// Height of its tip.
    pub height: Height,
    /// Its tip.
    pub tip: BlockId,
    /// Cumulative work of the chain up to its tip.
    pub work: Work,
    /// Its software.
    pub agent: Agent,
    /// Its clock: differences are shown to people, nobody is judged by them.
    pub clock: Timestamp,
    /// Height of the lowest block that it serves, with all above it: 1 where it has the whole chain. Headers it serves from the
    /// first on.
    pub blocks_from: Height,
}

array_form!(Status {
    chain: ChainId,
    height: Height,
    tip: BlockId,
    work: Work,
    agent: Agent,
    clock: Timestamp,
    blocks_from: Height,
});

#[cfg(test)]
mod tests {
    use bard_chain::encoding;

    use super::*;

    #[test]
    fn agents_are_cut_and_cleaned() {
        assert_eq!(Agent::new("bard/0.1.0\u{1b}[31m\n").as_str(), "bard/0.1.0[31m");
        assert_eq!(Agent::new(&"ü".repeat(40)).as_str().len(), MAX_AGENT_LEN);
        let too_long = encoding::encode(&"x".repeat(MAX_AGENT_LEN + 1));
        assert!(encoding::decode::<Agent>(&too_long, 128).is_err());
        let control = encoding::encode(&"a\nb");
        assert!(encoding::decode::<Agent>(&control, 128).is_err());
    }
}
