//! `harness up` with the protocol fixed to `pbft`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    harness::main_of(harness::plan::ProtocolName::Pbft)
}
