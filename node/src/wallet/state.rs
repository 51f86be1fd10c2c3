//! The keys in memory: what a node knows of its keystore until the file is another.

use std::{collections::HashMap, sync::Arc};

use bard_chain::{address::Address, signature::SecretKey};

use super::{
    NoKey, OWN_NAME, Protection,
    contents::{Access, Contents, Damage, Origin},
};

/// What is known of an address.
enum Known {
    /// This node can sign for it.
    Open(Box<SecretKey>),
    /// It could, with the passphrase.
    Locked,
    /// Its key is elsewhere.
    Watched,
}

/// The keys, found by name and by address.
pub(super) struct State {
    /// In the order in which they came; the node's own first, then the public ones.
    names: Vec<(String, Address)>,
    by_name: HashMap<String, Address>,
    by_address: HashMap<Address, (String, Known)>,
    protected: bool,
    access: Option<Arc<Access>>,
}

impl State {
    /// What a keystore holds, with the public keys; open, if there is access to it.
    pub(super) fn new(
        public: &[(&'static str, SecretKey)],
        contents: &Contents,
        access: Option<Arc<Access>>,
    ) -> Result<Self, Damage> {
        let mut state = Self {
            names: Vec::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            protected: contents.is_protected(),
            access: None,
        };
        let (own, others): (Vec<_>, Vec<_>) = contents.keys().iter().partition(|entry| entry.name == OWN_NAME);
        let known = |entry: &super::contents::Entry| {
            let secret = access.as_ref().map(|access| contents.secret(entry, access)).transpose()?.flatten();
            Ok::<_, Damage>(match secret {
                Some(secret) => Known::Open(Box::new(SecretKey::from_seed(&secret))),
                None if entry.origin == Origin::Watched => Known::Watched,
                None => Known::Locked,
            })
        };
        for entry in own {
            state.add(&entry.name, entry.address, known(entry)?);
        }
        for (name, key) in public {
            state.add(name, key.address(), Known::Open(Box::new(key.clone())));
        }
        for entry in others {
            state.add(&entry.name, entry.address, known(entry)?);
        }
        state.access = access;
        Ok(state)
    }

    /// The first of a name and the first of an address hold; the public names go before those of the file.
    fn add(&mut self, name: &str, address: Address, known: Known) {
        if self.by_name.contains_key(name) {
            return;
        }
        self.names.push((name.to_owned(), address));
        self.by_name.insert(name.to_owned(), address);
        self.by_address.entry(address).or_insert_with(|| (name.to_owned(), known));
    }

    pub(super) fn names(&self) -> &[(String, Address)] {
        &self.names
    }

    pub(super) fn find(&self, name: &str) -> Option<Address> {
        self.by_name.get(name).copied()
    }

    pub(super) fn name_of(&self, address: &Address) -> Option<&str> {
        self.by_address.get(address).map(|(name, _)| name.as_str())
    }

    /// The key of an address; `None` where it is not known at all.
    pub(super) fn key(&self, address: &Address) -> Option<Result<SecretKey, NoKey>> {
        self.by_address.get(address).map(|(name, known)| match known {
            Known::Open(key) => Ok(SecretKey::clone(key)),
            Known::Locked => Err(NoKey::Locked(name.clone())),
            Known::Watched => Err(NoKey::Watched(name.clone())),
        })
    }

    pub(super) fn protection(&self) -> Protection {
        match (self.protected, &self.access) {
            (false, _) => Protection::None,
            (true, Some(_)) => Protection::Unlocked,
            (true, None) => Protection::Locked,
        }
    }

    pub(super) fn access(&self) -> Option<Arc<Access>> {
        self.access.clone()
    }
}
