//! What a key may be called, and which name may be meant.

use bard_chain::{address::Address, signature::anybody_can_spend, transaction::Action};

use super::UnknownName;
use crate::near;

/// The longest name, in characters.
pub const MAX_NAME: usize = 32;
/// Names that an error lists.
const NAMES_SHOWN: usize = 16;

/// Whether a text can be the name of a key.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits) && !looks_like_address(text)
}

/// Whether a text is meant to be an address: it begins as one, or is too long for a name.
fn looks_like_address(text: &str) -> bool {
    text.len() > MAX_NAME || text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("bard1"))
}

/// Refuses an action that gives something away to whoever comes first: the chain takes it, and nobody can mean it.
///
/// # Errors
/// Why, in a line.
pub fn check_recipient(action: &Action) -> Result<(), String> {
    match action.recipient() {
        Some(to) if anybody_can_spend(to) => {
            Err(format!("to: {to} belongs to nobody: anybody could take what is there, without any key"))
        }
        _ => Ok(()),
    }
}

/// The address that a text is which is none of the known names.
pub(super) fn as_address<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Result<Address, UnknownName> {
    if looks_like_address(text) {
        return text.parse().map_err(|reason| UnknownName::Address { text: text.to_owned(), reason });
    }
    let known: Vec<_> = known.collect();
    let near = nearest(text, known.iter().copied());
    let more = if known.len() > NAMES_SHOWN { ", ..." } else { "" };
    let shown = known.get(..NAMES_SHOWN).unwrap_or(&known).join(", ");
    Err(UnknownName::Name { text: text.to_owned(), known: format!("{shown}{more}"), near })
}

/// The name that may be meant.
pub(super) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    near::nearest(text, names).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_meant() {
        let near = |text: &str| nearest(text, ["me", "alice", "bob"].into_iter());
        assert_eq!(near("alcie").as_deref(), Some("alice"));
        assert_eq!(near("Bob").as_deref(), Some("bob"));
        assert_eq!(near("ne").as_deref(), Some("me"));
        assert_eq!(near("zz"), None);
        assert_eq!(near("mallory"), None);
        assert_eq!(near(""), None);
    }
}
