//! Prints the digest that `build.sh` records in the page.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("{}", viewer::sources::digest(&project)?);
    Ok(())
}
