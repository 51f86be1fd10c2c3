//! The chains that are built in, and the accounts whose keys everybody knows.

use crate::{
    address::Address,
    hash::Domain,
    pow::PowFunction,
    signature::SecretKey,
    spec::{ChainSpec, Difficulty, Subsidy},
    target::CompactTarget,
    units::{Amount, Timestamp},
};

/// The names of the accounts of the `dev` chain. Their keys are public by design.
pub const DEV_ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// What each of the accounts of the `dev` chain starts with.
const DEV_SHARE: Amount = Amount::new(250_000);

/// The key of an account of the `dev` chain: anybody can compute it.
pub fn dev_key(name: &str) -> Option<SecretKey> {
    let name = DEV_ACCOUNTS.iter().find(|known| **known == name)?;
    Some(SecretKey::from_seed(Domain::DevAccount.hash(&[name.as_bytes()]).as_bytes()))
}

/// The name of an account of the `dev` chain.
pub fn dev_name(address: &Address) -> Option<&'static str> {
    DEV_ACCOUNTS.into_iter().find(|name| dev_key(name).is_some_and(|key| key.address() == *address))
}

/// The built-in chain for trying things out: an easy, fixed target, so that a block takes milliseconds, and four accounts
/// whose keys are public.
pub fn dev() -> ChainSpec {
    let mut allocations: Vec<_> =
        DEV_ACCOUNTS.iter().filter_map(|name| dev_key(name)).map(|key| (key.address(), DEV_SHARE)).collect();
    allocations.sort_unstable();
    ChainSpec {
        name: "dev".to_owned(),
        pow: PowFunction::Sha256d,
        // 2026-01-01T00:00:00Z
        genesis_time: Timestamp::new(1_767_225_600_000),
        target_interval_ms: 2_000,
        difficulty: Difficulty::Fixed,
        // 65,536 hashes a block on average, as in the programs BlockBard replaces (four zero hex digits).
        initial_target: CompactTarget::new(0x1f00_ffff),
        easiest_target: CompactTarget::new(0x1f00_ffff),
        subsidy: Subsidy { amount: 10, halving_interval: 0, last_height: 100_000_000_000 },
        max_block_bytes: 2 << 20,
        max_record_bytes: 64 << 10,
        max_reorg_depth: 20_000,
        max_drift_ms: 120_000,
        closed: false,
        allocations,
    }
}

/// The built-in chain of this name.
pub fn built_in(name: &str) -> Option<ChainSpec> {
    (name == "dev").then(dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dev_accounts_share_a_million() {
        let dev = dev();
        assert_eq!(dev.allocations.iter().map(|(_, amount)| amount.get()).sum::<u64>(), 1_000_000);
        for name in DEV_ACCOUNTS {
            let address = dev_key(name).expect("known").address();
            assert_eq!(dev_name(&address), Some(name));
        }
        assert!(dev_key("mallory").is_none());
    }
}
