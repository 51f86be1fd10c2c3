//! Which keystore is meant, and its passphrase.

use std::path::PathBuf;

use bard_chain::{presets, signature::SecretKey, spec::ChainSpec};
use clap::Args;

use super::terminal;
use crate::{
    config,
    wallet::{Keystore, Passphrase},
};

/// Which keystore is meant: that of a data directory.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The data directory; that of a node with this --chain and --port if left out
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// The chain: a built-in name (dev), a specification file, or the name of a chain that was made or joined here; that of
    /// --data-dir if left out, or dev
    #[arg(long, value_name = "NAME or FILE", env = "BARD_CHAIN", global = true)]
    pub chain: Option<String>,
    /// The HTTP port of the node whose data directory is meant
    #[arg(long, value_name = "N", default_value_t = 5000, env = "BARD_PORT", global = true)]
    pub port: u16,
    /// A file whose first line is the passphrase; BARD_PASSPHRASE does the same, and without either it is asked for
    #[arg(long, value_name = "FILE", env = "BARD_PASSPHRASE_FILE", global = true)]
    pub passphrase_file: Option<PathBuf>,
}

impl Place {
    /// The chain that is meant.
    ///
    /// # Errors
    /// One line.
    pub fn spec(&self) -> Result<ChainSpec, String> {
        let spec = config::chain_of(self.chain.as_deref(), self.data_dir.as_deref());
        Ok(spec.map_err(|error| error.to_string())?.unwrap_or_else(presets::dev))
    }

    /// The keystore, whether it is there yet or not.
    ///
    /// # Errors
    /// One line: the chain or the home directory is not there.
    pub fn keystore(&self) -> Result<Keystore, String> {
        let dir = match &self.data_dir {
            Some(dir) => dir.clone(),
            None => {
                let chain = config::chain_dir(&self.spec()?).map_err(|error| error.to_string())?;
                chain.join(self.port.to_string())
            }
        };
        Ok(Keystore::in_dir(dir))
    }

    /// The key of an account of the `dev` chain, where that is the chain.
    ///
    /// # Errors
    /// One line: the chain is not there.
    pub fn public_key(&self, name: &str) -> Result<Option<SecretKey>, String> {
        let Some(key) = presets::dev_key(name) else { return Ok(None) };
        Ok((self.spec()?.name == "dev").then_some(key))
    }

    /// The passphrase, where the keystore needs one: from a file, a variable, or asked for.
    ///
    /// # Errors
    /// One line: there is none and nobody to ask.
    pub fn passphrase(&self, keystore: &Keystore) -> Result<Option<Passphrase>, String> {
        if !keystore.look().map_err(|error| error.to_string())?.protected {
            return Ok(None);
        }
        let given = config::passphrase(self.passphrase_file.as_deref(), config::PASSPHRASE);
        match given.map_err(|error| error.to_string())? {
            Some(passphrase) => Ok(Some(passphrase)),
            None => terminal::ask_passphrase("Passphrase: ").map(Some),
        }
    }
}
