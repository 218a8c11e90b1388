//! A small mutator, for the short runs of `cargo test`: the same seed makes the same
//! inputs. Long runs have libFuzzer's, which learns what reaches new code.

use kernel::{Choose, SeededChoice};

/// What decoders trip over: numbers at the edge, other text, nesting.
const WORDS: [&[u8]; 20] = [
    b"0",
    b"-1",
    b"1e308",
    b"-1e-308",
    b"NaN",
    b"inf",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"65535",
    b"null",
    b"\"\"",
    b"\"\\u0000\"",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\x7f",
    b"\xc3\xa9",
    b"\n",
    b"",
];

/// Changes an input in one to four places; `other` is one to take pieces from.
pub fn mutate(input: &[u8], other: &[u8], choice: &mut SeededChoice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=choice.below(4) {
        change(&mut bytes, other, choice);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], choice: &mut SeededChoice) {
    const LONGEST: u64 = 32;
    let place = choice.below(bytes.len() as u64 + 1) as usize;
    let length = choice.below(LONGEST) as usize;
    let end = (place + length).min(bytes.len());
    match choice.below(7) {
        0 if place < bytes.len() => bytes[place] ^= 1 << choice.below(8),
        1 if place < bytes.len() => bytes[place] = choice.below(256) as u8,
        2 => drop(bytes.drain(place..end)),
        3 => {
            let again = bytes[place..end].to_vec();
            bytes.splice(place..place, again);
        }
        4 => bytes.truncate(place),
        5 => {
            let word = WORDS[choice.below(WORDS.len() as u64) as usize];
            let until = if choice.chance(0.5) { end } else { place };
            bytes.splice(place..until, word.iter().copied());
        }
        _ => {
            let from = choice.below(other.len() as u64 + 1) as usize;
            let piece = &other[from..(from + length).min(other.len())];
            bytes.splice(place..end, piece.iter().copied());
        }
    }
}
