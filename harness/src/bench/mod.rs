//! Whether a build of this program is faster or slower than another: both run the same
//! cells in turn, so that a drift of the machine hits both alike.

mod judge;
pub mod run;
