//! The file of `--peers-file`: `{"nodes": [...]}`, each a multiaddress, `host:port`, or `http://host:port`.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use serde::Deserialize;

use super::place::Place;

/// The longest such file, in bytes.
const MAX_LEN: u64 = 1 << 20;
/// Nodes that one file may name.
pub(super) const MAX_ENTRIES: usize = 256;

#[derive(Deserialize)]
struct Content {
    nodes: Vec<serde_json::Value>,
}

/// Reads the file.
///
/// # Errors
/// One line that names the file, and the entry where one is wrong.
pub(super) fn read(path: &Path) -> Result<Vec<Place>, String> {
    let text = content(path).map_err(|error| format!("--peers-file {} cannot be read: {error}", path.display()))?;
    parse(&text).map_err(|problem| format!("--peers-file {}: {problem}", path.display()))
}

/// At most one byte more than a file may have, so that [`parse`] sees that it is too long.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn parse(text: &[u8]) -> Result<Vec<Place>, String> {
    if text.len() as u64 > MAX_LEN {
        return Err(format!("it is longer than {MAX_LEN} bytes"));
    }
    let expected = r#"expected {"nodes": [TEXT, ...]}"#;
    let content: Content = serde_json::from_slice(text).map_err(|error| format!("{expected}: {error}"))?;
    if content.nodes.len() > MAX_ENTRIES {
        return Err(format!("it names {} nodes, at most {MAX_ENTRIES} are allowed", content.nodes.len()));
    }
    let mut places: Vec<Place> = Vec::with_capacity(content.nodes.len());
    for (number, entry) in (1..).zip(content.nodes) {
        let text = entry.as_str().ok_or_else(|| format!("entry {number}: {expected}"))?;
        let place = Place::parse(text.trim()).map_err(|error| format!("entry {number}: {error}"))?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_kind() {
        let text = r#"{"nodes": ["/ip4/10.0.0.1/tcp/6000", " localhost:5001 ", "http://[::1]:5000/", "localhost:5001"], "x": 1}"#;
        let places = parse(text.as_bytes()).expect("good");
        let expected = ["/ip4/10.0.0.1/tcp/6000", "localhost:5001", "http://[::1]:5000"];
        assert_eq!(places, expected.map(|text| Place::parse(text).expect("good")));
        assert_eq!(parse(br#"{"nodes": []}"#), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many = format!(r#"{{"nodes": [{}"a:1"]}}"#, r#""a:1","#.repeat(MAX_ENTRIES));
        let long = format!(r#"{{"nodes": ["{}"]}}"#, "a".repeat(1 << 20));
        for (text, part) in [
            ("", "expected {"),
            ("[]", "expected {"),
            ("{}", "nodes"),
            (r#"{"nodes": "a:1"}"#, "expected {"),
            (r#"{"nodes": ["a:1", 5]}"#, "entry 2"),
            (r#"{"nodes": ["a:1", "b"]}"#, "entry 2: \"b\" is not an address"),
            (r#"{"nodes": ["https://a:1"]}"#, "entry 1: \"https://a:1\""),
            (&many, "257 nodes"),
            (&long, "longer than"),
        ] {
            let problem = parse(text.as_bytes()).expect_err(part);
            assert!(problem.contains(part) && !problem.contains('\n'), "{part}: {problem}");
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
        let missing = read(Path::new("/nowhere/nodes.json")).expect_err("missing");
        assert!(missing.contains("--peers-file /nowhere/nodes.json"), "{missing}");
    }
}
