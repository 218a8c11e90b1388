//! The module's exports: a question is written into the module's memory, and the answer
//! read from there. Nothing here is unsafe but that names are exported at all.
#![allow(unsafe_code, reason = "an exported name could clash with another; there is no other")]

use std::cell::RefCell;

thread_local! {
    static QUESTION: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static ANSWER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes room for a question of so many bytes. Returns where to write it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn alloc(bytes: u32) -> u32 {
    QUESTION.with_borrow_mut(|question| {
        question.clear();
        question.resize(bytes as usize, 0);
        question.as_ptr().addr() as u32
    })
}

/// Answers the question that was written: where the answer is in the upper half, and how
/// many bytes it has in the lower.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn call(_question: u32, _bytes: u32) -> u64 {
    let question = QUESTION.with_borrow_mut(std::mem::take);
    let answer = crate::ask::answer(&String::from_utf8_lossy(&question));
    let (place, bytes) = (answer.as_ptr().addr() as u64, answer.len() as u64);
    ANSWER.set(answer);
    place << 32 | bytes
}

/// Forgets the answer.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn release(_answer: u32, _bytes: u32) {
    ANSWER.take();
}
