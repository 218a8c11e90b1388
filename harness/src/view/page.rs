//! The built page, and runs put into it.

use std::path::Path;

use anyhow::{Context, Result};
use trace::Trace;

/// As `viewer/build.sh` built it.
const PAGE: &str = include_str!("../../../viewer/page.html");
/// Where a run goes.
const PLACE: &str = "<script type=\"application/json\" id=\"embedded-trace\"></script>";

/// The page, with the run of this file in it.
///
/// # Errors
///
/// If the file is no whole trace.
pub fn with(file: Option<&Path>) -> Result<String> {
    let Some(file) = file else { return Ok(PAGE.to_owned()) };
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "cannot read {}; give a file that --trace has written, or the folder of a cluster's journals",
            file.display()
        )
    })?;
    Trace::parse(&text).with_context(|| format!("{} cannot be shown", file.display()))?;
    Ok(holding(&text))
}

/// The page, with this run in it.
///
/// # Errors
///
/// If there is no memory for it.
pub fn showing(trace: &Trace) -> Result<String> {
    let mut text = Vec::new();
    trace.write(&mut text)?;
    Ok(holding(&String::from_utf8(text)?))
}

/// The page with this trace in it. In JSON, `<` stands in strings only, where it can be
/// written otherwise: no content can end the element that it is in.
fn holding(trace: &str) -> String {
    let embedded = PLACE.replacen("><", &format!(">\n{}<", trace.replace('<', "\\u003c")), 1);
    PAGE.replacen(PLACE, &embedded, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_place_for_a_run_and_nothing_in_it_ends_the_element() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        let page = holding("{\"text\":\"</script><img src=x onerror=alert(1)>\"}");
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(page.contains("\\u003c/script>\\u003cimg"));
    }
}
