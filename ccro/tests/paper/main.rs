//! The flow as published: in the simulated world, input by input, and in runs
//! that are written out.

mod by_hand;
mod catching_up;
mod clients;
mod effects;
mod expected;
mod falsify;
mod requests;
mod rounds;
mod runs;
mod wire;
mod world;
