//! Runs a target under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::targets::peers::TAGGED_FRAMES.check(input);
});
