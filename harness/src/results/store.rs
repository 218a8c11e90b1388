//! The result folder while it is being filled, and how a stopped run goes on.
//!
//! After every run of a cell its rows are appended to the CSV files, these
//! are forced to disk, and then one line goes to `progress.log` with the lengths
//! that the files have now. Whatever lies beyond the last line's lengths belongs
//! to a run that was not finished, and is cut off when the folder is resumed.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::schema::{CellRow, EventRow, NodeRow, Row, SampleRow};

const PLAN: &str = "plan.toml";
const PROGRESS: &str = "progress.log";
/// The name of the first line's cell: only the headers are written.
const START: &str = "";

/// The rows of one run of one cell.
#[derive(Debug)]
pub struct CellRows {
    /// For `samples.csv`.
    pub samples: Vec<SampleRow>,
    /// For `nodes.csv`.
    pub nodes: Vec<NodeRow>,
    /// For `cells.csv`.
    pub cell: CellRow,
    /// For `events.csv`.
    pub events: Vec<EventRow>,
}

/// Whether the command that fills a folder can go on with a stopped run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// With `--resume`.
    Possible,
    /// It begins anew, in another folder.
    Impossible,
}

/// A folder that results are appended to.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    samples: File,
    nodes: File,
    cells: File,
    /// Only where the plan has an outage.
    events: Option<File>,
    progress: File,
    resume: Resume,
    finished: HashSet<(String, u32)>,
}

/// A line of `progress.log`: a finished run, and how long the files are since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Finished {
    cell: String,
    repetition: u32,
    samples_bytes: u64,
    nodes_bytes: u64,
    cells_bytes: u64,
    #[serde(default)]
    events_bytes: u64,
}

impl Store {
    /// Makes the folder for a new run of a plan, which is kept as `plan.toml`; with
    /// `events.csv` if there will be events. A folder that has something in it
    /// already is refused.
    pub fn create(dir: &Path, plan: &str, with_events: bool, resume: Resume) -> Result<Store> {
        fs::create_dir_all(dir)
            .and_then(|()| fs::read_dir(dir))
            .with_context(|| format!("cannot use {}; give a writable folder with --out", dir.display()))
            .and_then(|mut entries| match entries.next() {
                None => Ok(()),
                Some(_) if dir.join(PROGRESS).exists() && resume == Resume::Possible => Err(anyhow!(
                    "{} holds a run already; give --resume to go on with it, or another --out",
                    dir.display()
                )),
                Some(_) if resume == Resume::Possible => Err(anyhow!(
                    "{} is not empty; give another folder with --out (--resume goes on with a run \
                     that was stopped, and there is none in it)",
                    dir.display()
                )),
                Some(_) => Err(anyhow!("{} is not empty; give another folder with --out", dir.display())),
            })?;
        write_new(&dir.join(PLAN), plan.as_bytes())?;
        write_new(&dir.join(SampleRow::FILE), &header::<SampleRow>()?)?;
        write_new(&dir.join(NodeRow::FILE), &header::<NodeRow>()?)?;
        write_new(&dir.join(CellRow::FILE), &header::<CellRow>()?)?;
        if with_events {
            write_new(&dir.join(EventRow::FILE), &header::<EventRow>()?)?;
        }
        write_new(&dir.join(PROGRESS), b"")?;
        let mut store = Store::open(dir, resume)?;
        store.record(START, 0)?;
        Ok(store)
    }

    /// Goes on with a run that was stopped. `check_plan` gets the file with its plan
    /// and refuses one that is another.
    pub fn resume(dir: &Path, check_plan: impl FnOnce(&Path) -> Result<()>) -> Result<Store> {
        if !dir.join(PROGRESS).exists() {
            bail!("{} holds no run to resume; leave out --resume to start one", dir.display());
        }
        if !dir.join(PLAN).exists() {
            bail!(
                "{} has lost its {PLAN}, without which its run cannot be resumed; give another folder with --out",
                dir.display()
            );
        }
        check_plan(&dir.join(PLAN))?;
        let mut store = Store::open(dir, Resume::Possible)?;
        let text = fs::read_to_string(dir.join(PROGRESS))
            .with_context(|| format!("cannot read {}", dir.join(PROGRESS).display()))?;
        let (lines, whole_bytes) = parse_progress(&text).with_context(|| {
            format!("{} cannot be resumed; give another folder with --out", dir.display())
        })?;
        let Some(last) = lines.last() else {
            bail!("{} was stopped before it began; delete the folder", dir.display());
        };
        truncate(&dir.join(PROGRESS), whole_bytes)?;
        last.cut_back(dir)?;
        check_columns::<SampleRow>(dir)?;
        check_columns::<NodeRow>(dir)?;
        check_columns::<CellRow>(dir)?;
        store.finished = lines
            .into_iter()
            .filter(|line| line.cell != START)
            .map(|line| (line.cell, line.repetition))
            .collect();
        Ok(store)
    }

    fn open(dir: &Path, resume: Resume) -> Result<Store> {
        let open = |name: &str| {
            OpenOptions::new()
                .append(true)
                .open(dir.join(name))
                .with_context(|| format!("cannot write {}", dir.join(name).display()))
        };
        // Two runs that append to the same files would ruin each other's.
        let progress = open(PROGRESS)?;
        if let Err(TryLockError::WouldBlock) = progress.try_lock() {
            bail!(
                "another run writes to {} at this moment; wait for its end, or give another --out",
                dir.display()
            );
        }
        Ok(Store {
            dir: dir.to_path_buf(),
            samples: open(SampleRow::FILE)?,
            nodes: open(NodeRow::FILE)?,
            cells: open(CellRow::FILE)?,
            events: dir.join(EventRow::FILE).exists().then(|| open(EventRow::FILE)).transpose()?,
            progress,
            resume,
            finished: HashSet::new(),
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs finished so far.
    pub fn finished(&self) -> usize {
        self.finished.len()
    }

    /// Whether this run of this cell is on disk.
    pub fn has(&self, cell: &str, repetition: u32) -> bool {
        self.finished.contains(&(cell.to_string(), repetition))
    }

    /// Appends the rows of a finished run, durably.
    pub fn append(&mut self, rows: &CellRows) -> Result<()> {
        let written = append(&mut self.samples, &rows.samples)
            .and_then(|()| append(&mut self.nodes, &rows.nodes))
            .and_then(|()| append(&mut self.cells, std::slice::from_ref(&rows.cell)))
            .and_then(|()| self.events.as_mut().map_or(Ok(()), |events| append(events, &rows.events)))
            .and_then(|()| self.record(&rows.cell.cell, rows.cell.repetition));
        if written.is_err() {
            // If this fails, too, the folder is cut back when it is resumed.
            let _ = self.drop_unfinished();
        }
        written.with_context(|| {
            let way_on = match self.resume {
                Resume::Possible => "go on with --resume",
                Resume::Impossible => "begin anew with another --out",
            };
            format!(
                "cannot write to {}; the {} finished runs in it are safe: make room and {way_on}",
                self.dir.display(),
                self.finished.len()
            )
        })?;
        self.finished.insert((rows.cell.cell.clone(), rows.cell.repetition));
        Ok(())
    }

    fn record(&mut self, cell: &str, repetition: u32) -> Result<()> {
        let line = Finished {
            cell: cell.to_string(),
            repetition,
            samples_bytes: self.samples.seek(SeekFrom::End(0))?,
            nodes_bytes: self.nodes.seek(SeekFrom::End(0))?,
            cells_bytes: self.cells.seek(SeekFrom::End(0))?,
            events_bytes: self.events.as_mut().map_or(Ok(0), |events| events.seek(SeekFrom::End(0)))?,
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.progress.write_all(text.as_bytes())?;
        self.progress.sync_data()?;
        Ok(())
    }

    /// Cuts off what a failed append left behind, so that the report reads
    /// finished runs only.
    pub fn drop_unfinished(&self) -> Result<()> {
        let text = fs::read_to_string(self.dir.join(PROGRESS))?;
        let (lines, _) = parse_progress(&text)?;
        if let Some(last) = lines.last() {
            last.cut_back(&self.dir)?;
        }
        Ok(())
    }
}

impl Finished {
    /// Cuts the files back to what they held then.
    fn cut_back(&self, dir: &Path) -> Result<()> {
        truncate(&dir.join(SampleRow::FILE), self.samples_bytes)?;
        truncate(&dir.join(NodeRow::FILE), self.nodes_bytes)?;
        truncate(&dir.join(CellRow::FILE), self.cells_bytes)?;
        let events = dir.join(EventRow::FILE);
        if events.exists() { truncate(&events, self.events_bytes) } else { Ok(()) }
    }
}

/// The complete lines, and how many bytes they are. A last line without an end
/// was being written when the run was killed.
fn parse_progress(text: &str) -> Result<(Vec<Finished>, u64)> {
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let lines = whole
        .lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{PROGRESS}, line {}: not written by this program", at + 1))
        })
        .collect::<Result<_>>()?;
    Ok((lines, whole.len() as u64))
}

fn truncate(path: &Path, bytes: u64) -> Result<()> {
    let what = || format!("cannot cut {} back to its finished part", path.display());
    let file = OpenOptions::new().write(true).open(path).with_context(what)?;
    let length = file.metadata().with_context(what)?.len();
    if length < bytes {
        bail!(
            "{} is shorter ({length} bytes) than {PROGRESS} says ({bytes}): it was changed since; \
             the run cannot be resumed",
            path.display()
        );
    }
    file.set_len(bytes).and_then(|()| file.sync_all()).with_context(what)
}

fn header<R: Row>() -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(R::COLUMNS)?;
    writer.into_inner().map_err(|error| anyhow!("{error}"))
}

/// Refuses to append rows to a file of other columns.
fn check_columns<R: Row>(dir: &Path) -> Result<()> {
    let path = dir.join(R::FILE);
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if reader.headers()?.iter().ne(R::COLUMNS.iter().copied()) {
        bail!(
            "{} has other columns than this version of the program writes: another version began the run, and must \
             go on with it; or give another folder with --out",
            path.display()
        );
    }
    Ok(())
}

fn append<R: Row>(file: &mut File, rows: &[R]) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    file.write_all(&writer.into_inner().map_err(|error| anyhow!("{error}"))?)?;
    file.sync_data()?;
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes)
        .with_context(|| format!("cannot write {}; give a writable folder with --out", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::files::read_rows;
    use crate::results::testdata::{CellSpec, Data};

    const CELL: &str = "pbft-4-none";

    fn some_rows(repetition: u32) -> CellRows {
        let mut data = Data::default();
        data.add(&CellSpec { requests: 3, repetitions: 2, ..CellSpec::new("pbft", 4, "none") });
        data.samples.retain(|row| row.repetition == repetition);
        data.nodes.retain(|row| row.repetition == repetition);
        let cell = data.cells.swap_remove(repetition as usize);
        CellRows { samples: data.samples, nodes: data.nodes, cell, events: vec![] }
    }

    fn create(dir: &Path) -> Result<Store> {
        Store::create(dir, "seed = 1\n", false, Resume::Possible)
    }

    fn resume(dir: &Path) -> Result<Store> {
        Store::resume(dir, |_| Ok(()))
    }

    fn contents(dir: &Path) -> Vec<String> {
        [SampleRow::FILE, NodeRow::FILE, CellRow::FILE, PROGRESS]
            .map(|name| fs::read_to_string(dir.join(name)).unwrap())
            .into()
    }

    #[test]
    fn what_was_not_finished_is_cut_off_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let mut store = create(dir).unwrap();
        store.append(&some_rows(0)).unwrap();
        let after_first = contents(dir);
        store.append(&some_rows(1)).unwrap();
        drop(store);

        // Killed while the second run's line was written: that run counts as
        // unfinished although all of its rows are there.
        let log = &contents(dir)[3];
        fs::write(dir.join(PROGRESS), &log[..log.len() - 5]).unwrap();
        let mut store = resume(dir).unwrap();
        assert_eq!(contents(dir), after_first);
        assert!(store.has(CELL, 0) && !store.has(CELL, 1));

        store.append(&some_rows(1)).unwrap();
        assert_eq!(store.finished(), 2);
        let cells = read_rows::<CellRow>(dir).unwrap();
        assert_eq!(cells.iter().map(|cell| cell.repetition).collect::<Vec<_>>(), [0, 1]);
        let samples = read_rows::<SampleRow>(dir).unwrap();
        assert_eq!(samples.len(), 6);
    }

    #[test]
    fn half_a_row_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let store = create(dir).unwrap();
        let before = contents(dir);
        let mut samples = OpenOptions::new().append(true).open(dir.join(SampleRow::FILE)).unwrap();
        samples.write_all(b"pbft-n4,0,pb").unwrap();
        store.drop_unfinished().unwrap();
        assert_eq!(contents(dir), before);
        let second = resume(dir).unwrap_err().to_string();
        assert!(second.contains("another run writes"), "{second}");
        drop(store);
        assert_eq!(resume(dir).unwrap().finished(), 0);
    }

    #[test]
    fn folders_in_use_and_other_plans_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert!(resume(dir).unwrap_err().to_string().contains("no run to resume"));
        create(dir).unwrap();
        let again = create(dir).unwrap_err().to_string();
        assert!(again.contains("--resume"), "{again}");
        let differs = Store::resume(dir, |plan| bail!("{}: another plan", fs::read_to_string(plan)?));
        assert_eq!(differs.unwrap_err().to_string(), "seed = 1\n: another plan");
        let below_a_file = dir.join(PLAN).join("results");
        assert!(format!("{:#}", create(&below_a_file).unwrap_err()).contains("--out"));
        let progress = fs::read(dir.join(PROGRESS)).unwrap();
        fs::write(dir.join(PROGRESS), "x\n").unwrap();
        let garbage = format!("{:#}", resume(dir).unwrap_err());
        assert!(garbage.contains("another folder with --out") && garbage.contains("line 1"), "{garbage}");
        fs::write(dir.join(PROGRESS), progress).unwrap();
        fs::rename(dir.join(PLAN), dir.join("elsewhere")).unwrap();
        assert!(resume(dir).unwrap_err().to_string().contains("has lost its plan.toml"));
        fs::rename(dir.join("elsewhere"), dir.join(PLAN)).unwrap();
        let columns = fs::read_to_string(dir.join(CellRow::FILE)).unwrap();
        let other = columns.replace("durability", "DURABILITY");
        fs::write(dir.join(CellRow::FILE), other).unwrap();
        let other = resume(dir).unwrap_err().to_string();
        assert!(other.contains("cells.csv has other columns"), "{other}");
        fs::write(dir.join(CellRow::FILE), "x").unwrap();
        assert!(resume(dir).unwrap_err().to_string().contains("shorter"));
    }
}
