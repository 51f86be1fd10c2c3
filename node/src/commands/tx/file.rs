//! The file in which a transaction travels from the machine that makes it to the one that signs it to the one that submits it.

use std::{fs, io::Read, io::Write, path::Path};

use bard_chain::{
    address::Address,
    encoding,
    hash::ChainId,
    signature::{SecretKey, Signature},
    spec::ChainSpec,
    transaction::{Action, Transaction, VERSION},
    units::{Amount, Nonce},
};
use serde::{Deserialize, Serialize};

/// What every such file says of itself.
const FORMAT: &str = "blockbard-transaction-1";
/// The longest such file that is read, in bytes: twice the longest block, as hex digits.
const MAX_LEN: u64 = 8 << 20;

/// A transaction that is signed, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionFile {
    format: String,
    /// The name of the chain, for people.
    pub(super) chain: String,
    /// Its id, which is signed.
    chain_id: String,
    /// The canonical bytes of all fields but the signature, in hex.
    unsigned: String,
    /// In hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// All fields but the signature, in the order in which they are signed.
type Unsigned = (u8, Address, Nonce, Amount, Action);

impl TransactionFile {
    /// An unsigned transaction for a chain.
    pub(super) fn new(spec: &ChainSpec, sender: Address, nonce: Nonce, fee: Amount, action: Action) -> Self {
        let unsigned: Unsigned = (VERSION, sender, nonce, fee, action);
        Self {
            format: FORMAT.to_owned(),
            chain: spec.name.clone(),
            chain_id: spec.chain_id().to_string(),
            unsigned: hex::encode(encoding::encode(&unsigned)),
            signature: None,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// One line: it is none, or too long.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let trouble = |what: String| format!("{}: {what}", path.display());
        let file = fs::File::open(path).map_err(|error| trouble(format!("cannot be read: {error}")))?;
        let mut text = String::new();
        let read = file.take(MAX_LEN).read_to_string(&mut text);
        read.map_err(|error| trouble(format!("cannot be read: {error}")))?;
        let file: Self =
            serde_json::from_str(&text).map_err(|error| trouble(format!("no transaction file: {error}")))?;
        file.transaction().map_err(trouble)?;
        Ok(file)
    }

    /// Writes it as a file, or to standard output where there is none.
    ///
    /// # Errors
    /// One line.
    pub(super) fn write(&self, path: Option<&Path>) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            super::print(&text);
            return Ok(());
        };
        let written =
            fs::File::create(path).and_then(|mut file| writeln!(file, "{text}").and_then(|()| file.sync_all()));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// The id of the chain that it is for.
    pub(super) fn chain_id(&self) -> Result<ChainId, String> {
        self.chain_id.parse().map_err(|_| "chain_id is not 64 hex digits".to_owned())
    }

    /// Whether it is signed.
    pub(super) const fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// The transaction; without a signature its bytes are zero.
    ///
    /// # Errors
    /// One line: which field is not as it must be.
    pub(super) fn transaction(&self) -> Result<Transaction, String> {
        if self.format != FORMAT {
            return Err(format!("format is {:?}, and this software knows {FORMAT}", self.format));
        }
        self.chain_id()?;
        let bytes = hex::decode(&self.unsigned).map_err(|error| format!("unsigned: no hex digits: {error}"))?;
        let (version, sender, nonce, fee, action): Unsigned =
            encoding::decode(&bytes, bytes.len()).map_err(|error| format!("unsigned: no transaction: {error}"))?;
        if version != VERSION {
            return Err(format!("unsigned: version {version} of transactions is not known, {VERSION} is"));
        }
        let mut signature = [0; 64];
        if let Some(text) = &self.signature {
            let problem = |error| format!("signature: not 128 hex digits: {error}");
            hex::decode_to_slice(text, &mut signature).map_err(problem)?;
        }
        Ok(Transaction { version, sender, nonce, fee, action, signature: Signature::new(signature) })
    }

    /// Signs it.
    ///
    /// # Errors
    /// One line.
    pub(super) fn sign(&mut self, key: &SecretKey) -> Result<(), String> {
        let transaction = self.transaction()?;
        let signature = key.sign(&transaction.signing_hash(self.chain_id()?));
        self.signature = Some(hex::encode(signature.as_bytes()));
        Ok(())
    }

    /// The canonical bytes of the signed transaction, and its id.
    ///
    /// # Errors
    /// One line: it is not signed, or not by its sender and for this chain.
    pub(super) fn signed(&self) -> Result<Transaction, String> {
        if !self.is_signed() {
            return Err("it is not signed yet: `bard tx sign FILE` does that".to_owned());
        }
        let transaction = self.transaction()?;
        if transaction.claim(self.chain_id()?).holds() {
            Ok(transaction)
        } else {
            Err("the signature is not that of its sender for this transaction and chain".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;

    use super::*;

    fn unsigned() -> (TransactionFile, SecretKey) {
        let key = presets::dev_key("alice").expect("known");
        let action = Action::Transfer { to: Address::new([3; 32]), amount: Amount::new(50) };
        (TransactionFile::new(&presets::dev(), key.address(), Nonce::new(4), Amount::new(1), action), key)
    }

    #[test]
    fn what_is_signed_is_a_transaction_of_the_chain() {
        let (mut file, key) = unsigned();
        assert!(file.signed().is_err_and(|error| error.contains("not signed")));
        file.sign(&key).expect("signed");
        let expected = Transaction::sign(
            presets::dev().chain_id(),
            &key,
            Nonce::new(4),
            Amount::new(1),
            Action::Transfer { to: Address::new([3; 32]), amount: Amount::new(50) },
        );
        assert_eq!(file.signed(), Ok(expected));
        let other = TransactionFile { chain_id: "ab".repeat(32), ..file };
        assert!(other.signed().is_err(), "a signature is for one chain");
    }

    #[test]
    fn what_is_no_transaction_file_is_refused() {
        let (good, _) = unsigned();
        let bad = [
            TransactionFile { format: "blockbard-transaction-2".to_owned(), ..good.clone() },
            TransactionFile { chain_id: "ab".to_owned(), ..good.clone() },
            TransactionFile { unsigned: "xy".to_owned(), ..good.clone() },
            TransactionFile { unsigned: format!("{}00", good.unsigned), ..good.clone() },
            TransactionFile { signature: Some("00".to_owned()), ..good.clone() },
        ];
        for file in bad {
            assert!(file.transaction().is_err(), "{file:?}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tx.json");
        good.write(Some(&path)).expect("written");
        assert_eq!(TransactionFile::read(&path), Ok(good));
        for text in ["", "{}", "[]", "\u{0}"] {
            fs::write(&path, text).expect("written");
            assert!(TransactionFile::read(&path).is_err_and(|error| error.contains("tx.json")), "{text:?}");
        }
    }
}
