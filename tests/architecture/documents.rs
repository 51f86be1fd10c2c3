//! The documents: every link leads somewhere, and the book has every page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bard_tests::workspace::root;

/// Pages beside those in docs/.
const OTHER_PAGES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md"];

/// The largest picture in docs/pictures, in bytes: whoever reads a page on a phone waits for all that it shows.
const LARGEST_PICTURE: u64 = 80 << 10;

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("readable").path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages: Vec<_> = OTHER_PAGES.iter().map(|name| root().join(name)).chain(docs).collect();
    assert!(pages.len() > 15, "the pages were found");
    pages
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> Vec<&str> {
    let mut inside = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    text.lines().filter(outside).collect()
}

/// The targets of the links of a page.
fn links(text: &str) -> Vec<String> {
    let text = prose(text).join("\n");
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page, as GitHub and mdBook make them of its headings: small letters, no punctuation, `-` for spaces; the second of
/// one name has `-1`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let headings = prose(text).into_iter().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    });
    let mut found = BTreeSet::new();
    for name in names {
        let count = seen.entry(name.clone()).or_default();
        found.insert(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            let is_page = target.extension().is_some_and(|end| end == "md");
            let leads = anchor.is_empty() || (is_page && anchors(&read(&target)).contains(anchor));
            if !target.exists() || !leads {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).expect("inside").display()));
            }
        }
    }
    assert!(seen > 60, "{seen} links");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn the_book_has_every_page_once() {
    let contents = read(&root().join("docs/SUMMARY.md"));
    let listed = links(&contents);
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "a page is listed twice");
    let names = pages().into_iter().filter(|path| path.parent() == Some(&root().join("docs")));
    let names = names.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
    let there: BTreeSet<_> = names.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(unique, there, "docs/SUMMARY.md on the left, docs/ on the right");
    let book = read(&root().join("docs/book.toml"));
    assert!(book.contains("[book]") && book.contains("src = \".\""), "{book}");
}

#[test]
fn every_page_begins_with_its_name() {
    for page in pages() {
        assert!(read(&page).starts_with("# "), "{} has no heading", page.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_made_as_readers_make_them() {
        let page = "# A `bard top`, said\n```sh\n# no heading\n```\n## Twice\n## Twice\n### `block`: a block joined\n";
        let expected = ["a-bard-top-said", "twice", "twice-1", "block-a-block-joined"];
        assert_eq!(anchors(page), expected.map(str::to_owned).into());
    }

    #[test]
    fn links_in_code_are_none() {
        assert_eq!(links("[a](b.md#c)\n```\n[x](y)\n```\n[d](e)"), ["b.md#c", "e"]);
    }
}

#[test]
fn every_picture_is_small_and_shown() {
    let shown: BTreeSet<String> = pages().iter().flat_map(|page| links(&read(page))).collect();
    let pictures = fs::read_dir(root().join("docs/pictures")).expect("docs/pictures");
    let names: Vec<_> = pictures.map(|entry| entry.expect("readable")).collect();
    assert!(!names.is_empty(), "the pictures were found");
    for picture in names {
        let name = picture.file_name().into_string().expect("a name in UTF-8");
        let size = picture.metadata().expect("readable").len();
        assert!(size < LARGEST_PICTURE, "docs/pictures/{name} has {size} bytes");
        assert!(
            shown.iter().any(|link| link.ends_with(&format!("pictures/{name}"))),
            "nothing shows docs/pictures/{name}"
        );
    }
}

#[test]
fn the_format_of_the_index_is_the_one_that_is_described() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file");
    let source = read("node/src/store/index.rs");
    let format = source.split_once("const FORMAT: u32 = ").and_then(|(_, after)| after.split_once(';'));
    let (format, _) = format.expect("a number");
    assert!(
        read("docs/operating.md").contains(&format!("(now {format}), under `log`")),
        "docs/operating.md names another"
    );
}
