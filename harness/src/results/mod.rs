//! What came out: the rows of the result files, the folder that holds them, statistics
//! and the machine. Knows nothing of plans, clusters, load or experiments.

pub mod disk;
pub mod files;
pub mod histograms;
pub mod machine;
pub mod repetitions;
pub mod schema;
pub mod setting;
pub mod statistics;
pub mod store;
pub mod summary;
#[cfg(test)]
pub(crate) mod testdata;
pub mod warnings;
