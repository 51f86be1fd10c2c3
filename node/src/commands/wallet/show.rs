//! What a keystore holds, shown.

use std::{fs, io::IsTerminal, io::Write, path::Path};

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};

use super::{place::Place, terminal};
use crate::wallet::{self, KeyInfo, Keystore, Origin, Passphrase, secret_to_hex};

/// What a person reads of a keystore without a passphrase.
const UNPROTECTED: &str =
    "no passphrase protects these keys: whoever may read the file has them; `bard wallet passphrase` sets one";

fn origin(key: &KeyInfo) -> String {
    match key.origin {
        Origin::Phrase { index } => format!("number {index} of the recovery phrase"),
        Origin::Imported => "imported".to_owned(),
        Origin::Watched => "watched only".to_owned(),
    }
}

fn as_json(key: &KeyInfo) -> Value {
    let (origin, index) = match key.origin {
        Origin::Phrase { index } => ("phrase", Some(index)),
        Origin::Imported => ("imported", None),
        Origin::Watched => ("watched", None),
    };
    let path = index.map(wallet::path);
    json!({ "name": key.name, "address": key.address.to_string(), "origin": origin, "index": index, "path": path })
}

fn print_json(value: &Value) {
    terminal::print(&serde_json::to_string_pretty(value).unwrap_or_default());
}

pub(super) fn list(place: &Place, as_json_text: bool) -> Result<(), String> {
    let keystore = place.keystore()?;
    let overview = keystore.look().map_err(|error| error.to_string())?;
    if as_json_text {
        let keys: Vec<_> = overview.keys.iter().map(as_json).collect();
        let file = keystore.path().display().to_string();
        print_json(&json!({ "keystore": file, "protected": overview.protected, "keys": keys }));
        return Ok(());
    }
    if overview.keys.is_empty() {
        terminal::tell(&format!("no keys yet in {}: `bard wallet new NAME` makes one", keystore.path().display()));
        return Ok(());
    }
    let width = overview.keys.iter().map(|key| key.name.len()).max().unwrap_or_default();
    for key in &overview.keys {
        terminal::print(&format!("{:width$}  {}  {}", key.name, key.address, origin(key)));
    }
    if !overview.protected {
        terminal::tell(UNPROTECTED);
    }
    Ok(())
}

pub(super) fn show(place: &Place, key: &str, qr: bool, as_json_text: bool) -> Result<(), String> {
    let overview = place.keystore()?.look().map_err(|error| error.to_string())?;
    let public = place.public_key(key)?;
    let found = match &public {
        Some(_) => None,
        None => Some(overview.find(key).map_err(|error| error.to_string())?),
    };
    let address = match (&public, found) {
        (Some(public), _) => public.address(),
        (None, Some(found)) => found.address,
        (None, None) => return Err(format!("there is no key named {key}")),
    };
    if as_json_text {
        let plain = json!({ "name": key, "address": address.to_string(), "origin": "public" });
        print_json(&found.map_or(plain, as_json));
        return Ok(());
    }
    let name = found.map_or(key, |found| found.name.as_str());
    terminal::print(&format!("name     {name}\naddress  {address}"));
    match found {
        None => terminal::print("key      public: everybody on the dev chain has it"),
        Some(found) => terminal::print(&format!("key      {}", origin(found))),
    }
    if let Some(Origin::Phrase { index }) = found.map(|found| found.origin) {
        terminal::print(&format!("path     {}", wallet::path(index)));
    }
    if qr {
        terminal::print(&draw(&address.to_string())?);
    }
    Ok(())
}

/// A QR code in half blocks, light on dark as terminals mostly are. Capitals take less room and mean the same.
fn draw(address: &str) -> Result<String, String> {
    let code = QrCode::with_error_correction_level(address.to_uppercase(), EcLevel::M);
    let code = code.map_err(|error| format!("no QR code: {error}"))?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

pub(super) fn export(place: &Place, key: &str, secret: bool, out: Option<&Path>) -> Result<(), String> {
    let keystore = place.keystore()?;
    let text = |error: wallet::WalletError| error.to_string();
    let overview = keystore.look().map_err(text)?;
    let found = overview.find(key).map_err(text)?;
    if secret {
        let passphrase = place.passphrase(&keystore)?;
        let secret = keystore.secret(&found.name, passphrase.as_ref()).map_err(text)?;
        write(out.unwrap_or(Path::new("-")), secret_to_hex(&secret).as_str())
    } else {
        write(out.unwrap_or(Path::new("-")), &format!("{} {}", found.name, found.address))
    }
}

/// Writes a line to a new file for its owner alone, or to standard output.
fn write(path: &Path, line: &str) -> Result<(), String> {
    if path == Path::new("-") {
        terminal::print(line);
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

pub(super) fn phrase(place: &Place) -> Result<(), String> {
    let keystore = place.keystore()?;
    let passphrase = place.passphrase(&keystore)?;
    print_phrase(&keystore, passphrase.as_ref())
}

/// Prints the words: numbered on a terminal, on one line for a program.
pub(super) fn print_phrase(keystore: &Keystore, passphrase: Option<&Passphrase>) -> Result<(), String> {
    let phrase = keystore.phrase(passphrase).map_err(|error| error.to_string())?;
    let phrase = phrase.ok_or("this keystore has no recovery phrase yet: `bard wallet new NAME` makes one")?;
    let words = phrase.words();
    if !std::io::stdout().is_terminal() {
        terminal::print(&words);
        return Ok(());
    }
    terminal::print(
        "The recovery phrase: write it down, and keep it where nobody else looks. Whoever has it has the keys.",
    );
    let words: Vec<_> = words.split(' ').collect();
    for (row, four) in words.chunks(4).enumerate() {
        let numbered = |(at, word): (usize, &&str)| format!("{:>2} {word:<10}", row * 4 + at + 1);
        terminal::print(four.iter().enumerate().map(numbered).collect::<Vec<_>>().join(" ").trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_has_its_quiet_zone_and_half_the_lines() {
        let drawn = draw("bard12l0w4qkukwzp334a0m6na9w9gjzg3f2w450q79k538dtr7y8rjuqzre5c3").expect("drawn");
        let lines: Vec<_> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{drawn}");
        assert_eq!(lines.len(), width.div_ceil(2), "{drawn}");
        assert!(lines[0].chars().all(|c| c == '\u{2588}'), "light around it: {drawn}");
    }
}
