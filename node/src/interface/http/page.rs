//! The files of the page at `/`: its modules, its style, its messages. They are part of the program and change with it.
//!
//! # Security
//! The page shows what strangers wrote, as text and nothing else. Should that ever fail, [`POLICY`] still keeps it from running
//! what it did not bring along, and from turning text into markup.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bard_chain::hash::content_digests;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    conditional::{Keep, tagged},
    extract::{NoQuery, Segment},
    problem::Problem,
};
use crate::application::Service;

/// What the page may do: run its own modules, show its own style and pictures, ask this node, send forms to it.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                 img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                                 require-trusted-types-for 'script'; trusted-types 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

/// A file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// Changes when the content does.
    tag: String,
}

/// The files, by what they are called below `/page/`.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let all = [
        ("accounts.js", SCRIPT, include_str!("page/accounts.js")),
        ("api.js", SCRIPT, include_str!("page/api.js")),
        ("app.js", SCRIPT, include_str!("page/app.js")),
        ("block.js", SCRIPT, include_str!("page/block.js")),
        ("chain.js", SCRIPT, include_str!("page/chain.js")),
        ("do.js", SCRIPT, include_str!("page/do.js")),
        ("dom.js", SCRIPT, include_str!("page/dom.js")),
        ("forms.js", SCRIPT, include_str!("page/forms.js")),
        ("glossary.js", SCRIPT, include_str!("page/glossary.js")),
        ("hash.js", SCRIPT, include_str!("page/hash.js")),
        ("items.js", SCRIPT, include_str!("page/items.js")),
        ("lab.js", SCRIPT, include_str!("page/lab.js")),
        ("list.js", SCRIPT, include_str!("page/list.js")),
        ("live.js", SCRIPT, include_str!("page/live.js")),
        ("network.js", SCRIPT, include_str!("page/network.js")),
        ("overview.js", SCRIPT, include_str!("page/overview.js")),
        ("peers.js", SCRIPT, include_str!("page/peers.js")),
        ("proof.js", SCRIPT, include_str!("page/proof.js")),
        ("receipt.js", SCRIPT, include_str!("page/receipt.js")),
        ("records.js", SCRIPT, include_str!("page/records.js")),
        ("text.js", SCRIPT, include_str!("page/text.js")),
        ("transactions.js", SCRIPT, include_str!("page/transactions.js")),
        ("tree.js", SCRIPT, include_str!("page/tree.js")),
        ("verify.js", SCRIPT, include_str!("page/verify.js")),
        ("words.js", SCRIPT, include_str!("page/words.js")),
        ("style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
        ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
        ("en.json", JSON, include_str!("page/messages/en.json")),
        ("de.json", JSON, include_str!("page/messages/de.json")),
    ];
    let file = |(name, kind, content): (&'static str, &'static str, &'static str)| {
        let [digest, _] = content_digests(content.as_bytes());
        File { name, kind, content, tag: digest.to_string() }
    };
    all.into_iter().map(file).collect()
});

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(page_file))
}

/// A file of the page of the node
#[utoipa::path(get, path = "/page/{file}", tag = "docs",
    params(("file" = String, Path, description = "Its name.", max_length = 32)),
    responses((status = 200, description = "The file.",
        content((String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"),
            (serde_json::Value = "application/json")))))]
async fn page_file(headers: HeaderMap, Segment(name): Segment, _: NoQuery) -> Result<Response, Problem> {
    let file = FILES
        .iter()
        .find(|file| file.name == name)
        .ok_or_else(|| Problem::not_found(format!("the page has no file {:?}", super::shown(&name))))?;
    Ok(tagged(&headers, &file.tag, Keep::WhileSame, || {
        let mut response = file.content.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    /// What a first visit loads at most, before compression, in bytes.
    const FIRST_LOAD: usize = 150 << 10;

    fn content(name: &str) -> &'static str {
        FILES.iter().find(|file| file.name == name).map(|file| file.content).expect("a file of the page")
    }

    /// The messages of a language: each with the names of the places in it.
    fn messages(name: &str) -> BTreeMap<String, BTreeSet<String>> {
        let all: BTreeMap<String, Value> = serde_json::from_str(content(name)).expect("JSON");
        let places = |message: &Value| {
            let forms: Vec<&str> = match message {
                Value::String(text) => vec![text],
                Value::Object(forms) => forms.values().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            assert!(!forms.is_empty(), "{message}");
            let names = forms.iter().flat_map(|text| text.split('{').skip(1));
            names.filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect()
        };
        all.iter().map(|(key, message)| (key.clone(), places(message))).collect()
    }

    #[test]
    fn every_language_says_the_same() {
        assert_eq!(messages("en.json"), messages("de.json"));
    }

    #[test]
    fn what_the_modules_say_is_among_the_messages() {
        let known = messages("en.json");
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            for opening in ["t('", "rich('", "word('"] {
                for (before, rest) in file.content.match_indices(opening).map(|(at, _)| file.content.split_at(at)) {
                    let is_call = !before.ends_with(|last: char| last.is_alphanumeric() || last == '.');
                    let key = rest[opening.len()..].split('\'').next().expect("a text");
                    let key = if opening == "word('" { format!("word.{key}") } else { key.to_owned() };
                    assert!(!is_call || known.contains_key(&key), "{}: {key}", file.name);
                }
            }
        }
    }

    #[test]
    fn modules_import_files_that_are_there() {
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            for rest in file.content.split("'./").skip(1) {
                content(rest.split('\'').next().expect("a name"));
            }
        }
    }

    #[test]
    fn text_never_becomes_markup() {
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("]
            {
                assert!(!file.content.contains(way), "{}: {way}", file.name);
            }
            assert!(!file.content.contains("https://"), "{}: something from elsewhere", file.name);
        }
    }

    /// What a module and those that it needs at once are called.
    fn needed(name: &str, all: &mut BTreeSet<String>) {
        if !all.insert(name.to_owned()) {
            return;
        }
        for line in content(name).lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
            if let Some(other) = line.split("'./").nth(1).and_then(|rest| rest.split('\'').next()) {
                needed(other, all);
            }
        }
    }

    #[test]
    fn a_first_visit_is_small() {
        let mut all: BTreeSet<String> = ["style.css", "icon.svg"].map(str::to_owned).into();
        // The frame, the view that it begins with, and the longer of the languages.
        ["app.js", "overview.js", "de.json"].into_iter().for_each(|name| needed(name, &mut all));
        assert!(all.contains("tree.js") && !all.contains("lab.js"), "{all:?}");
        let bytes: usize = all.iter().map(|name| content(name).len()).sum();
        assert!(bytes < FIRST_LOAD, "{bytes} bytes: {all:?}");
    }
}
