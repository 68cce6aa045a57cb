//! The fuzz targets on stable: every committed input, and some mutations of each. `cargo xtask fuzz` does more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Mutations of each input. Databases are large and slow to read; a thousand of all others take a second or two.
const MUTATIONS: u64 = 400;

/// Bytes that parsers care about.
const TELLING: &[u8] = b"\"{}[]:,./\\%-+@$0 9aen\n\0\xff";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name)
}

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// SplitMix64: the same inputs in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides.max(1) as u64).unwrap()
    }
}

/// One to four changes: a byte, a piece taken out, a piece doubled, a piece of another input.
fn mutated(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut data = input.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(data.len() + 1).min(data.len());
        let end = (at + dice.roll(24)).min(data.len());
        match dice.roll(5) {
            0 if at < data.len() => data[at] = TELLING[dice.roll(TELLING.len())],
            1 if at < data.len() => data[at] ^= 1 << dice.roll(8),
            2 => drop(data.drain(at..end)),
            3 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let from = dice.roll(other.len() + 1).min(other.len());
                let to = (from + dice.roll(24)).min(other.len());
                data.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    data
}

fn check(name: &str) {
    let (_, target) = fuzzed::TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let inputs = inputs(name);
    assert!(!inputs.is_empty(), "{name} has no corpus");
    let run = |data: &[u8]| {
        if catch_unwind(|| target(data)).is_err() {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{name}"));
            std::fs::write(&file, data).unwrap();
            panic!("{name} fails for {}: {:?}", file.display(), String::from_utf8_lossy(data));
        }
    };
    let mut dice = Dice(1);
    for input in &inputs {
        run(input);
        let mutations = if input.len() > 16 * 1024 { MUTATIONS / 10 } else { MUTATIONS };
        for _ in 0..mutations {
            let other = &inputs[dice.roll(inputs.len())];
            run(&mutated(input, other, &mut dice));
        }
    }
}

#[test]
fn every_target_has_its_fuzzer_and_its_corpus() {
    for (name, _) in fuzzed::TARGETS {
        let fuzzer = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/fuzz_targets/{name}.rs"));
        assert!(std::fs::read_to_string(fuzzer).unwrap().contains(&format!("fuzzed::{name}(")), "{name}");
        assert!(corpus(name).is_dir(), "{name}");
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn none_is_left_out() {
            let names: Vec<&str> = fuzzed::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    acs agent_db agent_rows answers docker_answers engine_frames kernel plane_calls registry_auth task_definition
    task_server texts
}
