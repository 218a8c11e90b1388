//! Bytes as decisions: what a fuzzer changes is what happens.

use kernel::Choose;

/// Decisions that are read from an input, the rest of which is there for more. Where there is
/// nothing left, it is always the first choice.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    left: &'a [u8],
}

impl<'a> Choices<'a> {
    /// The decisions of an input.
    pub fn new(input: &'a [u8]) -> Choices<'a> {
        Choices { left: input }
    }

    /// Whether there are none left.
    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// The next byte; 0 if there is none.
    pub fn byte(&mut self) -> u8 {
        let Some((first, left)) = self.left.split_first() else { return 0 };
        self.left = left;
        *first
    }

    /// So many bytes, or all that are left if these are fewer.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.left.split_at(count.min(self.left.len()));
        self.left = left;
        taken
    }

    /// One of several; none if there are none.
    pub fn one_of<'b, T>(&mut self, several: &'b [T]) -> Option<&'b T> {
        let place = self.index(several.len())?;
        several.get(place)
    }

    /// A place among so many; none if there are none.
    pub fn index(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.below(count as u64) as usize)
    }

    /// What was not used yet.
    pub fn rest(self) -> &'a [u8] {
        self.left
    }
}

impl Choose for Choices<'_> {
    /// As many bytes as the bound needs.
    fn below(&mut self, bound: u64) -> u64 {
        let bytes = u64::BITS.saturating_sub(bound.saturating_sub(1).leading_zeros()).div_ceil(8);
        let number = (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()));
        number % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_takes_as_many_bytes_as_it_needs() {
        let mut choices = Choices::new(&[7, 1, 4, 9]);
        assert_eq!((choices.below(1), choices.below(4), choices.below(300)), (0, 3, 260));
        assert_eq!((choices.one_of(&['a', 'b']), choices.is_over()), (Some(&'b'), true));
        assert_eq!((choices.below(u64::MAX), choices.index(0), choices.rest().len()), (0, None, 0));
    }
}
