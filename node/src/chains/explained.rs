//! A specification file that explains itself: each number with what it means.

use bard_chain::spec::ChainSpec;

/// What the keys mean, by the line that begins with them.
const MEANINGS: &[(&str, &str)] = &[
    ("name =", "What people call the chain."),
    ("pow =", "The proof-of-work function: sha256d or blake3."),
    ("genesis_time_ms =", "When the chain is said to begin: milliseconds since 1970."),
    ("target_interval_ms =", "Intended time between two blocks, in milliseconds."),
    ("difficulty =", "fixed: always the initial target; asert: it follows the hash power of the group."),
    ("half_life_ms =", "So many milliseconds behind schedule, and a block takes half as many hashes."),
    ("initial_target =", "Target of the first blocks, as Bitcoin's nBits: 1f00ffff is 65,537 hashes a block."),
    ("easiest_target =", "The easiest that any block may be."),
    ("max_block_bytes =", "The longest block, in bytes."),
    ("max_record_bytes =", "The longest content of one record, in bytes."),
    ("max_reorg_depth =", "How many blocks a heavier branch may undo at most."),
    ("max_drift_ms =", "How far ahead of a node's clock a block's time may be, in milliseconds."),
    ("closed =", "Only nodes that know the group's secret take part. It is not in this file."),
    ("[subsidy]", "What a miner gets for a block, besides the fees."),
    ("amount =", "In the smallest unit of the chain."),
    ("halving_interval =", "Every so many blocks it halves; 0: never."),
    ("last_height =", "The last block that gets any."),
    ("[[allocation]]", "Who has what at the start."),
];

/// The specification as TOML with comments.
pub fn explained(spec: &ChainSpec) -> String {
    let mut text = String::from(
        "# A chain of BlockBard. Every number is part of the chain's id: change one, and it is another chain.\n\n",
    );
    let mut said = Vec::new();
    for line in spec.to_toml().lines() {
        let meaning = MEANINGS.iter().find(|(start, _)| line.starts_with(start));
        if let Some((start, meaning)) = meaning.filter(|(start, _)| !said.contains(start)) {
            said.push(*start);
            text.push_str(&format!("# {meaning}\n"));
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        presets,
        spec::{ChainSpec, Difficulty},
    };

    use super::*;

    #[test]
    fn it_means_the_same_and_explains_every_key() {
        let difficulty = Difficulty::Asert { half_life_ms: 1 };
        for spec in [presets::dev(), ChainSpec { closed: true, difficulty, ..presets::dev() }] {
            let text = explained(&spec);
            assert_eq!(ChainSpec::from_toml(&text), Ok(spec.clone()));
            for line in spec.to_toml().lines().filter(|line| !line.is_empty() && !line.starts_with("address")) {
                assert!(MEANINGS.iter().any(|(start, _)| line.starts_with(start)), "{line}");
            }
        }
        assert_eq!(explained(&presets::dev()).matches("Who has what").count(), 1);
    }
}
