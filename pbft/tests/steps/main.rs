//! One replica, step by step, at times that the test chooses: what it holds its commander to,
//! and which requests it knows.

mod bench;
mod fairness;
mod pace;
mod requests;
