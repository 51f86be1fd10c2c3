//! Data directories that cannot be used, or not as they are.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    process::{Builder, Node},
};

/// How soon a node that cannot start must say so.
const SOON: Duration = Duration::from_secs(20);

/// Asserts that a node does not start, says why in one line with all of `parts`, and exits with code 1.
fn assert_refuses(builder: &Builder, parts: &[&str]) {
    let ended = builder.run(SOON);
    let told = ended.told();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(told.len(), 1, "one line: {}", ended.stderr);
    assert!(told[0].starts_with("error: "), "{}", told[0]);
    for part in parts {
        assert!(told[0].contains(part), "{part:?} is not in {:?}", told[0]);
    }
    assert!(!builder.dir().join("node.json").exists(), "node.json is there");
}

/// A data directory with some blocks, and how to start on it again.
fn with_blocks(count: u32) -> (Builder, String) {
    let builder = Node::builder();
    let mut node = builder.start();
    node.mine(count);
    let tip = node.tip();
    node.stop();
    (builder, tip)
}

fn log(builder: &Builder) -> PathBuf {
    builder.dir().join("chain.log")
}

fn index(builder: &Builder) -> PathBuf {
    builder.dir().join("index.redb")
}

/// Changes one byte of a file.
fn flip(path: &Path, at: u64) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x40]).unwrap();
}

#[test]
fn a_directory_in_use_is_not_shared() {
    let mut node = Node::start();
    node.mine(1);
    let ended = node.builder_of().clone().port(0).run(SOON);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(ended.told().len(), 1, "{}", ended.stderr);
    assert!(ended.told()[0].contains("in use"), "{}", ended.stderr);
    assert!(node.file_path().exists(), "the running node's node.json is still there");
    node.mine(1);
    node.stop();
}

#[test]
fn a_log_damaged_in_the_middle_is_not_replayed() {
    let (builder, _) = with_blocks(200);
    let length = fs::metadata(log(&builder)).unwrap().len();
    flip(&log(&builder), length / 2);
    fs::remove_file(index(&builder)).unwrap();
    let before = fs::read(log(&builder)).unwrap();
    assert_refuses(&builder, &["chain.log", "damaged at byte"]);
    assert!(fs::read(log(&builder)).unwrap() == before, "and not changed");
}

/// Where the index leads past the damage, the node starts without reading it all; what is asked of it there fails alone.
#[test]
fn a_damaged_block_is_never_handed_out() {
    let builder = Node::builder();
    let mut node = builder.start();
    let parent = hex::decode(node.mine(20).get(8).unwrap()).unwrap();
    let tip = node.tip();
    node.stop();
    // The last place where the id of block 9 stands is in block 10, which names it as its parent.
    let bytes = fs::read(log(&builder)).unwrap();
    let place = bytes.windows(parent.len()).rposition(|window| window == parent).unwrap();
    flip(&log(&builder), place as u64);
    let node = builder.start();
    assert_eq!(node.tip(), tip);
    let answer = node.ask_line("verify");
    assert!(answer.starts_with("the chain is NOT valid: block 10: "), "{answer}");
    for height in 0..=20 {
        let expected = if height == 10 { 503 } else { 200 };
        assert_eq!(node.get(&format!("/api/v1/blocks/{height}")).status, expected, "block {height}");
    }
    node.mine(1);
    assert_eq!(node.height(), 21);
}

#[test]
fn a_log_with_a_torn_end_loses_the_torn_block_alone() {
    let (builder, tip) = with_blocks(20);
    let length = fs::metadata(log(&builder)).unwrap().len();
    fs::OpenOptions::new().write(true).open(log(&builder)).unwrap().set_len(length - 7).unwrap();
    let mut node = builder.start();
    assert_eq!(node.height(), 19);
    assert_ne!(node.tip(), tip);
    node.mine(1);
    assert!(node.ask_line("verify").starts_with("the chain is valid: 20 blocks"));
    node.stop();
    // Rubbish after the last whole block is a torn end as well.
    fs::OpenOptions::new().append(true).open(log(&builder)).unwrap().write_all(&[0x55; 100]).unwrap();
    assert_eq!(builder.start().height(), 20);
}

#[test]
fn an_index_that_is_lost_or_damaged_is_made_again() {
    let (builder, tip) = with_blocks(20);
    let index = index(&builder);
    fs::write(&index, b"not an index").unwrap();
    let mut node = builder.start();
    assert_eq!(node.tip(), tip);
    node.stop();
    fs::remove_file(index).unwrap();
    let node = builder.start();
    assert_eq!(node.tip(), tip);
    assert!(node.ask_line("verify").starts_with("the chain is valid: 20 blocks"));
}

#[test]
fn a_directory_of_another_chain_is_not_used() {
    let (builder, tip) = with_blocks(2);
    let other = ChainSpec { name: "other".into(), ..easy_spec() };
    assert_refuses(&builder.clone().chain(&other), &["is a data directory of dev-", "leave --chain out"]);
    // The log knows it too, where the file that says it is gone.
    fs::remove_file(builder.dir().join("chain.toml")).unwrap();
    assert_refuses(&builder.clone().chain(&other), &["holds chain"]);
    assert_eq!(builder.start().tip(), tip);
}

#[test]
fn a_log_of_another_format_is_not_used() {
    let (builder, _) = with_blocks(2);
    let mut bytes = fs::read(log(&builder)).unwrap();
    // After the magic: the format. The checksum after the header would tell damage, so it is made to fit.
    bytes[8] = 99;
    let crc = crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&crc);
    fs::write(log(&builder), &bytes).unwrap();
    assert_refuses(&builder, &["format 99"]);
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_file_that_is_no_log_is_not_used() {
    let builder = Node::builder();
    fs::create_dir_all(builder.dir()).unwrap();
    fs::write(log(&builder), b"My diary, page 1, which is long enough to be a header of a log, surely.").unwrap();
    assert_refuses(&builder, &["chain.log"]);
    assert!(fs::read_to_string(log(&builder)).unwrap().starts_with("My diary"));
}

#[test]
fn a_damaged_key_is_not_replaced() {
    for name in ["identity.key", "keystore.json"] {
        let (builder, _) = with_blocks(1);
        let keys: Vec<_> = fs::read_dir(builder.dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let key = builder.dir().join(name);
        assert!(key.exists(), "{name} is not in {keys:?}");
        for bad in [b"too short".as_slice(), b"", &[0xff; 65], &[b'g'; 64]] {
            fs::write(&key, bad).unwrap();
            assert_refuses(&builder, &[name, "damaged"]);
            assert_eq!(fs::read(&key).unwrap(), bad, "it is left as it is");
        }
    }
}

#[test]
fn a_place_that_cannot_be_a_directory_is_named() {
    let file = Node::builder();
    fs::write(file.dir(), b"a file").unwrap();
    assert_refuses(&file, &["data"]);
}
