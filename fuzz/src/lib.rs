//! Fuzzing of everything that reads bytes from outside: a table of targets, each a function
//! from bytes, and what it may cost.
//!
//! The same functions are run by libFuzzer (`fuzz/run.sh`, a program of a few lines for each in
//! `fuzz_targets/`) and, over the committed seeds and mutations of them, by `cargo test`.
//! `docs/fuzzing.md` says how, and what was found.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`targets`] | the table, and the targets by what they read |
//! | [`choices`] | bytes as decisions |
//! | [`memory`] | how much memory an input made a target take |
//! | [`mutate`] | a small mutator, for tests |

pub mod choices;
pub mod memory;
pub mod mutate;
pub mod targets;

/// A decoder, or several that read the same kind of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its program and of its folder of seeds.
    pub name: &'static str,
    /// What it reads, and where that comes from.
    pub reads: &'static str,
    /// Reads an input. True if it was taken for what it should be: each target has a seed that
    /// is. Whatever the input is, it does not panic.
    pub run: fn(&[u8]) -> bool,
    /// The most memory that it may have in use for an input, beyond what was in use before.
    pub limit: Limit,
    /// Mutations of its seeds that `cargo test` tries: fewer where an input takes long.
    pub tries: u32,
}

/// A limit on memory that grows with the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whatever the input is, in bytes.
    pub bytes: usize,
    /// For each byte of the input.
    pub per_byte: usize,
}

impl Limit {
    /// For an input of so many bytes.
    pub fn of(&self, input: usize) -> usize {
        self.bytes + self.per_byte * input
    }
}

impl Target {
    /// Reads an input, and checks what it took. True if it was taken for what it should be.
    ///
    /// # Panics
    ///
    /// If it took more memory than its limit.
    pub fn check(&self, input: &[u8]) -> bool {
        let (is_taken, bytes) = memory::most_in_use(|| (self.run)(input));
        let limit = self.limit.of(input.len());
        assert!(
            bytes <= limit,
            "{}: {bytes} bytes of memory for an input of {}; the limit is {limit}",
            self.name,
            input.len()
        );
        is_taken
    }
}
