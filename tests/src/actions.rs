//! The public keys of the `dev` chain and short names for actions, so that a test reads as what happens.

use bard_chain::{
    address::Address,
    presets,
    signature::SecretKey,
    transaction::{Action, ItemName},
    units::Amount,
};

/// The key of a `dev` account.
///
/// # Panics
/// For a name that is not one of [`presets::DEV_ACCOUNTS`].
pub fn key(name: &str) -> SecretKey {
    presets::dev_key(name).unwrap_or_else(|| panic!("{name} is no dev account"))
}

/// The address of a `dev` account.
pub fn address(name: &str) -> Address {
    key(name).address()
}

/// Pays `amount` to a `dev` account.
pub fn pay(to: &str, amount: u64) -> Action {
    Action::Transfer { to: address(to), amount: Amount::new(amount) }
}

/// Puts a text on record.
pub fn record(text: &str) -> Action {
    Action::Record { content_type: "text/plain".to_owned(), bytes: text.as_bytes().to_vec() }
}

/// Takes a free item.
pub fn request(item: &str) -> Action {
    Action::ItemRequest { item: ItemName::new(item) }
}

/// Gives an item back.
pub fn release(item: &str) -> Action {
    Action::ItemRelease { item: ItemName::new(item) }
}

/// Hands an item on to a `dev` account.
pub fn hand_over(item: &str, to: &str) -> Action {
    Action::ItemTransfer { item: ItemName::new(item), to: address(to) }
}
