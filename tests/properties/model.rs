//! The ledger beside a model of its rules, written from the rules and not from the code: plain maps, and numbers that cannot
//! overflow.

use std::collections::{BTreeMap, HashMap};

use bard_chain::{
    address::Address,
    block::{Block, Header},
    invalid::{Invalid, TransactionFault},
    ledger::{
        Account, Change, Delta, MemoryLedger,
        apply::{ApplyError, apply_block},
    },
    signature::Signature,
    spec::{ChainSpec, Subsidy},
    transaction::{self, Action, ItemName, Transaction},
    units::{Amount, Height, Nonce},
};
use bard_tests::chain_builder::easy_spec;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::cases;

/// The largest number that an account holds.
const MOST: i128 = (1 << 64) - 1;
const PEOPLE: u8 = 5;

fn who(number: u8) -> Address {
    Address::new([number; 32])
}

/// What everybody has, has confirmed and holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    balances: HashMap<Address, i128>,
    confirmed: HashMap<Address, i128>,
    holders: HashMap<String, Option<Address>>,
}

/// What the model says of a block.
#[derive(Debug)]
enum Verdict {
    Applies(Model),
    /// The transaction at this place breaks each of these rules.
    Breaks(u64, Vec<TransactionFault>),
    RewardOverflows,
}

fn amount(number: i128) -> Amount {
    Amount::new(u64::try_from(number).expect("64 bits"))
}

impl Model {
    fn balance(&self, of: &Address) -> i128 {
        self.balances.get(of).copied().unwrap_or(0)
    }

    fn expected(&self, of: &Address) -> i128 {
        self.confirmed.get(of).copied().unwrap_or(0)
    }

    /// Every rule that a transaction breaks.
    fn broken(&self, one: &Transaction) -> Vec<TransactionFault> {
        let mut broken = Vec::new();
        let (nonce, expected) = (one.nonce, Nonce::new(u64::try_from(self.expected(&one.sender)).expect("64 bits")));
        if nonce < expected {
            broken.push(TransactionFault::NonceUsed { nonce, expected });
        }
        if nonce > expected {
            broken.push(TransactionFault::NonceGap { nonce, expected });
        }
        let has = self.balance(&one.sender);
        let (pays, overflows) = match &one.action {
            Action::Transfer { to, amount } => {
                let pays = i128::from(amount.get());
                (pays, *to != one.sender && self.balance(to) + pays > MOST)
            }
            Action::Record { .. }
            | Action::ItemRequest { .. }
            | Action::ItemRelease { .. }
            | Action::ItemTransfer { .. } => (0, false),
        };
        let spent = pays + i128::from(one.fee.get());
        if spent > MOST || overflows || i128::from(expected.get()) == MOST {
            broken.push(TransactionFault::Overflow);
        }
        if spent > has && spent <= MOST {
            broken.push(TransactionFault::BalanceTooSmall { balance: amount(has), spent: amount(spent) });
        }
        broken.extend(self.custody(one));
        broken
    }

    /// The rule of custody that a transaction breaks.
    fn custody(&self, one: &Transaction) -> Option<TransactionFault> {
        let item = one.action.item()?.as_str().to_owned();
        let holder = self.holders.get(&item).copied().flatten();
        match (&one.action, holder) {
            (Action::ItemRequest { .. }, Some(_)) => Some(TransactionFault::ItemHeld { item }),
            (Action::ItemRequest { .. }, None) => None,
            (_, None) => Some(TransactionFault::ItemFree { item }),
            (_, Some(holder)) if holder != one.sender => Some(TransactionFault::ItemOfAnother { item }),
            (_, Some(_)) => None,
        }
    }

    /// Does what a transaction says that breaks no rule.
    fn apply(&mut self, one: &Transaction) {
        *self.balances.entry(one.sender).or_default() -= i128::from(one.fee.get());
        *self.confirmed.entry(one.sender).or_default() += 1;
        match &one.action {
            Action::Transfer { to, amount } => {
                *self.balances.entry(one.sender).or_default() -= i128::from(amount.get());
                *self.balances.entry(*to).or_default() += i128::from(amount.get());
            }
            Action::Record { .. } => {}
            Action::ItemRequest { item } => drop(self.holders.insert(item.as_str().to_owned(), Some(one.sender))),
            Action::ItemRelease { item } => drop(self.holders.insert(item.as_str().to_owned(), None)),
            Action::ItemTransfer { item, to } => drop(self.holders.insert(item.as_str().to_owned(), Some(*to))),
        }
    }

    fn block(&self, spec: &ChainSpec, block: &Block) -> Verdict {
        let mut after = self.clone();
        let mut reward = 0;
        for (place, one) in (0..).zip(&block.transactions) {
            let broken = after.broken(one);
            if !broken.is_empty() {
                return Verdict::Breaks(place, broken);
            }
            after.apply(one);
            reward += i128::from(one.fee.get());
            if reward > MOST {
                return Verdict::RewardOverflows;
            }
        }
        let height = block.header.height.get();
        if (1..=spec.subsidy.last_height).contains(&height) {
            let halvings = u32::try_from((height - 1) / spec.subsidy.halving_interval).expect("few");
            reward += i128::from(spec.subsidy.amount) / 2_i128.pow(halvings);
        }
        let has = after.balances.entry(block.header.miner).or_default();
        *has += reward;
        if *has > MOST { Verdict::RewardOverflows } else { Verdict::Applies(after) }
    }

    /// Whether a ledger holds just this.
    fn is(&self, ledger: &MemoryLedger) -> bool {
        let mut people: BTreeMap<Address, (i128, i128)> = BTreeMap::new();
        self.balances.iter().for_each(|(whose, has)| people.entry(*whose).or_default().0 = *has);
        self.confirmed.iter().for_each(|(whose, count)| people.entry(*whose).or_default().1 = *count);
        people.retain(|_, account| *account != (0, 0));
        let accounts = ledger
            .accounts()
            .map(|(whose, account)| (*whose, (i128::from(account.balance.get()), i128::from(account.nonce.get()))));
        let items = ledger.items().map(|(name, item)| (name.as_str().to_owned(), item.holder));
        accounts.collect::<BTreeMap<_, _>>() == people && items.collect::<HashMap<_, _>>() == self.holders
    }
}

/// A transaction, but for its nonce, and how far that is from the right one.
#[derive(Clone, Debug)]
struct Try {
    sender: u8,
    fee: u64,
    action: Action,
    off: i64,
}

/// Numbers at the ends of their ranges too.
fn money() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..100_u64,
        2 => 100..100_000_u64,
        1 => Just(Amount::MAX.get()),
        1 => (0..100_u64).prop_map(|less| u64::MAX - less),
        1 => any::<u64>(),
    ]
}

fn a_try() -> impl Strategy<Value = Try> {
    let item = || select(vec!["projector", "beamer", "screen"]).prop_map(ItemName::new);
    let to = || (0..PEOPLE).prop_map(who);
    let action = prop_oneof![
        3 => (to(), money()).prop_map(|(to, amount)| Action::Transfer { to, amount: Amount::new(amount) }),
        1 => Just(Action::Record { content_type: "text/plain".to_owned(), bytes: vec![1] }),
        2 => item().prop_map(|item| Action::ItemRequest { item }),
        1 => item().prop_map(|item| Action::ItemRelease { item }),
        1 => (item(), to()).prop_map(|(item, to)| Action::ItemTransfer { item, to }),
    ];
    let off = prop_oneof![12 => Just(0_i64), 1 => Just(-1_i64), 1 => 1..4_i64];
    let fee = prop_oneof![8 => 0..20_u64, 1 => money()];
    (0..PEOPLE, fee, action, off).prop_map(|(sender, fee, action, off)| Try { sender, fee, action, off })
}

fn account() -> impl Strategy<Value = Account> {
    let nonce = prop_oneof![6 => 0..3_u64, 1 => Just(u64::MAX - 1), 1 => Just(u64::MAX)];
    (money(), nonce).prop_map(|(balance, nonce)| Account { balance: Amount::new(balance), nonce: Nonce::new(nonce) })
}

/// The tries as transactions. Signatures are checked elsewhere.
fn signed(model: &Model, tries: &[Try]) -> Vec<Transaction> {
    let mut expected = model.confirmed.clone();
    let one = |one: &Try| {
        let next = expected.entry(who(one.sender)).or_default();
        let nonce = Nonce::new(u64::try_from(*next + i128::from(one.off)).unwrap_or(u64::MAX));
        *next += 1;
        Transaction {
            version: transaction::VERSION,
            sender: who(one.sender),
            nonce,
            fee: Amount::new(one.fee),
            action: one.action.clone(),
            signature: Signature::new([0; 64]),
        }
    };
    tries.iter().map(one).collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn the_ledger_does_what_the_model_does(
        accounts in vec(account(), usize::from(PEOPLE)),
        blocks in vec((vec(a_try(), 0..10), 0..PEOPLE), 1..8),
    ) {
        let subsidy = Subsidy { amount: 40, halving_interval: 2, last_height: 5 };
        let spec = ChainSpec { subsidy, ..easy_spec() };
        let (mut ledger, mut model, mut genesis) = (MemoryLedger::default(), Model::default(), Delta::default());
        for (whose, account) in (0..).map(who).zip(accounts) {
            genesis.accounts.insert(whose, Change { before: Account::default(), after: account });
            model.balances.insert(whose, account.balance.get().into());
            model.confirmed.insert(whose, account.nonce.get().into());
        }
        ledger.apply(&genesis);
        for ((mut tries, miner), height) in blocks.into_iter().zip(1..) {
            loop {
                let header = Header { height: Height::new(height), miner: who(miner), ..spec.genesis().header };
                let block = Block { header, transactions: signed(&model, &tries) };
                match (apply_block(&spec, &ledger, &block), model.block(&spec, &block)) {
                    (Ok(delta), Verdict::Applies(after)) => {
                        ledger.apply(&delta);
                        model = after;
                        break;
                    }
                    (Err(ApplyError::Fault(Invalid::Transaction { index, fault })), Verdict::Breaks(place, broken)) => {
                        prop_assert_eq!(index, place);
                        prop_assert!(broken.contains(&fault), "{fault:?} is not among {broken:?}");
                        tries.remove(usize::try_from(place).expect("few"));
                    }
                    (Err(ApplyError::Fault(Invalid::RewardOverflow)), Verdict::RewardOverflows) => break,
                    (ledger, model) => prop_assert!(false, "the ledger: {ledger:?}, the model: {model:?}"),
                }
            }
            prop_assert!(model.is(&ledger), "{model:?} against {ledger:?}");
        }
    }
}
