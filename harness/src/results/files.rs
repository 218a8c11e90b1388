//! Reading and writing the files of a result folder.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::schema::Row;

/// Reads all rows of `dir`'s file of this kind. A missing or truncated file,
/// a missing column or an unreadable field is an error that names file, line
/// and column; columns beyond the known ones are ignored.
pub fn read_rows<R: Row>(dir: &Path) -> Result<Vec<R>> {
    let path = dir.join(R::FILE);
    let mut file = File::open(&path).with_context(|| {
        format!(
            "cannot read {}: a report needs samples.csv, nodes.csv and cells.csv; \
             give the folder that a run wrote (--out)",
            path.display()
        )
    })?;
    check_complete(&mut file, &path)?;
    let mut reader = csv::Reader::from_reader(file);
    let headers =
        reader.headers().with_context(|| format!("cannot read the header of {}", path.display()))?.clone();
    if let Some(missing) = R::COLUMNS.iter().find(|c| !headers.iter().any(|h| h == **c)) {
        bail!(
            "{}, line 1: the column {missing} is missing; results/README.md lists all columns",
            path.display()
        );
    }
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        rows.push(row.map_err(|error| describe(&error, &headers, &path))?);
    }
    Ok(rows)
}

/// Refuses an empty file and one whose last line was cut off.
fn check_complete(file: &mut File, path: &Path) -> Result<()> {
    let context = || format!("cannot read {}", path.display());
    if file.metadata().with_context(context)?.len() == 0 {
        bail!("{} is empty, not even a header line is there; run the measurement again", path.display());
    }
    let mut last = [0u8];
    file.seek(SeekFrom::End(-1)).with_context(context)?;
    file.read_exact(&mut last).with_context(context)?;
    file.seek(SeekFrom::Start(0)).with_context(context)?;
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

/// A file name for any cell name: everything but letters, digits and `-_@+=.;:,`
/// is written as `%` and hexadecimal digits, so that no two names meet and none
/// leaves the folder.
pub(crate) fn file_name(name: &str, extension: &str) -> String {
    let mut file = String::new();
    for (place, byte) in name.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-_@+=;:,".contains(&byte) || (byte == b'.' && place > 0);
        if plain {
            file.push(char::from(byte));
        } else {
            let _ = write!(file, "%{byte:02x}");
        }
    }
    format!("{file}.{extension}")
}

/// Makes the files of one kind in a folder exactly these; other kinds stay.
pub(crate) fn replace_folder(folder: &Path, extension: &str, files: &[(String, Vec<u8>)]) -> Result<()> {
    let context = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(context)?;
    for (name, bytes) in files {
        write_atomically(&folder.join(name), bytes)?;
    }
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let stale = path.extension().is_some_and(|e| e == extension)
            && !files.iter().any(|(name, _)| path.file_name().is_some_and(|f| f == name.as_str()));
        if stale {
            std::fs::remove_file(&path).with_context(context)?;
        }
    }
    Ok(())
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
        let good = "a,0,pbft,4,1,none,0,replica,none,1,1,0,1,1,1,1,1,1,1,1,0,,,prepare=1";
        assert!(error_for("").contains("empty"));
        assert!(error_for(&header).contains("truncated"));
        let lost = header.replace("bytes_in,", "");
        assert!(error_for(&format!("{lost}\n")).contains("column bytes_in is missing"));
        let short = error_for(&format!("{header}\n{good}\na,0,pbft\n"));
        assert!(short.contains("nodes.csv, line 3: 3 fields where the header has 24"), "{short}");
        let bad = good.replacen("none,0,", "none,x,", 1);
        let wrong = error_for(&format!("{header}\n{good}\n{bad}\n"));
        assert!(wrong.contains("nodes.csv, line 3, column node:"), "{wrong}");
        let missing = read_rows::<NodeRow>(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/nodes.csv") && missing.contains("--out"));
    }

    #[test]
    fn unknown_columns_and_another_order_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let mut columns: Vec<_> = NodeRow::COLUMNS.to_vec();
        columns.reverse();
        columns.push("colour");
        let mut fields: Vec<_> =
            "a,0,pbft,4,1,none,0,replica,none,1,1,0,1,1,1,1,1,1,1,1,7,,,prepare=1".split(',').collect();
        fields.reverse();
        fields.push("blue");
        let text = format!("{}\n{}\n", columns.join(","), fields.join(","));
        std::fs::write(dir.path().join("nodes.csv"), text).unwrap();
        let rows = read_rows::<NodeRow>(dir.path()).unwrap();
        assert_eq!((rows[0].rejected, rows[0].cpu_us), (7, None));
    }

    #[test]
    fn no_rows_still_leave_a_header() {
        let dir = tempfile::tempdir().unwrap();
        write_rows::<SummaryRow>(dir.path(), &[]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("summary.csv")).unwrap();
        assert_eq!(text.trim_end(), SummaryRow::COLUMNS.join(","));
        assert!(read_rows::<SummaryRow>(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn file_names_stay_in_the_folder_and_apart() {
        assert_eq!(file_name("../x y", "svg"), "%2e.%2fx%20y.svg");
        assert_ne!(file_name("a/b", "svg"), file_name("a%2fb", "svg"));
        assert_eq!(file_name("pbft-4-malicious@2;3", "hgrm"), "pbft-4-malicious@2;3.hgrm");
    }
}
