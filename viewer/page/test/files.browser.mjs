// Tests of files in Chromium: lessons and traces that are opened, and all that is saved.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { LESSONS, drop, key, linkTo, notice, press, summary } from "./page.mjs";

const isPlayed = 'document.querySelector(".summary").dataset.busy === "false"';
const ready = `${summary}.includes("requests answered")`;
/** What the page can save: the button, the file, and how it begins and what it holds. */
const SAVED = [
  ["Trace", "ccro.trace", /^\{"format":"bft-trace"/, /"end":true/],
  ["Sequence chart (SVG)", "ccro.svg", /^<svg /, /<\/svg>\s*$/],
  ["Sequence chart (msc-generator)", "ccro.msc", /^(#|msc|hscale)/, /->/],
  ["Sequence chart (Mermaid)", "ccro.mmd", /^(%%.*\n)?sequenceDiagram/, /->>/],
  ["Chrome trace events (JSON)", "ccro.json", /^\{/, /"traceEvents"/],
  ["This page with the run in it (HTML)", "ccro.html", /^<!doctype html>/, /"format":"bft-trace"/],
];

export async function checkFiles(check, address, folder) {
  const good = readFileSync(join(LESSONS, "03-the-commander-dies.toml"), "utf8").replace(/^title = .*$/m, 'title = "My own lesson"');

  await check("a lesson of one's own is opened, gone through, changed and opened again", address, {}, async ({ evaluate, until, send }) => {
    await until(ready);
    const file = join(folder, "mine.toml");
    writeFileSync(file, good);
    await choose(send, ".tools input[type=file]", file);
    await until('document.querySelector(".lesson h2")?.textContent === "My own lesson"');
    const count = (await evaluate('document.querySelectorAll(".lesson .progress button").length')) - 1;
    for (let place = 2; place <= count; place++) {
      await evaluate(press("Next", 'document.querySelector(".lesson")'));
      await until(`document.querySelector(".lesson-text h3").textContent === "${place} of ${count}"`);
      assert.equal(await evaluate('document.querySelector(".lesson .problem")'), null);
    }
    await evaluate("new Promise((resolve) => setTimeout(resolve, 600))");
    const link = await evaluate("location.href");
    await evaluate(drop("mine.toml", good.replace("My own lesson", "My better lesson")));
    await until('document.querySelector(".lesson h2")?.textContent === "My better lesson"');
    await evaluate(press("← All lessons"));
    await until('[...document.querySelectorAll(".lesson-list small")].map(({ textContent }) => textContent).join() === "from mine.toml"');
    assert.equal(await evaluate('document.querySelectorAll(".lesson-list button").length'), 10);
    await check("… its link shows the run, and no other lesson", link, {}, async (other) => {
      await other.until(ready);
      assert.equal(await other.evaluate('document.querySelector(".lesson h2")'), null);
    });
  });

  await check("a lesson with a mistake is a sentence that says where", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    for (const [text, said] of [
      [good.replace("title", "titel"), /mine\.toml cannot be opened as a lesson\. line \d+: unknown field `titel`/],
      [good.replace(/nodes = \d+/, "nodes = 0"), /scenario\.nodes: 0 nodes/],
      ["", /missing field/],
      ["title = [", /line 1: /],
    ]) {
      await evaluate(drop("mine.toml", text));
      await until(`${said}.test(${notice})`);
      assert.equal(await evaluate('document.querySelector(".lesson h2")'), null);
      await evaluate(press("Close", 'document.querySelector(".notice")'));
    }
    // A moment that the run does not have is named where the lesson comes to it.
    await evaluate(drop("mine.toml", good.replace(/at = \{[^}]*\}/, 'at = { mark = "proposed", seq = 99 }')));
    await until('document.querySelector(".lesson h2")');
    await until(isPlayed);
    for (let i = 0; i < 12 && !(await evaluate('document.querySelector(".lesson .problem")')); i++) {
      await evaluate(press("Next", 'document.querySelector(".lesson")'));
      await until(isPlayed);
    }
    assert.match(await evaluate('document.querySelector(".lesson .problem").textContent'), /no moment \{ mark = "proposed", seq = 99 \}/);
  });

  const saved = mkdtempSync(join(folder, "saved-"));
  const ccro = await linkTo(address, { scenario: { protocol: "ccro", nodes: 4, app: "kv", requests: 3, network: "lan", seed: 1 }, part: "form" });
  await check("whatever can be saved is saved, and begins as it should", ccro, {}, async ({ evaluate, until, send }) => {
    await until(ready);
    await send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: saved });
    const offered = await evaluate('[...document.querySelectorAll(".tools .drop-body button")].map(({ textContent }) => textContent)');
    assert.deepEqual([...offered].sort(), SAVED.map(([label]) => label).sort());
    for (const [label, name, begins, holds] of SAVED) {
      await evaluate(press(label));
      const text = await written(join(saved, name));
      assert.match(text, begins, label);
      assert.match(text, holds, label);
    }
    JSON.parse(readFileSync(join(saved, "ccro.json"), "utf8"));
    assert.equal(await evaluate(notice), "");
  });

  await check("the saved page shows its run from disk", pathToFileURL(join(saved, "ccro.html")).href, {}, async ({ evaluate, until }) => {
    await until(`${summary}.includes("3 of 3 requests answered")`);
    await evaluate(key("End"));
    await until('document.querySelector(".now").textContent.length > 5');
  });

  await check("a saved trace is opened again, and compared with", address, {}, async ({ evaluate, until, send }) => {
    await until(ready);
    const file = join(saved, "ccro.trace");
    await choose(send, ".tools input[type=file]", file);
    await until(`${summary}.startsWith("ccro.trace") && ${summary}.includes("3 of 3 requests")`);
    await evaluate(press("Compare"));
    await until('document.querySelectorAll(".compare .timeline").length === 2');
    await choose(send, ".compare input[type=file]", file);
    await until('document.querySelector(".compare select").value === "file"');
    await evaluate(drop("cut.trace", readFileSync(file, "utf8").slice(0, 5000)));
    await until(`/^cut\\.trace cannot be shown: /.test(${notice})`);
    assert.match(await evaluate(summary), /^ccro\.trace/, "the last run stays");
  });
  return join(saved, "ccro.trace");
}

/** Chooses a file in an input of the page, as its window would. */
async function choose(send, selector, file) {
  const { root } = await send("DOM.getDocument");
  const { nodeId } = await send("DOM.querySelector", { nodeId: root.nodeId, selector });
  await send("DOM.setFileInputFiles", { nodeId, files: [file] });
}

/** The text of a file, once it is written; gives up after a minute. */
async function written(file) {
  for (let left = 600; left > 0; left--) {
    if (existsSync(file) && statSync(file).size > 0) return readFileSync(file, "utf8");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${file} was never saved`);
}
