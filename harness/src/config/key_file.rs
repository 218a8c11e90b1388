//! Key files: a secret key in hexadecimal, which nobody but its owner may read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kernel::keys::SecretKey;
use rand::RngExt;

/// The file's mode: its owner reads and writes it.
const MODE: u32 = 0o600;
/// What nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// Where the key of a node is, beside its cluster's configuration.
pub fn of_node(folder: &Path, id: u16) -> PathBuf {
    folder.join(format!("node-{id}.key"))
}

/// Where the key of a client is. No client's name begins with `node-`.
pub fn of_client(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

/// A new secret key, from the operating system's random numbers.
pub fn generate() -> SecretKey {
    SecretKey(rand::rng().random())
}

/// Writes a key into a new file.
///
/// # Errors
/// If there is one of that name already.
pub fn write(path: &Path, secret: &SecretKey) -> Result<()> {
    let text: String = secret.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)
        .with_context(|| format!("cannot make the key file {}", path.display()))?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write the key file {}", path.display()))
}

/// Reads a key.
///
/// # Errors
/// If the file is not there, others may read it, or it holds no key. What it holds is
/// in no message.
pub fn read(path: &Path) -> Result<SecretKey> {
    let shown = path.display();
    let file = fs::File::open(path).with_context(|| match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no key file {shown}; `harness init` makes one for each member, or name another")
        }
        _ => format!("cannot read the key file {shown}"),
    })?;
    // Of the open file, so that it is not another one that is checked.
    let metadata = file.metadata().with_context(|| format!("cannot look at the key file {shown}"))?;
    if !metadata.is_file() {
        bail!("the key file {shown} is no regular file");
    }
    if metadata.mode() & OTHERS != 0 {
        bail!(
            "the key file {shown} has mode {:03o}, so that others than its owner have access to the secret; \
             run `chmod 600 {shown}`, or make a new key if somebody may have read it",
            metadata.mode() & 0o777
        );
    }
    const MOST_BYTES: u64 = 1024;
    let mut text = Vec::new();
    file.take(MOST_BYTES)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read the key file {shown}"))?;
    parse(&text).with_context(|| {
        format!("the key file {shown} does not hold a key: it must be 64 hexadecimal digits and nothing else")
    })
}

/// The key that a file's text holds, if it holds one and nothing else.
pub fn parse(text: &[u8]) -> Option<SecretKey> {
    let digits = std::str::from_utf8(text.trim_ascii()).ok()?;
    // Not `SecretKey::from_str`: what it cannot read would be in its error.
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut secret = [0; 32];
    for (at, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(SecretKey(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_read_as_it_was_written_and_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = of_node(folder.path(), 3);
        let secret = generate();
        write(&path, &secret).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), secret);
        assert_ne!(generate(), secret);
        assert!(write(&path, &generate()).is_err(), "never overwritten");
        assert_eq!(read(&path).unwrap(), secret);
        for mode in [0o640, 0o604, 0o620, 0o610, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains("chmod 600"), "{mode:o}: {error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read(&path).unwrap(), secret);
    }

    #[test]
    fn what_holds_no_key_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let hex = "abcdef0123456789".repeat(4);
        for text in [&hex[..63], &format!("{hex}0"), &format!("{}g", &hex[..63]), "", &"é".repeat(32)] {
            let path = folder.path().join("bad.key");
            let _ = fs::remove_file(&path);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains("64 hexadecimal digits") && !error.contains("abcdef"), "{error}");
        }
        let missing = format!("{:#}", read(&folder.path().join("none.key")).unwrap_err());
        assert!(missing.contains("no key file"), "{missing}");
        assert!(read(folder.path()).is_err(), "a folder");
    }
}
