//! The page: one HTML file that asks for nothing from anywhere, with or without a run in
//! it.

pub mod page;
pub mod serve;
