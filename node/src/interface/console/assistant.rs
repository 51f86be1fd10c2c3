//! What the editor asks while a line is typed: words for Tab, a hint after the cursor, colours.

use std::{borrow::Cow, sync::Arc};

use rustyline::{
    Context, Helper, Result,
    completion::{Completer, Pair},
    highlight::Highlighter,
    hint::Hinter,
    history::SearchDirection,
    validate::Validator,
};

use super::{
    complete::{self, Kind},
    terminal::Editing,
    words::Words,
};

/// Answers the editor at once, from what is known already.
pub(super) struct Assistant {
    words: Arc<Words>,
    editing: Arc<Editing>,
    colours: bool,
    /// What is asked for, where it is no command.
    pub(super) asked: Option<Kind>,
}

impl Assistant {
    pub(super) const fn new(words: Arc<Words>, editing: Arc<Editing>, colours: bool) -> Self {
        Self { words, editing, colours, asked: None }
    }
}

/// A hint, and how much of it is taken over by the right arrow.
pub(super) struct Hint {
    shown: String,
    sure: usize,
}

impl rustyline::hint::Hint for Hint {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        self.shown.get(..self.sure).filter(|sure| !sure.is_empty())
    }
}

impl Hinter for Assistant {
    type Hint = Hint;

    /// The editor asks for this before it draws a line, so this is when news must come by way of it.
    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<Hint> {
        self.editing.set(true);
        // Without colours a hint could not be told from what was typed.
        if !self.colours || self.asked.is_some() || pos < line.len() || line.trim_start().is_empty() {
            return None;
        }
        if let Some(complete::Rest { shown, sure }) = complete::rest(line.trim_start()) {
            return Some(Hint { shown, sure });
        }
        let last = context.history().len().checked_sub(1)?;
        let found = context.history().starts_with(line, last, SearchDirection::Reverse).ok()??;
        let shown = found.entry.get(line.len()..).filter(|rest| !rest.is_empty())?.to_owned();
        Some(Hint { sure: shown.len(), shown })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let (start, offers) = complete::offers(line.get(..pos).unwrap_or(line), self.asked, &self.words.known());
        let pair = |offer: complete::Offer| {
            let blank = if offer.more && self.asked.is_none() { " " } else { "" };
            Pair { replacement: format!("{}{blank}", offer.word), display: offer.word }
        };
        Ok((start, offers.into_iter().map(pair).collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(format!("\u{1b}[1;36m{prompt}\u{1b}[0m"))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\u{1b}[2m{hint}\u{1b}[0m"))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}
