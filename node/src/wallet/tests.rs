//! The wallet as a node uses it.

use super::*;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("a passphrase")
}

fn open(dir: &Path) -> Wallet {
    Wallet::open(dir, false, None).expect("opens")
}

#[test]
fn names_and_addresses_are_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let wallet = Wallet::open(dir.path(), true, None).expect("opens");
    let alice = presets::dev_key("alice").expect("known").address();
    assert_eq!(wallet.address("alice"), Ok(alice));
    assert_eq!(wallet.address(&alice.to_string()), Ok(alice));
    assert_eq!(wallet.name_of(&alice).as_deref(), Some("alice"));
    assert_eq!((wallet.public_name_of(&alice), wallet.public_name_of(&wallet.own())), (Some("alice"), None));
    assert_eq!(wallet.address(OWN_NAME), Ok(wallet.own()));
    let unknown = wallet.address("alcie").expect_err("nobody").to_string();
    assert!(unknown.contains("did you mean alice?"), "{unknown}");
    assert!(matches!(wallet.address("mallory"), Err(UnknownName::Name { near: None, .. })));
    assert!(matches!(wallet.address("bard1qqq"), Err(UnknownName::Address { .. })));
    let stranger = Address::new([5; 32]).to_string();
    assert!(matches!(wallet.key(&stranger), Err(NoKey::Elsewhere(_))));
    let again = open(dir.path());
    assert_eq!(again.own(), wallet.own(), "the key stays");
    assert!(again.address("alice").is_err(), "other chains have no public keys");
}

#[test]
fn keys_are_made_by_name_and_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let wallet = Wallet::open(dir.path(), true, None).expect("opens");
    let zed = wallet.create("zed").expect("made");
    assert_eq!((wallet.address("zed"), wallet.name_of(&zed).as_deref()), (Ok(zed), Some("zed")));
    assert_eq!(wallet.key("zed").map(|key| key.address()), Ok(zed));
    for taken in ["zed", "alice", OWN_NAME] {
        assert!(matches!(wallet.create(taken), Err(WalletError::Taken(_))), "{taken}");
    }
    let long = "a".repeat(MAX_NAME + 1);
    for bad in ["", "a b", "../x", "a.b", "h\u{f6}", "bard1x", "BARD1X", "a/b", "\0", long.as_str()] {
        assert!(matches!(wallet.create(bad), Err(WalletError::Name(_))), "{bad:?}");
    }
    for reserved in RESERVED {
        assert!(matches!(wallet.create(reserved), Err(WalletError::Reserved(_))), "{reserved}");
    }
    let again = open(dir.path());
    assert_eq!(again.address("zed"), Ok(zed), "the key stays");
    assert_eq!(again.names().len(), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(FILE), mode("keystore.lock")), (0o600, 0o600));
        let deep = dir.path().join("a/b");
        open(&deep);
        assert_eq!(std::fs::metadata(deep).expect("there").permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn changes_of_another_process_are_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let wallet = open(dir.path());
    let other = Keystore::in_dir(dir.path());
    let made = other.make("zed", None).expect("made").address;
    assert_eq!(wallet.key("zed").map(|key| key.address()), Ok(made));
    other.watch("far", Address::new([5; 32])).expect("named");
    assert_eq!(wallet.address("far"), Ok(Address::new([5; 32])));
    assert_eq!(wallet.key("far").map(|key| key.address()), Err(NoKey::Watched("far".to_owned())));
    other.remove("zed").expect("removed");
    assert!(wallet.address("zed").is_err());
    other.protect(None, Some(&passphrase("correct horse"))).expect("set");
    assert_eq!(wallet.key(OWN_NAME).map(|key| key.address()), Err(NoKey::Locked(OWN_NAME.to_owned())));
    wallet.unlock(&passphrase("correct horse")).expect("opens");
    other.make("yet", Some(&passphrase("correct horse"))).expect("made");
    assert!(wallet.key("yet").is_ok(), "the passphrase is the same, so it stays open");
    other.protect(Some(&passphrase("correct horse")), None).expect("removed");
    assert!(wallet.key("yet").is_ok());
    std::fs::write(dir.path().join(FILE), "{").expect("written");
    assert!(wallet.key("yet").is_ok(), "a damaged file does not disturb a node that runs");
    assert!(wallet.create("more").is_err(), "but nothing is written over it");
    assert_eq!(std::fs::read(dir.path().join(FILE)).expect("there"), b"{");
}

#[test]
fn a_protected_keystore_opens_locked() {
    let dir = tempfile::tempdir().expect("a directory");
    let given = passphrase("correct horse");
    let first = Wallet::open(dir.path(), true, Some(&given)).expect("made");
    assert_eq!(first.protection(), Protection::Unlocked, "a new one is protected by what was given");
    let zed = first.create("zed").expect("made");
    let wallet = Wallet::open(dir.path(), true, None).expect("opens");
    assert_eq!((wallet.protection(), wallet.own()), (Protection::Locked, first.own()));
    assert_eq!(wallet.address("zed"), Ok(zed));
    assert!(matches!(wallet.key("zed"), Err(NoKey::Locked(_))));
    assert!(wallet.key("alice").is_ok(), "public keys are for everybody");
    assert!(matches!(wallet.create("more"), Err(WalletError::Locked)));
    assert!(matches!(wallet.unlock(&passphrase("wrong horse")), Err(WalletError::WrongPassphrase)));
    assert_eq!(wallet.protection(), Protection::Locked);
    wallet.unlock(&given).expect("opens");
    assert!(wallet.key("zed").is_ok() && wallet.create("more").is_ok());
    wallet.lock().expect("locked");
    assert!(wallet.key("zed").is_err());
    assert!(matches!(Wallet::open(dir.path(), true, Some(&passphrase("wrong"))), Err(WalletError::WrongPassphrase)));
    let shown = format!("{wallet:?}");
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
fn without_a_passphrase_nothing_is_locked() {
    let dir = tempfile::tempdir().expect("a directory");
    let wallet = open(dir.path());
    assert_eq!(wallet.protection(), Protection::None);
    assert!(matches!(wallet.lock(), Err(WalletError::NotProtected)));
    assert!(matches!(wallet.unlock(&passphrase("anything")), Err(WalletError::NotProtected)));
}

#[test]
fn keys_of_earlier_versions_are_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("keys")).expect("made");
    std::fs::write(path("account.key"), "01".repeat(32)).expect("written");
    std::fs::write(path("keys/zed.key"), "02".repeat(32)).expect("written");
    std::fs::write(path("keys/not a key"), "").expect("written");
    let wallet = open(dir.path());
    let address = |byte: u8| SecretKey::from_seed(&[byte; 32]).address();
    assert_eq!((wallet.own(), wallet.key("zed").map(|key| key.address())), (address(1), Ok(address(2))));
    assert!(!path("account.key").exists() && !path("keys/zed.key").exists());
    assert!(path("keys/not a key").exists());
    wallet.create("new").expect("made");
    std::fs::write(path("account.key"), "01".repeat(32)).expect("as a crash leaves it");
    std::fs::write(path("keys/zed.key"), "03".repeat(32)).expect("another key of a known name");
    assert_eq!(open(dir.path()).address("zed"), Ok(address(2)));
    assert!(!path("account.key").exists() && path("keys/zed.key").exists(), "what is not known is not removed");
}

#[test]
fn a_damaged_key_is_no_new_key() {
    let dir = tempfile::tempdir().expect("a directory");
    open(dir.path()).create("zed").expect("made");
    let file = dir.path().join(FILE);
    let good = std::fs::read(&file).expect("there");
    for bad in [b"".as_slice(), b"{}", &good[..good.len() / 2], &[0xff; 100]] {
        std::fs::write(&file, bad).expect("written");
        let problem = Wallet::open(dir.path(), false, None).expect_err("it is damaged").to_string();
        assert!(problem.contains(FILE) && problem.contains("damaged"), "{problem}");
        assert_eq!(std::fs::read(&file).expect("there"), bad, "it is left as it is");
    }
    std::fs::write(&file, vec![b' '; 3 << 20]).expect("written");
    assert!(Wallet::open(dir.path(), false, None).is_err_and(|error| error.to_string().contains("too many")));
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir_all(dir.path().join("keys")).expect("made");
    std::fs::write(dir.path().join("keys/zed.key"), "12").expect("written");
    let problem = Wallet::open(dir.path(), false, None).expect_err("it is damaged").to_string();
    assert!(problem.contains("zed.key") && !file.exists(), "{problem}");
}

#[test]
fn a_file_that_asks_for_too_much_memory_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let given = passphrase("correct horse");
    Wallet::open(dir.path(), false, Some(&given)).expect("made");
    let file = dir.path().join(FILE);
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replace("65536", "104857600")).expect("written");
    let problem = Wallet::open(dir.path(), false, Some(&given)).expect_err("100 GB").to_string();
    assert!(problem.contains("damaged"), "{problem}");
}

#[test]
fn no_more_keys_than_there_may_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let keystore = Keystore::in_dir(dir.path());
    let fill = keystore.change(|contents| {
        for number in 0..MAX_KEYS - 1 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            contents.watch(&format!("k{number}"), Address::new(bytes)).map_err(|refused| keystore.refused(refused))?;
        }
        Ok(())
    });
    fill.expect("filled");
    let wallet = open(dir.path());
    assert!(matches!(wallet.create("more"), Err(WalletError::Full)));
}
