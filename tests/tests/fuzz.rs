//! A moment of fuzzing on every run: each target over its seeds and a few thousand mutations of them, the same ones every
//! time. `tests/fuzz` does it for long.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use chancery_acceptance::root;
use properties::Target;

#[test]
fn keys_in_any_shape_break_no_law() {
    smoke(Target::Key, 4_000);
}

#[test]
fn sealed_licenses_in_any_shape_break_no_law() {
    smoke(Target::Envelope, 1_500);
}

#[test]
fn claims_in_any_shape_break_no_law() {
    smoke(Target::Claims, 2_000);
}

#[test]
fn requests_in_any_shape_break_no_law() {
    smoke(Target::Request, 3_000);
}

#[test]
fn rules_in_any_shape_break_no_law() {
    smoke(Target::Pattern, 100_000);
}

#[test]
fn every_target_has_its_fuzzer() {
    for target in Target::ALL {
        let fuzzer =
            root().join(Path::new("tests/fuzz/fuzz_targets").join(target.name()).with_extension("rs"));
        assert!(fuzzer.exists(), "{}", fuzzer.display());
    }
}

/// Judges every seed, then mutations of them. A failure shows its input, escaped.
fn smoke(target: Target, mutations: usize) {
    let seeds = target.seeds();
    assert!(seeds.len() > 10, "{} seeds", seeds.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mutated = (0..mutations).map(|round| mutate(&seeds, round, &mut random)).collect::<Vec<_>>();
    for input in seeds.iter().chain(&mutated) {
        let judged = catch_unwind(AssertUnwindSafe(|| target.judge(input)));
        assert!(judged.is_ok(), "{} breaks on {}", target.name(), input.escape_ascii());
    }
}

/// A seed with a few bytes changed, cut out, put in, doubled, or taken from another seed.
fn mutate(seeds: &[Vec<u8>], round: usize, random: &mut Random) -> Vec<u8> {
    const INTERESTING: &[u8] = b"\0\x01\x7f\x80\xff\n \"{}[].,:*-0AZaz_=\\";
    let mut input = seeds[round % seeds.len()].clone();
    for _ in 0..=random.below(4) {
        if input.len() < 2 {
            break;
        }
        // The first byte says what the input is; it stays.
        let place = 1 + random.below(input.len() - 1);
        let length = random.below(16.min(input.len() - place) + 1);
        match random.below(6) {
            0 => input[place] ^= 1 << random.below(8),
            1 => input[place] = INTERESTING[random.below(INTERESTING.len())],
            2 => drop(input.drain(place..place + length)),
            3 => input.insert(place, INTERESTING[random.below(INTERESTING.len())]),
            4 => {
                let doubled = input[place..place + length].to_vec();
                input.splice(place..place, doubled);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len().max(1));
                let taken = other[from.min(other.len())..].iter().take(16).copied().collect::<Vec<_>>();
                input.splice(place..place + length, taken);
            }
        }
    }
    input
}

/// Marsaglia's xorshift: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}
