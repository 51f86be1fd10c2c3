//! What a source file uses: every path in its code, made absolute, with its line.

use bard_tests::workspace::{SourceFile, rust_files};

/// A path that a file names, such as `bard_node::keeper::Keeper` or `std::fs::read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The file, by its path inside the workspace.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// The room that uses it, such as `bard_node::keeper::task`.
    pub(crate) user: String,
    /// What it uses.
    pub(crate) used: String,
}

/// Every path that the sources of these crates name outside their tests.
pub(crate) fn all(crates: &[&str]) -> Vec<Import> {
    let files = crates.iter().flat_map(|name| rust_files(&format!("{name}/src")));
    files.filter(|file| !is_test(&file.path)).flat_map(|file| of_file(&file)).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every path that a file names outside its tests.
pub(crate) fn of_file(file: &SourceFile) -> Vec<Import> {
    let code = without_tests(&without_comments(&file.text));
    let user = module_of(&file.path);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let before = &code[..at];
        let root = before.rfind(|c: char| !is_word(c)).map_or(before, |end| &before[end + 1..]);
        let start = at - root.len();
        // Only where a path begins: not after `::`, not a macro's `$crate`, not a turbofish.
        if root.is_empty() || code[..start].ends_with([':', '$']) {
            continue;
        }
        let line = code[..start].matches('\n').count() + 1;
        let mut paths = Vec::new();
        expand(root, &code[at + 2..], &mut paths);
        let import =
            |path: String| Import { file: file.path.clone(), line, user: user.clone(), used: absolute(&user, &path) };
        found.extend(paths.into_iter().map(import));
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads what follows a path: a name, a further `::`, or a group in braces; returns what is left of the text.
fn expand<'a>(prefix: &str, rest: &'a str, paths: &mut Vec<String>) -> &'a str {
    let rest = rest.trim_start();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ', '\n']);
            if let Some(after) = inside.strip_prefix('}') {
                return after;
            }
            if inside.is_empty() {
                return inside;
            }
            let left = expand(prefix, inside, paths);
            // Past whatever was not understood, such as ` as name` or `*`.
            inside = left.trim_start_matches(|c| c != ',' && c != '}');
        }
    }
    let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    let path = if name.is_empty() { prefix.to_owned() } else { format!("{prefix}::{name}") };
    match rest[name.len()..].strip_prefix("::") {
        Some(further) if !name.is_empty() => expand(&path, further, paths),
        _ => {
            paths.push(path);
            &rest[name.len()..]
        }
    }
}

/// `chain/src/rules/in_chain.rs` is `bard_chain::rules::in_chain`.
fn module_of(path: &str) -> String {
    let (name, inside) = path.split_once("/src/").unwrap_or((path, ""));
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let mut module = format!("bard_{name}");
    if !matches!(inside, "lib" | "main") {
        module = format!("{module}::{}", inside.replace('/', "::"));
    }
    module
}

fn absolute(user: &str, path: &str) -> String {
    let root = user.split("::").next().unwrap_or(user);
    let mut module: Vec<&str> = user.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    match rest.first().copied() {
        Some("crate") => rest[0] = root,
        Some("self" | "super") => {
            while let Some(step @ ("self" | "super")) = rest.first().copied() {
                rest.remove(0);
                if step == "super" {
                    module.pop();
                }
            }
            return module.into_iter().chain(rest).collect::<Vec<_>>().join("::");
        }
        _ => {}
    }
    rest.join("::")
}

/// The text with its comments, strings and characters blanked; every line stays where it is.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if next == '"' {
            string_length(rest)
        } else if ["'\"'", "'\\''", "'\\\"'"].iter().any(|quote| rest.starts_with(quote)) {
            rest[1..].find('\'').map_or(1, |end| end + 2) + usize::from(rest.starts_with("'\\''"))
        } else {
            0
        };
        let (blank, left) = rest.split_at(skipped.max(next.len_utf8()));
        match skipped {
            0 => out.push(next),
            _ => out.extend(blank.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = left;
    }
    out
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The code before the tests, which are at a file's end.
fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or(code).to_owned()
}

/// Those of the imports that use `what` or something in it.
pub(crate) fn using<'a>(imports: &'a [Import], what: &'a str) -> impl Iterator<Item = &'a Import> {
    imports.iter().filter(move |import| is_in(&import.used, what))
}

/// Whether a path is a room or something in it.
pub(crate) fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Vec<(usize, String)> {
        let file = SourceFile { path: "node/src/keeper/task.rs".to_owned(), text: text.to_owned() };
        of_file(&file).into_iter().map(|import| (import.line, import.used)).collect()
    }

    #[test]
    fn groups_are_read_whole() {
        let text = "use crate::{\n    store::{Store, open::{Opened as O, self}},\n    clock,\n};\nuse std::fs;\n";
        let expected = [
            (1, "bard_node::store::Store"),
            (1, "bard_node::store::open::Opened"),
            (1, "bard_node::store::open::self"),
            (1, "bard_node::clock"),
            (5, "std::fs"),
        ];
        let found = used(text);
        for (line, path) in expected {
            assert!(found.contains(&(line, path.to_owned())), "{path} in {found:?}");
        }
    }

    #[test]
    fn relative_paths_are_made_absolute() {
        assert_eq!(used("use super::handle::Handle;"), [(1, "bard_node::keeper::handle::Handle".to_owned())]);
        assert_eq!(used("let x = super::super::store::open();"), [(1, "bard_node::store::open".to_owned())]);
        assert_eq!(module_of("node/src/keeper/mod.rs"), "bard_node::keeper");
        assert_eq!(module_of("chain/src/lib.rs"), "bard_chain");
    }

    #[test]
    fn paths_in_the_middle_of_code_are_seen() {
        assert_eq!(used("fn f() {\n    let a = std::fs::read(crate::x::Y);\n}")[0], (2, "std::fs::read".to_owned()));
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        let text = "// std::fs::read\n/// [`crate::a::B`]\nlet s = \"std::\\\"fs::x\"; let q = '\"'; /* std::net::x */ a::b();\n\
                    let r = r#\"std::env::var\"#;\n#[cfg(test)]\nmod tests {\n use std::time::Instant;\n}";
        assert_eq!(used(text), [(3, "a::b".to_owned())]);
    }
}
