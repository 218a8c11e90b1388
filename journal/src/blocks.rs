//! A file to whose end is written in whole blocks, with zeros behind what was written last.
//!
//! The blocks may go past the cache of the operating system: then a sync takes about half as much of a processor.

use std::fs::File;
use std::io;

/// Direct writes begin, end, and lie in memory at multiples of it. No disk in use has larger sectors, and no system smaller pages.
const BLOCK: usize = 4096;

/// The file, and what is needed to write its last block again.
#[derive(Debug)]
pub(crate) struct Blocks {
    file: File,
    /// What is written of the last block.
    last: Vec<u8>,
    /// Where what is written ends.
    end: u64,
    /// Bytes of the file: there may be zeros behind `end`.
    length: u64,
    is_direct: bool,
}

impl Blocks {
    /// Goes on behind `written`, which is all that is in the file.
    pub(crate) fn behind(file: File, written: &[u8]) -> Blocks {
        let length = written.len() as u64;
        let last = written[written.len() / BLOCK * BLOCK..].to_vec();
        Blocks { file, last, end: length, length, is_direct: false }
    }

    /// Whether the bytes would make the file longer.
    pub(crate) fn grows_by(&self, bytes: usize) -> bool {
        self.end + bytes as u64 > self.length
    }

    /// Writes these parts behind what is written, and so many zeros behind them, or up to a block more.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub(crate) fn append(&mut self, parts: &[&[u8]], zeros: usize) -> io::Result<()> {
        let begin = self.end - self.last.len() as u64;
        let written = self.last.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let length = written + zeros;
        let length = if self.is_direct { length.next_multiple_of(BLOCK) } else { length };
        // Memory for a direct write is aligned, too.
        let mut memory = vec![0; length + BLOCK];
        let first = memory.as_ptr().align_offset(BLOCK);
        let blocks = &mut memory[first..first + length];
        let mut to = 0;
        for part in [&self.last[..]].iter().chain(parts) {
            blocks[to..to + part.len()].copy_from_slice(part);
            to += part.len();
        }
        write_at(&self.file, blocks, begin)?;
        self.last = blocks[written / BLOCK * BLOCK..written].to_vec();
        self.end = begin + written as u64;
        self.length = self.length.max(begin + length as u64);
        Ok(())
    }

    /// Writes past the cache of the operating system from now on, if the file system can. It is tried with the last block
    /// as it is.
    pub(crate) fn write_directly(&mut self) {
        self.is_direct = set_direct(&self.file, true).is_ok();
        if self.is_direct && self.append(&[], 0).is_err() {
            self.is_direct = set_direct(&self.file, false).is_err();
        }
    }

    /// Cuts the zeros, and syncs.
    ///
    /// # Errors
    ///
    /// If the file cannot be cut and synced.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        if self.length > self.end {
            self.file.set_len(self.end)?;
            self.length = self.end;
        }
        self.file.sync_all()
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// The page plays journals and writes none.
#[cfg(not(unix))]
fn write_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, is_direct: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let mut flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_DIRECT, is_direct);
    fcntl(file, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    /// Beside the program of the tests, as temporary files may be in memory.
    fn file() -> (tempfile::TempDir, std::path::PathBuf, File) {
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        (folder, path, file)
    }

    #[cfg(target_os = "linux")]
    fn is_direct(file: &File) -> bool {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL).unwrap()).contains(OFlag::O_DIRECT)
    }

    #[cfg(not(target_os = "linux"))]
    fn is_direct(_: &File) -> bool {
        false
    }

    #[test]
    fn a_file_is_written_directly_where_it_can_be() {
        let (_folder, path, file) = file();
        let mut blocks = Blocks::behind(file, &[]);
        blocks.write_directly();
        let can_be = set_direct(&File::create(path.with_extension("other")).unwrap(), true).is_ok();
        assert_eq!((blocks.is_direct, is_direct(blocks.file())), (can_be, can_be));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_there_with_zeros_behind_it(
            first in 0..3 * BLOCK,
            parts in prop::collection::vec((1..3 * BLOCK, prop::sample::select(vec![0, 0, 100, 5 * BLOCK])), 1..12),
            directly_from in 0..4_usize,
        ) {
            let (_folder, path, mut file) = file();
            let mut written = vec![0xff; first];
            file.write_all(&written).unwrap();
            let mut blocks = Blocks::behind(file, &written);
            for (number, (bytes, zeros)) in parts.into_iter().enumerate() {
                if number == directly_from {
                    blocks.write_directly();
                }
                prop_assert_eq!(blocks.is_direct, is_direct(blocks.file()));
                prop_assert_eq!(blocks.grows_by(bytes), (written.len() + bytes) as u64 > blocks.length);
                let part = vec![number as u8 + 1; bytes];
                blocks.append(&[&part[..bytes / 2], &part[bytes / 2..]], zeros).unwrap();
                written.extend(part);
                let found = std::fs::read(&path).unwrap();
                prop_assert_eq!(found.len() as u64, blocks.length);
                prop_assert!(found.len() >= written.len() + zeros);
                prop_assert!(found.len() <= written.len() + 6 * BLOCK);
                prop_assert!(found[..written.len()] == written && found[written.len()..].iter().all(|byte| *byte == 0));
            }
            blocks.cut().unwrap();
            prop_assert_eq!(std::fs::read(&path).unwrap(), written);
        }
    }
}
