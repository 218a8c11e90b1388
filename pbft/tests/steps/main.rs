//! One replica, step by step, at times that the test chooses: what it holds its commander to,
//! which requests it knows, what it sends again, and how it recovers its memory.

mod bench;
mod fairness;
mod pace;
mod recovery;
mod requests;
mod resend;
