//! What a transaction and a block do to the ledger: the rules that need balances and items.

use crate::{
    address::Address,
    block::Block,
    invalid::{Invalid, TransactionFault},
    ledger::{Account, Delta, Item, Overlay, View},
    source::SourceError,
    spec::ChainSpec,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Nonce},
};

/// Why something could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError<F> {
    /// A rule forbids it.
    Fault(F),
    /// The ledger could not be read.
    Source(SourceError),
}

impl<F> From<SourceError> for ApplyError<F> {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<TransactionFault> for ApplyError<TransactionFault> {
    fn from(fault: TransactionFault) -> Self {
        Self::Fault(fault)
    }
}

type Applied = Result<(), ApplyError<TransactionFault>>;

/// Applies a block to `base`: its transactions in order, then subsidy and fees to its miner.
///
/// The state root is not compared here: [`crate::rules::in_state`] does.
///
/// # Errors
/// The first transaction that cannot apply, with the rule it breaks.
pub fn apply_block<V: View>(spec: &ChainSpec, base: V, block: &Block) -> Result<Delta, ApplyError<Invalid>> {
    let mut ledger = Overlay::new(base);
    let mut fees = Amount::ZERO;
    for (index, transaction) in (0..).zip(&block.transactions) {
        apply_transaction(&mut ledger, transaction).map_err(|error| match error {
            ApplyError::Fault(fault) => ApplyError::Fault(Invalid::Transaction { index, fault }),
            ApplyError::Source(error) => ApplyError::Source(error),
        })?;
        fees = fees.checked_add(transaction.fee).ok_or(ApplyError::Fault(Invalid::RewardOverflow))?;
    }
    let miner = block.header.miner;
    let before = ledger.account(&miner)?;
    let reward = spec.subsidy.at(block.header.height).checked_add(fees);
    let balance = reward.and_then(|reward| before.balance.checked_add(reward));
    let balance = balance.ok_or(ApplyError::Fault(Invalid::RewardOverflow))?;
    ledger.change_account(miner, before, Account { balance, ..before });
    Ok(ledger.into_delta())
}

/// Applies one transaction whole, or leaves the ledger as it is.
///
/// # Errors
/// The rule that forbids it.
pub fn apply_transaction<V: View>(ledger: &mut Overlay<V>, transaction: &Transaction) -> Applied {
    let before = ledger.account(&transaction.sender)?;
    let mut sender = before;
    check_nonce(transaction.nonce, sender.nonce)?;
    let amount = match &transaction.action {
        Action::Transfer { amount, .. } => *amount,
        Action::Record { .. }
        | Action::ItemRequest { .. }
        | Action::ItemRelease { .. }
        | Action::ItemTransfer { .. } => Amount::ZERO,
    };
    let spent = amount.checked_add(transaction.fee).ok_or(TransactionFault::Overflow)?;
    let balance = sender.balance;
    sender.balance = balance.checked_sub(spent).ok_or(TransactionFault::BalanceTooSmall { balance, spent })?;
    sender.nonce = sender.nonce.next().ok_or(TransactionFault::Overflow)?;
    let holder_after = holder_after(ledger, transaction)?;
    let paid = match &transaction.action {
        Action::Transfer { to, amount } if *to == transaction.sender => {
            sender.balance = sender.balance.checked_add(*amount).ok_or(TransactionFault::Overflow)?;
            None
        }
        // The whole supply fits in an amount, so this cannot overflow while money is conserved.
        Action::Transfer { to, amount } => {
            let account = ledger.account(to)?;
            Some((*to, account, credited(account, *amount)?))
        }
        Action::Record { .. }
        | Action::ItemRequest { .. }
        | Action::ItemRelease { .. }
        | Action::ItemTransfer { .. } => None,
    };

    // The one step that can fail comes before any change.
    if let Some((name, holder)) = holder_after {
        ledger.set_item(name, Some(Item { holder }))?;
    }
    ledger.change_account(transaction.sender, before, sender);
    if let Some((to, before, account)) = paid {
        ledger.change_account(to, before, account);
    }
    Ok(())
}

fn check_nonce(nonce: Nonce, expected: Nonce) -> Result<(), TransactionFault> {
    match nonce.cmp(&expected) {
        core::cmp::Ordering::Less => Err(TransactionFault::NonceUsed { nonce, expected }),
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => Err(TransactionFault::NonceGap { nonce, expected }),
    }
}

/// Who holds the transaction's item afterwards, if it is about one and the rules of custody allow it.
fn holder_after<V: View>(
    ledger: &Overlay<V>,
    transaction: &Transaction,
) -> Result<Option<(ItemName, Option<Address>)>, ApplyError<TransactionFault>> {
    let Some(name) = transaction.action.item() else { return Ok(None) };
    let holder = ledger.item(name)?.and_then(|item| item.holder);
    let sender = transaction.sender;
    let item = || name.as_str().to_owned();
    let own = || match holder {
        None => Err(TransactionFault::ItemFree { item: item() }),
        Some(holder) if holder != sender => Err(TransactionFault::ItemOfAnother { item: item() }),
        Some(_) => Ok(()),
    };
    let after = match &transaction.action {
        Action::Transfer { .. } | Action::Record { .. } => return Ok(None),
        Action::ItemRequest { .. } => match holder {
            Some(_) => return Err(TransactionFault::ItemHeld { item: item() }.into()),
            None => Some(sender),
        },
        Action::ItemRelease { .. } => own().map(|()| None)?,
        Action::ItemTransfer { to, .. } => own().map(|()| Some(*to))?,
    };
    Ok(Some((name.clone(), after)))
}

/// An account with `amount` more.
fn credited(account: Account, amount: Amount) -> Result<Account, TransactionFault> {
    let balance = account.balance.checked_add(amount).ok_or(TransactionFault::Overflow)?;
    Ok(Account { balance, ..account })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::ChainId, ledger::MemoryLedger, presets, signature::SecretKey};

    fn ledger() -> Overlay<MemoryLedger> {
        let mut memory = MemoryLedger::default();
        memory.apply(&presets::dev().genesis_delta());
        Overlay::new(memory)
    }

    fn alice() -> SecretKey {
        presets::dev_key("alice").expect("known")
    }

    fn bob() -> SecretKey {
        presets::dev_key("bob").expect("known")
    }

    fn by(key: &SecretKey, nonce: u64, fee: u64, action: Action) -> Transaction {
        Transaction::sign(ChainId::ZERO, key, Nonce::new(nonce), Amount::new(fee), action)
    }

    fn transfer(amount: u64) -> Action {
        Action::Transfer { to: bob().address(), amount: Amount::new(amount) }
    }

    fn fault(ledger: &mut Overlay<MemoryLedger>, transaction: &Transaction) -> TransactionFault {
        let before = ledger.delta().clone();
        match apply_transaction(ledger, transaction) {
            Err(ApplyError::Fault(fault)) => {
                assert_eq!(*ledger.delta(), before, "a refused transaction changes nothing");
                fault
            }
            other => panic!("expected a fault, got {other:?}"),
        }
    }

    #[test]
    fn a_transfer_moves_amount_and_fee() {
        let mut ledger = ledger();
        apply_transaction(&mut ledger, &by(&alice(), 0, 3, transfer(50))).expect("applies");
        let balance = |key: &SecretKey| ledger.account(&key.address()).expect("reads").balance.get();
        assert_eq!((balance(&alice()), balance(&bob())), (249_947, 250_050));
    }

    #[test]
    fn a_transfer_to_oneself_costs_the_fee() {
        let mut ledger = ledger();
        let to = alice().address();
        let action = Action::Transfer { to, amount: Amount::new(249_997) };
        apply_transaction(&mut ledger, &by(&alice(), 0, 3, action)).expect("applies");
        assert_eq!(ledger.account(&to).expect("reads").balance.get(), 249_997);
    }

    #[test]
    fn money_rules() {
        let mut ledger = ledger();
        assert!(matches!(
            fault(&mut ledger, &by(&alice(), 0, 1, transfer(250_000))),
            TransactionFault::BalanceTooSmall { .. }
        ));
        assert!(matches!(fault(&mut ledger, &by(&alice(), 1, 0, transfer(1))), TransactionFault::NonceGap { .. }));
        let overflowing = by(&alice(), 0, u64::MAX, transfer(u64::MAX));
        assert_eq!(fault(&mut ledger, &overflowing), TransactionFault::Overflow);
        let first = by(&alice(), 0, 0, transfer(1));
        apply_transaction(&mut ledger, &first).expect("applies");
        assert!(matches!(fault(&mut ledger, &first), TransactionFault::NonceUsed { .. }), "a replay");
    }

    #[test]
    fn the_last_nonce_of_all_is_never_used() {
        let mut ledger = ledger();
        let mut account = ledger.account(&alice().address()).expect("reads");
        account.nonce = Nonce::new(u64::MAX - 1);
        ledger.set_account(alice().address(), account).expect("in memory");
        apply_transaction(&mut ledger, &by(&alice(), u64::MAX - 1, 0, transfer(1))).expect("the one before it is");
        assert_eq!(fault(&mut ledger, &by(&alice(), u64::MAX, 0, transfer(1))), TransactionFault::Overflow);
        assert!(matches!(fault(&mut ledger, &by(&alice(), 0, 0, transfer(1))), TransactionFault::NonceUsed { .. }));
    }

    #[test]
    fn custody_rules() {
        let mut ledger = ledger();
        let item = || ItemName::new("projector");
        let request = || Action::ItemRequest { item: item() };
        let release = || Action::ItemRelease { item: item() };
        assert!(matches!(fault(&mut ledger, &by(&alice(), 0, 0, release())), TransactionFault::ItemFree { .. }));
        apply_transaction(&mut ledger, &by(&alice(), 0, 0, request())).expect("applies");
        assert!(matches!(fault(&mut ledger, &by(&bob(), 0, 0, request())), TransactionFault::ItemHeld { .. }));
        assert!(matches!(fault(&mut ledger, &by(&alice(), 1, 0, request())), TransactionFault::ItemHeld { .. }));
        assert!(matches!(fault(&mut ledger, &by(&bob(), 0, 0, release())), TransactionFault::ItemOfAnother { .. }));
        let hand_over = Action::ItemTransfer { item: item(), to: bob().address() };
        apply_transaction(&mut ledger, &by(&alice(), 1, 0, hand_over)).expect("applies");
        assert!(matches!(fault(&mut ledger, &by(&alice(), 2, 0, release())), TransactionFault::ItemOfAnother { .. }));
        apply_transaction(&mut ledger, &by(&bob(), 0, 0, release())).expect("applies");
        assert_eq!(ledger.item(&item()), Ok(Some(Item { holder: None })), "free again, and still known");
    }
}
