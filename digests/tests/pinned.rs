//! The runs of this platform are those pinned.

#[test]
fn the_runs_are_those_pinned() {
    assert_eq!(
        digests::first_difference(),
        None,
        "the protocols, the adversary or the simulator do something else than they did; if that is \
         meant, pin it: cargo run -p digests > digests/pinned.txt"
    );
}
