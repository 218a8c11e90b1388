//! What consensus replicates.

mod opaque;

pub use opaque::OpaqueLog;
