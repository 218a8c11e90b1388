//! Reading and writing the files of a result folder.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use kernel::Digest;

use super::schema::{ADDED_LATER, Row};

/// Reads all rows of `dir`'s file of this kind. A missing or truncated file,
/// a missing column or an unreadable field is an error that names file, line
/// and column; columns beyond the known ones are ignored, and older files may lack
/// those of [`ADDED_LATER`].
pub fn read_rows<R: Row>(dir: &Path) -> Result<Vec<R>> {
    let path = dir.join(R::FILE);
    let file = File::open(&path).with_context(|| {
        format!(
            "cannot read {}: a report needs samples.csv, nodes.csv and cells.csv; \
             give the folder that a run wrote",
            path.display()
        )
    })?;
    parse_rows(file, &path)
}

/// Reads all rows of a text, as [`read_rows`] does; `path` is what errors call it.
pub fn parse_rows<R: Row>(mut text: impl Read + Seek, path: &Path) -> Result<Vec<R>> {
    check_complete(&mut text, path)?;
    let mut reader = csv::Reader::from_reader(text);
    let headers =
        reader.headers().with_context(|| format!("cannot read the header of {}", path.display()))?.clone();
    let mut needed = R::COLUMNS.iter().filter(|column| !ADDED_LATER.contains(column));
    if let Some(missing) = needed.find(|column| !headers.iter().any(|header| header == **column)) {
        bail!(
            "{}, line 1: the column {missing} is missing; results/README.md lists all columns",
            path.display()
        );
    }
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        rows.push(row.map_err(|error| describe(&error, &headers, path))?);
    }
    Ok(rows)
}

/// Refuses an empty file and one whose last line was cut off.
fn check_complete(text: &mut (impl Read + Seek), path: &Path) -> Result<()> {
    let context = || format!("cannot read {}", path.display());
    if text.seek(SeekFrom::End(0)).with_context(context)? == 0 {
        bail!("{} is empty, not even a header line is there; run the measurement again", path.display());
    }
    let mut last = [0u8];
    text.seek(SeekFrom::End(-1)).with_context(context)?;
    text.read_exact(&mut last).with_context(context)?;
    text.seek(SeekFrom::Start(0)).with_context(context)?;
    if last != *b"\n" {
        bail!(
            "{} is truncated: its last line has no end. Resume the run that writes it, \
             or delete the last line",
            path.display()
        );
    }
    Ok(())
}

/// Says where in the file an unreadable row is and what is wrong with it.
fn describe(error: &csv::Error, headers: &csv::StringRecord, path: &Path) -> anyhow::Error {
    let line = error.position().map_or(0, csv::Position::line);
    let file = path.display();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => anyhow::anyhow!(
            "{file}, line {line}: {len} fields where the header has {expected_len}; \
             the line is damaged: delete it or measure again"
        ),
        csv::ErrorKind::Deserialize { err, .. } => {
            let column =
                err.field().and_then(|field| headers.get(usize::try_from(field).ok()?)).unwrap_or("unknown");
            anyhow::anyhow!("{file}, line {line}, column {column}: {}", err.kind())
        }
        _ => anyhow::anyhow!("{file}, line {line}: {error}"),
    }
}

/// Writes `dir`'s file of this kind anew, header line included even when there
/// is no row. The file is complete or unchanged, never half written.
pub fn write_rows<R: Row>(dir: &Path, rows: &[R]) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(R::COLUMNS)?;
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    write_atomically(&dir.join(R::FILE), &bytes)
}

/// Writes a file beside its final place and renames it there.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| {
        format!("cannot write {}: the folder must exist, be writable and have space left", path.display())
    })
}

/// How file names write the characters of faults that systems do not all allow.
const SPELLINGS: [(&str, &str); 5] =
    [("@", "_at_"), (";", "_and_"), ("+", "_with_"), ("=", "_eq_"), (":", "_")];

/// Most bytes of a file name, so that it fits everywhere and stays readable.
const LONGEST: usize = 100;

/// Hexadecimal digits of a hash that stands for what a file name left out.
const HASH_DIGITS: usize = 10;

/// The one way in which a file's name is made from another name, such as a cell's:
/// of letters, digits, `-`, `_` and `.` only, and of at most 100 bytes. A name that
/// cannot be read back from it (capitals, other characters, too long) ends in a hash
/// of the whole name, so that no two names meet, not even where capitals do not
/// count.
///
/// `ccro-n7-malicious:2` gives `ccro-n7-malicious_2.svg`, `pbft-n4-withhold@1` gives
/// `pbft-n4-withhold_at_1.svg`.
pub fn file_name(name: &str, extension: &str) -> String {
    let spelled = SPELLINGS.iter().fold(name.to_lowercase(), |text, (sign, word)| text.replace(sign, word));
    let portable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let spelled = spelled.replace(|c| !portable(c), "-");
    let read_back = SPELLINGS.iter().fold(spelled.clone(), |text, (sign, word)| text.replace(word, sign));
    let most = LONGEST - 1 - extension.len();
    let starts_well = spelled.starts_with(|c: char| c.is_ascii_alphanumeric());
    if read_back == name && starts_well && spelled.len() <= most && !ends_in_a_hash(&spelled) {
        return format!("{spelled}.{extension}");
    }
    let mut hash = Digest::of(name.as_bytes()).to_string();
    hash.truncate(HASH_DIGITS);
    let mut kept = spelled.trim_start_matches(['-', '.']).to_owned();
    kept.truncate(most - 1 - HASH_DIGITS);
    let kept = if kept.is_empty() { "unnamed" } else { kept.trim_end_matches(['-', '_', '.']) };
    format!("{kept}-{hash}.{extension}")
}

/// The same without an extension, as a part of a file's name.
pub fn part_of_file_name(name: &str) -> String {
    file_name(name, "").trim_end_matches('.').to_owned()
}

/// Whether a name could be taken for one that ends in a hash.
fn ends_in_a_hash(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == HASH_DIGITS && end.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Makes the files of one kind in a folder exactly these; other kinds stay. A file
/// that cannot be written costs no other: returns a sentence for each.
pub fn replace_folder(folder: &Path, extension: &str, files: &[(String, Vec<u8>)]) -> Vec<String> {
    let context = || format!("cannot write to {}", folder.display());
    if let Err(error) = std::fs::create_dir_all(folder).with_context(context) {
        return vec![format!("{error:#}")];
    }
    let mut problems = Vec::new();
    let mut note = |done: Result<()>| problems.extend(done.err().map(|error| format!("{error:#}")));
    for (name, bytes) in files {
        note(write_atomically(&folder.join(name), bytes));
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let stale = path.extension().is_some_and(|e| e == extension)
            && !files.iter().any(|(name, _)| path.file_name().is_some_and(|f| f == name.as_str()));
        if stale {
            note(std::fs::remove_file(&path).with_context(context));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::schema::{CellRow, CommitPath, NodeRow, SampleRow, SummaryRow};
    use crate::results::testdata;

    fn header_of<R: Row>(row: &R) -> Vec<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        text.lines().next().unwrap().split(',').map(str::to_string).collect()
    }

    #[test]
    fn columns_are_the_struct_fields_in_order() {
        let data = testdata::standard();
        assert_eq!(header_of(&data.samples[0]), SampleRow::COLUMNS);
        assert_eq!(header_of(&data.nodes[0]), NodeRow::COLUMNS);
        assert_eq!(header_of(&data.cells[0]), CellRow::COLUMNS);
        let summary = crate::results::summary::summarise(&data.samples, &data.nodes, &data.cells, &[]);
        assert_eq!(header_of(&summary[0]), SummaryRow::COLUMNS);
    }

    #[test]
    fn rows_survive_the_round_trip_with_empty_fields_and_awkward_text() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::standard();
        data.samples[0].path = Some(CommitPath::TwoPhase);
        data.samples[0].error = "a \"quoted\", line\nbroken; text".into();
        data.samples[1].rate_per_s = Some(0.5);
        write_rows(dir.path(), &data.samples).unwrap();
        assert_eq!(read_rows::<SampleRow>(dir.path()).unwrap(), data.samples);
        let text = std::fs::read_to_string(dir.path().join("samples.csv")).unwrap();
        assert!(text.contains(",decided,two-phase,"));
        write_rows(dir.path(), &data.cells).unwrap();
        assert_eq!(read_rows::<CellRow>(dir.path()).unwrap(), data.cells);
    }

    fn error_for(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodes.csv"), text).unwrap();
        format!("{:#}", read_rows::<NodeRow>(dir.path()).unwrap_err())
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let header = NodeRow::COLUMNS.join(",");
        let good = "a,0,pbft,4,1,none,0,replica,none,1,1,0,1,1,1,1,1,1,1,1,0,0,0,,,prepare=1";
        assert!(error_for("").contains("empty"));
        assert!(error_for(&header).contains("truncated"));
        let lost = header.replace("bytes_in,", "");
        assert!(error_for(&format!("{lost}\n")).contains("column bytes_in is missing"));
        let short = error_for(&format!("{header}\n{good}\na,0,pbft\n"));
        assert!(short.contains("nodes.csv, line 3: 3 fields where the header has 26"), "{short}");
        let bad = good.replacen("none,0,", "none,x,", 1);
        let wrong = error_for(&format!("{header}\n{good}\n{bad}\n"));
        assert!(wrong.contains("nodes.csv, line 3, column node:"), "{wrong}");
        let missing = read_rows::<NodeRow>(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/nodes.csv") && missing.contains("that a run wrote"));
    }

    #[test]
    fn files_without_a_column_that_was_added_later_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let data = testdata::standard();
        write_rows(dir.path(), &data.cells).unwrap();
        let path = dir.path().join(CellRow::FILE);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&path).unwrap();
        let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
        let is_late = |place: usize| ["app", "via", "durability"].contains(&&records[0][place]);
        let mut writer = csv::Writer::from_path(&path).unwrap();
        for record in &records {
            let fields = record.iter().enumerate().filter(|(place, _)| !is_late(*place));
            writer.write_record(fields.map(|(_, field)| field)).unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(read_rows::<CellRow>(dir.path()).unwrap(), data.cells);
    }

    #[test]
    fn unknown_columns_and_another_order_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut columns: Vec<_> = NodeRow::COLUMNS.to_vec();
        columns.reverse();
        columns.push("colour");
        let mut fields: Vec<_> =
            "a,0,pbft,4,1,none,0,replica,none,1,1,0,1,1,1,1,1,1,1,1,7,3,600,,,prepare=1".split(',').collect();
        fields.reverse();
        fields.push("blue");
        let text = format!("{}\n{}\n", columns.join(","), fields.join(","));
        std::fs::write(dir.path().join("nodes.csv"), text).unwrap();
        let rows = read_rows::<NodeRow>(dir.path()).unwrap();
        assert_eq!((rows[0].rejected, rows[0].syncs, rows[0].sync_us, rows[0].cpu_us), (7, 3, 600, None));
    }

    #[test]
    fn no_rows_still_leave_a_header() {
        let dir = tempfile::tempdir().unwrap();
        write_rows::<SummaryRow>(dir.path(), &[]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("summary.csv")).unwrap();
        assert_eq!(text.trim_end(), SummaryRow::COLUMNS.join(","));
        assert!(read_rows::<SummaryRow>(dir.path()).unwrap().is_empty());
    }

    fn is_portable(file: &str) -> bool {
        let mut bytes = file.bytes();
        file.len() <= 100
            && file.starts_with(|c: char| c.is_ascii_alphanumeric())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    }

    #[test]
    fn file_names_are_readable_where_they_can_be() {
        for (name, file) in [
            ("pbft-n4-none", "pbft-n4-none.svg"),
            ("ccro-n7-malicious:2", "ccro-n7-malicious_2.svg"),
            ("pbft-n4-withhold@1", "pbft-n4-withhold_at_1.svg"),
            ("pbft-n4-drop=0.5:1+malicious@2;3", "pbft-n4-drop_eq_0.5_1_with_malicious_at_2_and_3.svg"),
        ] {
            assert_eq!(file_name(name, "svg"), file);
        }
    }

    #[test]
    fn any_name_gives_a_portable_file_name_of_its_own() {
        let long = format!("pbft-n4-{}", "drop=0.5[seq=10..20][kind=prepare;commit]@1+".repeat(20));
        let longer = format!("{long}x");
        let names = [
            "malicious:1",
            "malicious_1",
            "malicious@1",
            "malicious_at_1",
            "malicious:at:1",
            "Malicious:1",
            "MALICIOUS:1",
            "../x y",
            "..",
            ".",
            "",
            "-rf",
            "a/b",
            "a%2fb",
            "a b",
            "é",
            "e",
            "\u{1f980}",
            "a\nb",
            "drop=0.5[seq=10..20]:1",
            "drop=0.5[seq=10..20]@1",
            &long,
            &longer,
        ];
        let mut files: Vec<String> = names.map(|name| file_name(name, "svg").to_lowercase()).into();
        // A name that looks as if a hash had been put behind it.
        files.push(file_name(files[5].strip_suffix(".svg").unwrap(), "svg"));
        for file in &files {
            assert!(is_portable(file), "{file}");
        }
        files.sort();
        let all = files.len();
        files.dedup();
        assert_eq!(files.len(), all, "{files:?}");
        assert!(file_name(&long, "hgrm").starts_with("pbft-n4-drop_eq_0.5-seq_eq_10..20-"), "still readable");
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let too_long = format!("{}.svg", "x".repeat(300));
        std::fs::write(dir.path().join("stale.svg"), "").unwrap();
        let files = [(too_long, vec![1]), ("good.svg".to_string(), vec![2])];
        let problems = replace_folder(dir.path(), "svg", &files);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("name too long"), "{problems:?}");
        assert_eq!(std::fs::read(dir.path().join("good.svg")).unwrap(), [2]);
        assert!(!dir.path().join("stale.svg").exists());
    }
}
