//! `harness trace`.

use std::io::{self, Write};
use std::path::Path;
use std::str;

use anyhow::{Context, Result, anyhow, ensure};
use trace::Trace;
use trace::export;

use crate::base::console::{note, say};
use crate::cli::RecordedArgs;
use crate::cli::recorded::Form;
use crate::replay;

/// Runs the command and returns the exit code.
pub fn run(args: &RecordedArgs) -> Result<u8> {
    let trace = read(&args.file)?;
    let selection = args.selection();
    let text = match args.form {
        Form::Summary => {
            ensure!(
                args.slots.is_none() && args.ms.is_none(),
                "a summary is of the whole trace; leave --slots and --ms out, or choose a chart with --as"
            );
            export::summary(&trace)
        }
        Form::Msc => export::msc(&trace, &selection)?,
        Form::Mermaid => export::mermaid(&trace, &selection)?,
        Form::Svg => export::svg(&trace, &selection)?,
        Form::Chrome => export::chrome(&trace, &selection)?,
    };
    match &args.out {
        None => note(io::stdout().write_all(text.as_bytes())),
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            say(format_args!("Written: {}", path.display()));
        }
    }
    Ok(0)
}

/// Reads a trace from a file, or makes it of the journals in a folder.
pub(super) fn read(path: &Path) -> Result<Trace> {
    let name = path.display();
    if path.is_dir() {
        return replay::run::trace(path);
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}; give a trace"))?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        anyhow!("{name}: line {line} is no text; give a trace, or copy the whole file again")
    })?;
    Trace::parse(text).with_context(|| name.to_string())
}
