//! The file is read as it was written, whatever happened to it meanwhile.

use bard_chain::{
    encoding, presets,
    rules::isolated::{self, check_transactions},
    transaction::{Action, Transaction},
    units::{Amount, Nonce},
};

use super::*;

fn some(count: u64) -> Vec<Kept> {
    let (spec, key) = (presets::dev(), presets::dev_key("alice").expect("known"));
    let record = |nonce: u64| Action::Record { content_type: "text/plain".into(), bytes: nonce.to_le_bytes().into() };
    let sign = |nonce| Transaction::sign(spec.chain_id(), &key, Nonce::new(nonce), Amount::ZERO, record(nonce));
    let bytes: Vec<_> = (0..count).map(|nonce| encoding::encode(&sign(nonce))).collect();
    let checked = check_transactions(&spec, spec.chain_id(), &bytes, &isolated::in_batches).into_iter();
    let kept = checked.zip(0..).map(|(one, at)| (Timestamp::new(at), Arc::new(one.expect("right"))));
    kept.collect()
}

fn found(kept: &[Kept]) -> Vec<Found> {
    kept.iter().map(|(since, one)| (*since, one.bytes().to_vec())).collect()
}

fn file(dir: &Path) -> PoolFile {
    PoolFile::new(dir, presets::dev().chain_id())
}

const TIP: BlockId = BlockId::new([9; ID_LEN]);

fn read(dir: &Path) -> (Vec<Found>, Option<Problem>) {
    let Content { tip, found, problem } = file(dir).read(1_000);
    // Without what stands first nothing stands after it.
    assert!(tip == Some(TIP) || tip.is_none() && found.is_empty(), "{tip:?}");
    (found, problem)
}

#[test]
fn what_is_written_and_added_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = file(dir.path());
    assert_eq!(read(dir.path()), (Vec::new(), None), "no file is an empty one");
    let all = some(5);
    assert!(writer.append(&all[..1]).is_err(), "nothing to add to");
    writer.rewrite(&TIP, &all[..3]).expect("written");
    assert_eq!(writer.added(), 0);
    writer.append(&all[3..4]).expect("added");
    writer.append(&all[4..]).expect("added");
    assert!(writer.added() > 0);
    assert_eq!(read(dir.path()), (found(&all), None));
    writer.rewrite(&TIP, &all[4..]).expect("written");
    assert_eq!(read(dir.path()), (found(&all[4..]), None));
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left beside it");
}

#[test]
fn damage_costs_what_comes_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = some(3);
    file(dir.path()).rewrite(&TIP, &all).expect("written");
    let whole = fs::read(dir.path().join(FILE)).expect("read");
    let read_of = |bytes: &[u8]| {
        fs::write(dir.path().join(FILE), bytes).expect("written");
        read(dir.path())
    };
    let expected = found(&all);
    assert_eq!(whole.len() as u64, length_of(&all));
    let mut ends = vec![HEADER_LEN + FRAME_LEN + ID_LEN];
    for (_, one) in &all {
        ends.push(ends[ends.len() - 1] + FRAME_LEN + one.bytes().len());
    }
    for length in 0..whole.len() {
        let (found, problem) = read_of(&whole[..length]);
        let complete = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        assert_eq!(found, expected[..complete], "cut to {length} bytes");
        let at_an_end = length == HEADER_LEN || ends.contains(&length);
        assert_eq!(problem.is_none(), at_an_end, "cut to {length} bytes: {problem:?}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let (found, problem) = read_of(&bytes);
        let intact = ends.iter().filter(|end| **end <= at).count().saturating_sub(1);
        assert_eq!(found, expected[..intact], "byte {at} changed");
        assert!(problem.is_some(), "byte {at} changed");
    }
}

#[test]
fn the_file_of_another_chain_or_version_is_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    PoolFile::new(dir.path(), ChainId::ZERO).rewrite(&TIP, &some(1)).expect("written");
    let (found, problem) = read(dir.path());
    assert_eq!((found.len(), problem), (0, Some(damaged("is damaged, or of another chain"))));
    fs::write(dir.path().join(FILE), header(FORMAT + 1, presets::dev().chain_id())).expect("written");
    assert_eq!(read(dir.path()).1, Some(damaged("is of a newer version of this software")));
    let mut writer = file(dir.path());
    let aside = writer.set_aside().expect("copied");
    assert!(aside.ends_with("pool.log.damaged") && aside.exists());
    assert!(dir.path().join(FILE).exists(), "nothing is lost before there is a new one");
    writer.rewrite(&TIP, &[]).expect("written");
    assert_eq!(read(dir.path()), (Vec::new(), None));
    assert!(aside.exists());
}

/// Puts something in the place of the file that can be opened and not read: a directory, with a mark in it.
fn put_in_the_way(dir: &Path, mark: &str) {
    fs::create_dir(dir.join(FILE)).expect("made");
    fs::write(dir.join(FILE).join(mark), "").expect("written");
}

fn aside(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{FILE}.unreadable-{number}"))
}

/// A writer that found something that it could not read.
fn before_something_unreadable(dir: &Path) -> PoolFile {
    let mut writer = file(dir);
    let Content { found, problem, .. } = writer.read(1_000);
    assert!(found.is_empty() && matches!(problem, Some(Problem::Unreadable(_))), "{problem:?}");
    writer
}

#[test]
fn what_cannot_be_read_is_moved_and_nothing_is_written_over_it() {
    let dir = tempfile::tempdir().expect("a directory");
    put_in_the_way(dir.path(), "first");
    let mut writer = before_something_unreadable(dir.path());
    writer.rewrite(&TIP, &some(2)).expect("written");
    assert_eq!(read(dir.path()).0.len(), 2);
    assert!(aside(dir.path(), 1).join("first").exists());
    writer.rewrite(&TIP, &some(2)).expect("written");
    assert!(!aside(dir.path(), 2).exists(), "what can be read is not moved");
    // Where it cannot be moved, not even a new file takes its name, until it can.
    fs::remove_file(dir.path().join(FILE)).expect("removed");
    put_in_the_way(dir.path(), "second");
    for number in 2..=MAX_UNREADABLE {
        fs::create_dir(aside(dir.path(), number)).expect("made");
        fs::write(aside(dir.path(), number).join("full"), "").expect("written");
    }
    let mut writer = before_something_unreadable(dir.path());
    for _ in 0..2 {
        let error = writer.rewrite(&TIP, &some(2)).expect_err("it is in the way");
        assert!(error.to_string().contains("cannot be moved out of the way"), "{error}");
        assert!(dir.path().join(FILE).join("second").exists());
    }
    fs::remove_dir_all(aside(dir.path(), 2)).expect("removed");
    writer.rewrite(&TIP, &some(2)).expect("written");
    assert!(aside(dir.path(), 2).join("second").exists());
    assert_eq!(read(dir.path()), (found_of(2), None));
}

#[test]
fn what_cannot_be_read_stays_until_what_was_read_of_it_is_whole_elsewhere() {
    let dir = tempfile::tempdir().expect("a directory");
    put_in_the_way(dir.path(), "first");
    let mut writer = before_something_unreadable(dir.path());
    assert!(dir.path().join(FILE).join("first").exists(), "a kill after the start finds it as it was");
    // The new one cannot be written.
    let beside = whole_file::beside(&dir.path().join(FILE));
    fs::create_dir(&beside).expect("made");
    writer.rewrite(&TIP, &some(2)).expect_err("something is in the way");
    assert!(dir.path().join(FILE).join("first").exists(), "it is not moved for nothing");
    fs::remove_dir(&beside).expect("removed");
    writer.rewrite(&TIP, &some(2)).expect("written");
    assert!(aside(dir.path(), 1).join("first").exists());

    // A kill after the old one was moved, and before the new one had its name.
    fs::rename(dir.path().join(FILE), &beside).expect("renamed");
    assert_eq!(read(dir.path()), (found_of(2), None));
    assert!(dir.path().join(FILE).exists() && !beside.exists());
    // A kill while it was written, before there was any other.
    fs::rename(dir.path().join(FILE), &beside).expect("renamed");
    let whole = fs::read(&beside).expect("read");
    fs::write(&beside, &whole[..whole.len() - 1]).expect("written");
    assert_eq!(read(dir.path()), (Vec::new(), None));
    assert!(!dir.path().join(FILE).exists());
}

fn found_of(count: u64) -> Vec<Found> {
    found(&some(count))
}
