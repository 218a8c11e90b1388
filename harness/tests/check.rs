//! Small scopes, explored to the end.
use harness::check::named::*;
#[test]
fn look() {
    let only = std::env::var("ONLY").unwrap_or_default();
    for named in NAMED.iter().filter(|n| n.name.starts_with(&only)) {
        let began = std::time::Instant::now();
        let report = named.run(Box::new(|s| s()), &mut |p| {
            (p.unique > 100_000 || began.elapsed().as_secs() > 15).then(|| "states".to_owned())
        });
        println!(
            "{} {:?} {:?} stopped {:?} in {:?}",
            named.name,
            report.progress,
            report.reach,
            report.stopped,
            began.elapsed()
        );
        if let Some((property, chart)) = &report.violation {
            println!("{property}\n{}", chart.text());
        }
    }
}
