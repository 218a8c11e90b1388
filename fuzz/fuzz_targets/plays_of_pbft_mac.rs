//! Runs a target under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::targets::plays::PLAYS_OF_PBFT_MAC.check(input);
});
