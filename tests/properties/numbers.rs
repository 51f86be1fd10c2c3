//! Targets, work and the difficulty rule.

use bard_chain::{
    difficulty::{Anchor, Asert},
    spec::{ChainSpec, Subsidy},
    target::{CompactTarget, Target},
    units::{Amount, Height, Timestamp},
};
use bard_tests::{
    asert_reference::{Schedule, next_target},
    chain_builder::easy_spec,
};
use proptest::prelude::*;
use ruint::aliases::{U256, U512};

use crate::{cases, strategies};

/// Not zero, and no easier than the easiest.
fn target() -> impl Strategy<Value = Target> {
    strategies::big_number()
        .prop_map(|value| Target::new(value.min(Target::EASIEST.value())).unwrap_or(Target::HARDEST))
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn packing_loses_little_and_never_makes_easier(target in target()) {
        let packed = target.compact().expand().expect("canonical");
        prop_assert!(packed <= target);
        let lost = target.value() - packed.value();
        prop_assert!(lost <= target.value() >> 15, "{target:?} became {packed:?}");
        prop_assert_eq!(packed.compact(), target.compact());
    }

    #[test]
    fn what_unpacks_packs_to_the_same(bits in any::<u32>(), length in 0..36_u32) {
        for bits in [bits, length << 24 | bits & 0x00ff_ffff, length << 24 | bits & 0x0000_ffff] {
            if let Some(target) = CompactTarget::new(bits).expand() {
                prop_assert_eq!(target.compact().bits(), bits);
                prop_assert!(target <= Target::EASIEST);
            }
        }
    }

    #[test]
    fn work_is_two_to_the_256_over_the_target_and_one(value in strategies::big_number()) {
        let Some(target) = Target::new(value) else { return Ok(()) };
        let wide: U512 = value.to();
        let quotient: U512 = (U512::ONE << 256_usize) / (wide + U512::ONE);
        let expected: U256 = quotient.to();
        prop_assert_eq!(target.work().to_be_bytes(), expected.to_be_bytes::<32>());
    }

    #[test]
    fn an_id_meets_a_target_when_it_is_no_larger(target in target(), id in any::<[u8; 32]>()) {
        prop_assert_eq!(target.is_met_by(&id), U256::from_be_bytes(id) <= target.value());
        prop_assert!(target.is_met_by(&target.to_be_bytes()));
    }

    #[test]
    fn asert_is_what_its_specification_says(
        anchor_target in target(),
        easiest in target(),
        (interval, half_life) in (1..2_592_000_000_u64, 1..2_592_000_000_u64),
        (anchor_time, time) in (0..1_i64 << 53, 0..1_i64 << 53),
        near in any::<bool>(),
        blocks in 0..1_u64 << 40,
    ) {
        // Far from the schedule the target is at its end; so half of the cases stay within a few half-lives of it.
        let blocks = if near { blocks % 10_000 } else { blocks };
        let signed = |value: u64| i64::try_from(value).expect("below 63 bits");
        let around = 3 * signed(half_life);
        let time = match near {
            true => (anchor_time + signed(interval * blocks) + time % (2 * around) - around).max(0),
            false => time,
        };
        let easiest = easiest.max(anchor_target);
        let schedule = Schedule {
            anchor_height: 1,
            anchor_parent_time: anchor_time,
            anchor_target: anchor_target.value(),
            interval,
            half_life,
            easiest: easiest.value(),
        };
        let parent_time = Timestamp::new(anchor_time.unsigned_abs());
        let anchor = Anchor { height: Height::new(1), parent_time, target: anchor_target };
        let height = blocks + 1;
        let found = Asert { interval, half_life, easiest }.next_target(&anchor, Height::new(height), Timestamp::new(time.unsigned_abs()));
        prop_assert_eq!(found.value(), next_target(&schedule, height, time));
    }

    #[test]
    fn asert_survives_every_number(
        numbers in prop::array::uniform6(any::<u64>()), target in target(), easiest in target(),
    ) {
        let [interval, half_life, anchor_height, parent_time, height, time] = numbers;
        let anchor = Anchor { height: Height::new(anchor_height), parent_time: Timestamp::new(parent_time), target };
        let asert = Asert { interval, half_life, easiest };
        for half_life in [half_life, 0, 1] {
            let next = Asert { half_life, ..asert }.next_target(&anchor, Height::new(height), Timestamp::new(time));
            prop_assert!(next <= easiest);
        }
    }

    #[test]
    fn a_checked_specification_never_pays_more_than_any_supply(
        amount in strategies::number(), halving_interval in strategies::number(), last_height in 0..=Height::MAX.get(),
    ) {
        let subsidy = Subsidy { amount, halving_interval, last_height };
        let spec = ChainSpec { subsidy, ..easy_spec() };
        let Ok(checked) = ChainSpec::from_toml(&spec.to_toml()) else { return Ok(()) };
        prop_assert_eq!(&checked, &spec);
        let issued: u128 = spec.allocations.iter().map(|(_, amount)| u128::from(amount.get())).sum();
        // Each halving's blocks pay alike: their first stands for all of them.
        let period = if halving_interval == 0 { last_height } else { halving_interval };
        let starts = (0..64_u64).map_while(|i| i.checked_mul(period)?.checked_add(1)).take_while(|start| *start <= last_height);
        let paid: u128 = starts
            .map(|start| u128::from(subsidy.at(Height::new(start)).get()) * u128::from(period.min(last_height - start + 1)))
            .take(if halving_interval == 0 { 1 } else { 64 })
            .sum();
        prop_assert!(issued + paid <= u128::from(Amount::MAX.get()));
    }
}
