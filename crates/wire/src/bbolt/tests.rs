#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const REGISTERED: &[u8] = include_bytes!("../../tests/fixtures/reference-state/registered-only.agent.db");
const THREE: &[u8] = include_bytes!("../../tests/fixtures/reference-state/three-tasks.agent.db");
const FIFTEEN: &[u8] = include_bytes!("../../tests/fixtures/reference-state/fifteen-after-churn.agent.db");
const BUCKETS: [&str; 6] = ["containers", "eniattachments", "images", "metadata", "resattachments", "tasks"];

/// Everything in the file, as bucket, key and length of the value.
fn walk(bytes: &[u8]) -> Result<Vec<(String, String, usize)>, BboltError> {
    let database = Database::open(bytes)?;
    let mut all = Vec::new();
    for bucket in database.buckets()? {
        let bucket = String::from_utf8_lossy(bucket).into_owned();
        for (key, value) in database.rows(&bucket)?.unwrap_or_default() {
            all.push((bucket.clone(), String::from_utf8_lossy(key).into_owned(), value.len()));
        }
    }
    Ok(all)
}

fn count(bytes: &[u8], bucket: &str) -> usize {
    Database::open(bytes).unwrap().rows(bucket).unwrap().unwrap().len()
}

#[test]
fn finds_all_buckets_with_their_rows() {
    for (bytes, txid, containers, images, tasks) in
        [(REGISTERED, 8, 0, 0, 0), (THREE, 48, 5, 1, 3), (FIFTEEN, 343, 15, 1, 15)]
    {
        let database = Database::open(bytes).unwrap();
        assert_eq!(database.txid(), txid);
        let names: Vec<_> = database.buckets().unwrap().into_iter().map(String::from_utf8_lossy).collect();
        assert_eq!(names, BUCKETS);
        assert_eq!(count(bytes, "containers"), containers);
        assert_eq!(count(bytes, "images"), images);
        assert_eq!(count(bytes, "tasks"), tasks);
        assert_eq!(count(bytes, "metadata"), 6);
    }
}

#[test]
fn knows_no_bucket_that_is_not_there() {
    assert_eq!(Database::open(THREE).unwrap().rows("volumes"), Ok(None));
}

/// Tasks that were removed left their rows on free pages, which must not come back.
#[test]
fn only_reachable_rows_count() {
    let reachable: BTreeSet<String> = walk(FIFTEEN).unwrap().into_iter().map(|(_, key, _)| key).collect();
    let text = String::from_utf8_lossy(FIFTEEN);
    let stale: BTreeSet<&str> = text
        .split("task/lab/")
        .skip(1)
        .filter_map(|rest| rest.get(..32))
        .filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit()) && !reachable.contains(*id))
        .collect();
    assert!(stale.len() > 5, "the fixture should hold stale rows, and has {}", stale.len());
}

#[test]
fn the_higher_transaction_wins_and_the_other_stands_in() {
    let database = Database::open(REGISTERED).unwrap();
    assert_eq!(database.txid(), 8);
    let mut torn = REGISTERED.to_vec();
    torn[16 + 40] ^= 1;
    assert_eq!(Database::open(&torn).unwrap().txid(), 7);
    torn[4096 + 16 + 40] ^= 1;
    assert!(matches!(Database::open(&torn), Err(BboltError::Damaged(_))));
}

#[test]
fn the_head_is_enough_for_the_transaction() {
    assert_eq!(latest_txid(&FIFTEEN[..HEAD_BYTES]), Ok(343));
    assert_eq!(latest_txid(b"{}"), Err(BboltError::Foreign));
}

#[test]
fn other_files_are_told_apart() {
    assert_eq!(Database::open(b"").unwrap_err(), BboltError::Foreign);
    assert_eq!(Database::open(b"SQLite format 3\0 and so on").unwrap_err(), BboltError::Foreign);
    assert_eq!(Database::open(&[0; 70_000]).unwrap_err(), BboltError::Foreign);
    let mut newer = REGISTERED.to_vec();
    for page in [0, 4096] {
        newer[page + 20] = 3;
        let sum = meta::fnv1a(&newer[page + 16..page + 72]);
        newer[page + 72..page + 80].copy_from_slice(&sum.to_le_bytes());
    }
    assert_eq!(Database::open(&newer).unwrap_err(), BboltError::Version(3));
}

#[test]
fn a_file_that_was_cut_off_is_damaged() {
    for bytes in [REGISTERED, THREE, FIFTEEN] {
        let used = meta::newest(bytes).unwrap().high_water as usize * 4096;
        for length in (0..bytes.len()).step_by(512) {
            let walked = walk(&bytes[..length]);
            if length < used {
                assert!(walked.is_err(), "{length} of {used} bytes were read as a whole");
            } else {
                assert_eq!(walked, walk(bytes));
            }
        }
    }
}

/// Whatever a byte is turned into, reading ends, with rows or with an error.
#[test]
fn flipped_bytes_never_break_the_reader() {
    let mut bytes = REGISTERED.to_vec();
    let mut errors = 0;
    for index in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            bytes[index] ^= flip;
            errors += usize::from(walk(&bytes).is_err());
            bytes[index] ^= flip;
        }
    }
    assert!(errors > 100, "only {errors} flips were noticed");
    let mut bytes = THREE.to_vec();
    for index in (0..bytes.len()).step_by(5) {
        bytes[index] ^= 0x55;
        let _ = walk(&bytes);
        bytes[index] ^= 0x55;
    }
}

/// Several words at once are replaced by the numbers on which readers trip.
#[test]
fn absurd_numbers_never_break_the_reader() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pages = meta::newest(THREE).unwrap().high_water;
    for _ in 0..20_000 {
        let mut bytes = THREE[..(pages * 4096) as usize].to_vec();
        for _ in 0..1 + random() % 4 {
            // Heads and first elements of pages are where it hurts.
            let at = ((2 + random() % (pages - 2)) * 4096 + (random() % 24) * 4) as usize;
            let number =
                [0, 1, 2, 3, random() as u32 % 32, 0x7fff_ffff, 0xffff_ffff, random() as u32][(random() % 8) as usize];
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let _ = walk(&bytes);
    }
}

/// A branch that leads to itself.
#[test]
fn a_cycle_is_refused() {
    let mut bytes = THREE.to_vec();
    let root = meta::newest(THREE).unwrap().root;
    let page = root as usize * 4096;
    bytes[page + 8..page + 12].copy_from_slice(&[1, 0, 1, 0]);
    bytes[page + 24..page + 32].copy_from_slice(&root.to_le_bytes());
    assert_eq!(walk(&bytes), Err(BboltError::Damaged(format!("page {root} is reached twice"))));
}

#[test]
fn debug_output_holds_no_rows() {
    let text = format!("{:?}", Database::open(THREE).unwrap());
    assert!(!text.contains("bytes"), "{text}");
}
