//! Each oracle restates one property in its own words and calls nothing of what
//! it judges.

pub mod agreement;
pub mod validity;
