//! Which of several words a mistyped one may be.

/// Letters that may differ between a word and what was typed for it.
const MAX_DISTANCE: usize = 2;
/// The longest text that is compared, in bytes: the comparison takes the product of two lengths.
const MAX_LEN: usize = 64;

/// The word that is nearest to what was typed, where one is near: at most two letters are missing, too many, changed or swapped.
/// Of words that are equally near it is the first by alphabet.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > MAX_LEN {
        return None;
    }
    let lower = typed.to_lowercase();
    let fits = |word: &&str| word.len().abs_diff(typed.len()) <= 2 * MAX_DISTANCE && word.len() <= MAX_LEN;
    let distance = |word: &'a str| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word);
    let (distance, word) = words.into_iter().filter(fits).map(distance).min()?;
    // Of a short word, so many letters are all of it.
    (distance <= MAX_DISTANCE && distance < word.len().min(typed.len()).max(1)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_may_be_meant() {
        let near = |typed: &str| nearest(typed, ["me", "alice", "bob", "status", "mine"]);
        assert_eq!(near("alcie"), Some("alice"));
        assert_eq!(near("Bob"), Some("bob"));
        assert_eq!(near("ne"), Some("me"));
        assert_eq!(near("statsu"), Some("status"));
        assert_eq!(near("mien"), Some("mine"));
        for far in ["zz", "mallory", "", "xyzzyplugh"] {
            assert_eq!(near(far), None, "{far}");
        }
        assert_eq!(near(&"alice".repeat(1_000)), None);
    }
}
