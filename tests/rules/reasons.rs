//! One test for every reason to refuse, and none without one.

use bard_chain::{
    invalid::{Blame, Invalid, TransactionFault},
    mempool::PoolRefusal,
};
use bard_tests::workspace::{enum_variants, root};

use crate::{block_reasons, pool_reasons, transaction_reasons};

/// Makes a test of each case: it must end in that very reason, and blame who is named, where a reason says whose fault it is.
macro_rules! each_reason {
    ($reason:ident in $file:literal, $cases:ident: $($variant:ident $(, $blame:ident)? <- $case:ident;)+) => {
        const TESTED: &[&str] = &[$(stringify!($variant)),+];

        $(
            #[test]
            fn $case() {
                let reason = $cases::$case();
                assert!(matches!(reason, $reason::$variant { .. }), "refused, but with {reason:?}");
                $(assert_eq!(reason.blame(), Blame::$blame);)?
            }
        )+

        #[test]
        fn every_reason_has_its_test() {
            let source = std::fs::read_to_string(root().join($file)).expect("the rulebook");
            let mut variants = enum_variants(&source, stringify!($reason));
            let mut tested = TESTED.to_vec();
            variants.sort_unstable();
            tested.sort_unstable();
            assert_eq!(variants, tested, "the variants of {} on the left, those with a test on the right", stringify!($reason));
        }
    };
}

mod of_blocks {
    use super::{Blame, Invalid, block_reasons, enum_variants, root};

    each_reason! {
        Invalid in "chain/src/invalid.rs", block_reasons:
        Encoding, Sender <- bytes_that_are_no_block;
        TooLarge, Sender <- one_byte_more_than_the_longest_block;
        Version, Sender <- a_block_of_another_version;
        TargetMalformed, Sender <- a_target_with_a_second_spelling;
        TargetTooEasy, Sender <- a_target_easier_than_the_easiest;
        WorkMissing, Sender <- a_nonce_that_misses_the_target;
        HeightTooLarge, Sender <- a_height_beyond_the_last;
        TransactionsRoot, Sender <- other_transactions_than_the_header_says;
        Transaction, Sender <- a_bad_transaction_is_named_by_its_place;
        UnknownParent, Nobody <- a_block_before_its_parent;
        InvalidAncestor, Sender <- a_child_of_a_block_that_was_refused;
        KnownInvalid, Sender <- a_refused_block_a_second_time;
        Height, Sender <- a_height_that_does_not_follow;
        Target, Sender <- another_target_than_the_chain_asks_for;
        TimeTooOld, Sender <- a_time_not_after_the_median;
        TimeTooNew, Nobody <- a_time_too_far_in_the_future;
        ForkTooDeep, Nobody <- a_branch_that_left_too_far_back;
        ForkBelowStart, Nobody <- a_branch_that_left_below_the_state_a_node_began_with;
        TooManyBranches, Nobody <- one_branch_more_than_are_kept;
        StateRoot, Sender <- another_state_than_the_header_says;
        RewardOverflow, Sender <- a_reward_that_does_not_fit;
    }
}

mod of_transactions {
    use super::{Blame, TransactionFault, enum_variants, root, transaction_reasons};

    each_reason! {
        TransactionFault in "chain/src/invalid.rs", transaction_reasons:
        Encoding, Sender <- bytes_that_are_no_transaction;
        Version, Sender <- a_transaction_of_another_version;
        AmountZero, Sender <- a_transfer_of_nothing;
        AmountTooLarge, Sender <- an_amount_larger_than_any_supply;
        FeeTooLarge, Sender <- a_fee_larger_than_any_supply;
        ItemName, Sender <- names_that_no_item_may_have;
        RecordTooLarge, Sender <- a_record_one_byte_too_long;
        RecordContentType, Sender <- content_types_that_are_none;
        Signature, Sender <- signatures_of_something_or_somebody_else;
        NonceUsed, Nobody <- a_replay;
        NonceGap, Nobody <- a_nonce_too_far;
        BalanceTooSmall, Nobody <- more_than_the_sender_has;
        Overflow, Nobody <- more_than_the_recipient_can_hold;
        ItemHeld, Nobody <- a_request_for_a_held_item;
        ItemFree, Nobody <- a_release_of_a_free_item;
        ItemOfAnother, Nobody <- a_release_of_another_s_item;
    }
}

mod of_the_pool {
    use super::{PoolRefusal, enum_variants, pool_reasons, root};

    each_reason! {
        PoolRefusal in "chain/src/mempool/refusal.rs", pool_reasons:
        AlreadyKnown <- one_that_is_in_the_pool_already;
        Full <- a_fee_no_higher_than_the_cheapest_when_full;
        FullBehind <- a_high_fee_behind_a_low_one_when_full;
        SenderFull <- one_more_than_a_sender_may_have;
        FeeTooLow <- too_little_more_for_the_place_of_another;
        TooManyFollow <- the_place_of_one_that_too_many_follow;
        WaitingFull <- one_more_than_may_wait;
        Fault <- one_that_breaks_a_rule_after_what_is_in_the_pool;
        Source <- a_ledger_that_cannot_be_read;
    }
}
