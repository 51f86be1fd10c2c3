//! What a transaction does, in words: what a person checks before it is signed.

use bard_chain::{
    address::Address,
    transaction::{Action, Transaction},
    units::Amount,
};

/// Characters of a record's text that are shown.
const TEXT_SHOWN: usize = 200;

/// One line for each thing to check. Addresses are shown whole: a name may be anybody's.
pub(super) fn of(
    transaction: &Transaction,
    chain: &str,
    id: &str,
    name: impl Fn(&Address) -> Option<String>,
) -> String {
    let who =
        |address: &Address| name(address).map_or_else(|| address.to_string(), |name| format!("{address} ({name})"));
    let what = match &transaction.action {
        Action::Transfer { to, amount } => format!("pay       {amount}\nto        {}", who(to)),
        Action::Record { content_type, bytes } => format!("record    {}", content(content_type, bytes)),
        Action::ItemRequest { item } => format!("take      {item}"),
        Action::ItemRelease { item } => format!("give back {item}"),
        Action::ItemTransfer { item, to } => format!("hand on   {item}\nto        {}", who(to)),
    };
    let fee = if transaction.fee == Amount::ZERO { "none".to_owned() } else { transaction.fee.to_string() };
    format!(
        "{what}\nfrom      {}\nfee       {fee}\nnonce     {}\nchain     {chain} ({id})",
        who(&transaction.sender),
        transaction.nonce
    )
}

/// The content of a record: text as it is, without what a terminal could take for a command.
fn content(content_type: &str, bytes: &[u8]) -> String {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| content_type.starts_with("text/")) else {
        return format!("{} bytes of {content_type}", bytes.len());
    };
    let shown: String = text.chars().take(TEXT_SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect();
    let more = if text.chars().nth(TEXT_SHOWN).is_some() { "..." } else { "" };
    format!("{shown:?}{more} ({} bytes of {content_type})", bytes.len())
}

#[cfg(test)]
mod tests {
    use bard_chain::{presets, transaction::ItemName, units::Nonce};

    use super::*;

    #[test]
    fn every_action_has_its_words() {
        let key = presets::dev_key("alice").expect("known");
        let to = Address::new([3; 32]);
        let item = ItemName::new("kiln");
        for (action, parts) in [
            (Action::Transfer { to, amount: Amount::new(50) }, vec!["pay       50", "bard1"]),
            (
                Action::Record { content_type: "text/plain".to_owned(), bytes: b"a\x1bb".to_vec() },
                vec!["\"a?b\"", "3 bytes of text/plain"],
            ),
            (Action::Record { content_type: "image/png".to_owned(), bytes: vec![0; 9] }, vec!["9 bytes of image/png"]),
            (Action::ItemRequest { item: item.clone() }, vec!["take      kiln"]),
            (Action::ItemRelease { item: item.clone() }, vec!["give back kiln"]),
            (Action::ItemTransfer { item, to }, vec!["hand on   kiln", "to        bard1"]),
        ] {
            let chain = presets::dev().chain_id();
            let transaction = Transaction::sign(chain, &key, Nonce::new(4), Amount::ZERO, action);
            let words =
                of(&transaction, "dev", "0123", |address| (*address == key.address()).then(|| "alice".to_owned()));
            let own = key.address().to_string();
            for part in parts.into_iter().chain(["(alice)", &own, "fee       none", "nonce     4", "dev (0123)"]) {
                assert!(words.contains(part), "{part} is not in {words}");
            }
        }
    }
}
