//! The report's page in a real browser: what is clicked, pointed at and saved. Skipped
//! where no Chromium is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Clicks, points and saves, and leaves what came of it as JSON on the page.
const SCRIPT: &str = r##"
const report = { errors, hovered: 0, silent: [], sorted: 0, unsorted: [], saved: {} };
document.documentElement.style.scrollBehavior = "auto";
const tip = document.getElementById("tip");
for (const mark of document.querySelectorAll("[data-tip]")) {
  mark.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  let shown = false;
  for (const shape of mark.querySelectorAll("*")) {
    const box = shape.getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true };
    const target = document.elementFromPoint(at.clientX, at.clientY) || document.body;
    target.dispatchEvent(new PointerEvent("pointermove", at));
    shown = !tip.hidden && tip.textContent.split("\n").includes(mark.dataset.tip);
    if (shown) break;
  }
  if (shown) report.hovered += 1; else report.silent.push(mark.dataset.tip);
}
const key = (cell) => cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v === "" ? null : +cell.dataset.v;
const before = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) <= 0 : a <= b;
for (const table of document.querySelectorAll("table.sorts")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    for (const order of ["ascending", "descending"]) {
      head.querySelector("button").click();
      const keys = [...table.tBodies[0].rows].map((row) => key(row.cells[column]));
      const filled = keys.filter((value) => value !== null);
      const emptyLast = keys.slice(0, filled.length).every((value) => value !== null);
      if (order === "descending") filled.reverse();
      const inOrder = filled.every((value, place) => place === 0 || before(filled[place - 1], value));
      if (inOrder && emptyLast && head.getAttribute("aria-sort") === order) report.sorted += 1;
      else report.unsorted.push(head.textContent + " " + order);
    }
  });
}
// Kept as text: what a real blob holds is known only some time later.
window.Blob = class { constructor(parts) { this.content = parts.join(""); } };
const saved = [];
URL.createObjectURL = (blob) => "blob:" + (saved.push(blob.content) - 1);
URL.revokeObjectURL = () => {};
HTMLAnchorElement.prototype.click = function () {
  report.saved[this.download] = saved[Number(this.getAttribute("href").slice("blob:".length))];
};
document.querySelectorAll("button[data-save]").forEach((button) => button.click());
const out = document.createElement("script");
out.type = "application/json";
out.id = "outcome";
out.textContent = JSON.stringify(report).replaceAll("<", "\\u003c");
document.body.append(out);
"##;

fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// The reference result's page, built anew, and what happens on it.
fn played(folder: &Path, browser: &str) -> Value {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference");
    for file in ["samples.csv", "nodes.csv", "cells.csv", "machine.json", "floor.json", "plan.toml"] {
        std::fs::copy(reference.join(file), folder.join(file)).unwrap();
    }
    harness::report::build(folder).unwrap();
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    let listen = "<script>const errors = []; addEventListener('error', (e) => errors.push(e.message));\
                  addEventListener('securitypolicyviolation', (e) => errors.push(e.violatedDirective));</script>";
    let page = page.replacen("<title>", &format!("{listen}<title>"), 1);
    let page = page.replacen("</body>", &format!("<script>{SCRIPT}</script></body>"), 1);
    let tried: PathBuf = folder.join("tried.html");
    std::fs::write(&tried, page).unwrap();
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", &profile, "--window-size=1280,900"])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(&tried)
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let outcome = dom.split("id=\"outcome\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let outcome =
        outcome.unwrap_or_else(|| panic!("no outcome: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(outcome).unwrap()
}

#[test]
fn values_come_up_tables_sort_and_figures_are_saved() {
    let Some(browser) = chromium() else {
        eprintln!("skipped: there is no Chromium here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let outcome = played(folder.path(), browser);
    assert_eq!(outcome["errors"], Value::Array(vec![]));
    assert_eq!(outcome["silent"], Value::Array(vec![]));
    assert!(outcome["hovered"].as_u64() > Some(100), "{}", outcome["hovered"]);
    assert_eq!(outcome["unsorted"], Value::Array(vec![]));
    assert!(outcome["sorted"].as_u64() >= Some(40), "{}", outcome["sorted"]);
    let saved = outcome["saved"].as_object().unwrap();
    let plots = std::fs::read_dir(folder.path().join("plots")).unwrap();
    let mut names: Vec<String> =
        plots.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(saved.keys().cloned().collect::<Vec<_>>(), names);
    for (name, text) in saved {
        let text = text.as_str().unwrap();
        if name.ends_with(".csv") {
            let file = std::fs::read_to_string(folder.path().join("plots").join(name)).unwrap();
            assert_eq!(text.trim_end(), file.trim_end(), "{name}");
        } else {
            let picture = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let texts = picture.descendants().filter(|node| node.has_tag_name("text")).count();
            assert!(texts > 3, "{name} has {texts} texts");
        }
    }
}
