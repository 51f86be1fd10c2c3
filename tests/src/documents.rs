//! The commands that the documents show, taken from their text: what somebody reads is what a test runs.
//!
//! A block is known by its page and its section: the heading above it, and after a comma the words in bold that begin a paragraph
//! below that heading, as in `A chain of your own, Compose`. `tests/deploy/typed/block` reads pages in the same way for trials that are scripts.

use std::fs;

use crate::workspace::root;

/// A fenced block of a page.
#[derive(Clone, Debug)]
pub struct Block {
    /// The page, by its path inside the workspace.
    pub page: String,
    /// Where in the page it stands.
    pub section: String,
    /// What stands after the fence.
    pub language: String,
    /// What is between the fences.
    pub text: String,
}

impl Block {
    /// The lines of commands: those that go on joined, without comment lines.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.text)
    }
}

/// Every block of a page, in their order.
///
/// # Panics
/// Where there is no such page.
pub fn all_blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (mut heading, mut part) = (String::new(), String::new());
    let mut open: Option<Block> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(language), None) => {
                let section = if part.is_empty() { heading.clone() } else { format!("{heading}, {part}") };
                open =
                    Some(Block { page: page.to_owned(), section, language: language.to_owned(), text: String::new() });
            }
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {
                if let Some(words) = line.strip_prefix('#') {
                    (heading, part) = (words.trim_start_matches('#').trim().to_owned(), String::new());
                } else if let Some((words, _)) = line.strip_prefix("**").and_then(|rest| rest.split_once(".**")) {
                    words.clone_into(&mut part);
                }
            }
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    found
}

/// The blocks of a page in one language.
///
/// # Panics
/// Where there is none.
pub fn blocks(page: &str, language: &str) -> Vec<Block> {
    let found: Vec<_> = all_blocks(page).into_iter().filter(|block| block.language == language).collect();
    assert!(!found.is_empty(), "{page}: no block of {language}");
    found
}

/// The blocks of a section of a page that hold commands.
///
/// # Panics
/// Where there is none.
pub fn section(page: &str, section: &str) -> Vec<Block> {
    let here = |block: &Block| block.section == section && is_for_a_shell(&block.language);
    let found: Vec<_> = all_blocks(page).into_iter().filter(here).collect();
    assert!(!found.is_empty(), "{page}: no commands in {section:?}");
    found
}

/// Whether a block of this language is typed into a shell.
pub fn is_for_a_shell(language: &str) -> bool {
    ["console", "sh"].contains(&language)
}

/// The lines of a block, those that go on joined.
pub fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// A line without the remark behind it.
pub fn typed(line: &str) -> &str {
    line.split("  #").next().unwrap_or_default().trim_end()
}
