// Tests of the built page in Chromium; it must have been built with the module.
//
//   node test/browser.mjs PAGE.html [HARNESS]
//
// With HARNESS, a run that this program puts into the page (`harness view FILE --export`) is
// opened, too. PICTURES=FOLDER keeps pictures of the page there. CHROMIUM names another browser
// than `chromium`.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { openPage } from "./chromium.mjs";
import { checkControls } from "./controls.browser.mjs";
import { checkDrawings } from "./drawings.browser.mjs";
import { checkFiles } from "./files.browser.mjs";
import { frame, key, now, press, put, set, summary } from "./page.mjs";
import { checkViews } from "./pictures.browser.mjs";
import { sample } from "./sample.mjs";

const file = resolve(process.argv[2]);
const harness = process.argv[3];
const address = pathToFileURL(file).href;
const folder = mkdtempSync(join(tmpdir(), "page-"));

/** Runs a test on a page of its own; nothing may be wrong on its console. */
async function check(name, at, size, test) {
  const page = await openPage(at, size);
  try {
    await test(page);
    assert.deepEqual(page.problems, []);
    console.log(`ok: ${name}`);
  } catch (error) {
    throw new Error(`${name}: ${error.message}${page.problems.map((problem) => `; the console says ${problem}`).join("")}`, { cause: error });
  } finally {
    await page.close();
  }
}

await check("the form says what is wrong beside the field, and the last run stays", address, {}, async ({ evaluate, until }) => {
  await until(`${summary}.includes("4 nodes")`);
  for (const nodes of ["0", "101"]) {
    await evaluate(set("Nodes", nodes));
    await until('document.querySelector(".field[data-wrong=true] .problem")?.textContent.includes("1 to 100")');
    assert.match(await evaluate(summary), /4 nodes/);
  }
  await evaluate(set("Nodes", "7"));
  await until(`${summary}.includes("7 nodes") && !document.querySelector(".problem")`);
});

await check("the address brings back the moment", address, {}, async ({ evaluate, until }) => {
  await until(`${summary}.includes("4 nodes")`);
  await evaluate(set("Seed", "5"));
  await evaluate(set("Nodes", "5"));
  await until(`${summary}.includes("5 nodes")`);
  for (let i = 0; i < 12; i++) await evaluate(key("ArrowRight"));
  const now = 'document.querySelector(".where output").textContent + document.querySelector(".now").textContent';
  const before = await evaluate(now);
  await evaluate("new Promise((resolve) => setTimeout(resolve, 800))");
  const link = await evaluate("location.href");
  await check("… in another browser", link, {}, async (other) => {
    await other.until(`${summary}.includes("5 nodes")`);
    assert.equal(await other.evaluate(now), before);
  });
});

await check("a lesson leads through its moments, and what it proposes can be tried", address, {}, async ({ evaluate, until }) => {
  await until('document.querySelectorAll(".lesson-list button").length === 9');
  await evaluate('document.querySelector(".lesson-list button").click()');
  for (const place of [2, 3, 4, 5, 6, 7]) {
    await evaluate('document.querySelector(".lesson .main").click()');
    await until(`document.querySelector(".lesson-text h3").textContent === "${place} of 7"`);
    assert.equal(await evaluate('document.querySelector(".lesson .problem")'), null);
  }
  await until('document.querySelector(".now").textContent.includes("client accepts")');
  await evaluate('document.querySelector(".lesson .main").click()');
  await until('document.querySelector(".lesson .main").textContent === "Try it"');
  await evaluate('document.querySelector(".lesson .main").click()');
  await until('document.querySelector(".now").textContent.includes("Nothing has happened yet")');
});

await check("a lesson's next step can be asked for before its run is there", address, {}, async ({ evaluate, until }) => {
  await until('document.querySelectorAll(".lesson-list button").length === 9');
  await until(`${summary}.includes("requests answered")`);
  // All of this happens before a worker's answer can come: the page is drawn between microtasks.
  await evaluate(`(async () => {
    const drawn = async (selector) => { for (let i = 0; i < 100 && !document.querySelector(selector); i++) await null; };
    document.querySelectorAll(".lesson-list button")[2].click();
    await drawn(".lesson .main");
    document.querySelector(".lesson .main").click();
  })()`);
  await until(`${now}.includes("Replica 0 crashes")`);
  assert.equal(await evaluate('document.querySelector(".lesson .problem")'), null);
});

await check("a link with nonsense is a sentence, not a blank page", `${address}#nonsense`, {}, async ({ evaluate, until }) => {
  await until(`${summary}.includes("4 nodes")`);
  assert.match(await evaluate('document.querySelector(".notice").textContent'), /cannot be read/);
});

const place = '<script type="application/json" id="embedded-trace">';
const html = readFileSync(file, "utf8");
assert.equal(html.split(place).length, 2, "the page has one place for a run");
const withRun = join(folder, "run.html");
writeFileSync(withRun, html.replace(place, () => place + sample({ html: true }).replaceAll("<", "\\u003c")));

await check("what looks like HTML is shown as text", pathToFileURL(withRun).href, {}, async ({ evaluate, until }) => {
  await until(`${summary}.includes("2 of 2 requests")`);
  await evaluate(key("1"));
  for (const place of [".now", ".detail .json"]) {
    const seen = `document.querySelector("${place}")?.textContent.includes("<img src=x onerror=alert(1)>")`;
    for (let i = 0; i < 20 && !(await evaluate(seen)); i++) {
      await evaluate(key("ArrowRight"));
      await evaluate("new Promise(requestAnimationFrame)");
    }
    assert.ok(await evaluate(seen), `${place} shows the text`);
  }
  assert.equal(await evaluate('document.querySelectorAll("img").length'), 0);
});

for (const width of [390, 1280, 1920]) {
  await check(`nothing sticks out at ${width} pixels`, address, { width, height: 900 }, async ({ evaluate, until }) => {
    const fits = async (what) => {
      await evaluate(frame);
      assert.ok(await evaluate("document.documentElement.scrollWidth <= innerWidth"), what);
    };
    await until(`${summary}.includes("4 nodes")`);
    for (const nodes of ["10", "31"]) {
      await evaluate(set("Nodes", nodes));
      await until(`${summary}.includes("${nodes} nodes")`);
      await evaluate(key("End"));
      await fits(`${nodes} nodes`);
    }
    await evaluate(set("Nodes", "4"));
    await evaluate('document.querySelectorAll("[name=requests-kind]")[1].click()');
    await until(`${summary}.includes("4 nodes") && ${summary}.includes("of 5 requests")`);
    await evaluate(key("End"));
    await evaluate(put('[aria-label="Colours"]', "dark"));
    // On a narrow screen each part has a tab, and one is seen at a time.
    const tabs = await evaluate('getComputedStyle(document.querySelector(".tabs")).display') !== "none";
    assert.equal(tabs, width === 390);
    for (const part of ["Graph", "Time", "Log", "State", "Set up", "Lessons"]) {
      if (tabs) await evaluate(press(part, 'document.querySelector(".tabs")'));
      await fits(part);
      const place = `[...document.querySelectorAll(".place:not(.controls)")].filter((it) => it.checkVisibility({ visibilityProperty: true }) && it.clientWidth > 0)`;
      assert.equal(await evaluate(`${place}.length`), tabs ? 1 : 5, part);
      // Nothing is cut off that has no bar to scroll, and no field is too narrow to type in.
      assert.deepEqual(await evaluate(`[...document.querySelectorAll(".meters")].filter((it) => it.scrollWidth > it.clientWidth).map(({ textContent }) => textContent)`), [], part);
      assert.deepEqual(await evaluate(`[...document.querySelectorAll(".form :is(textarea, select, [type=number])")].filter((it) => it.clientWidth > 0 && it.clientWidth < 60).map(({ id }) => id)`), [], part);
    }
    await evaluate(press("Compare"));
    if (tabs) await evaluate(press("Time", 'document.querySelector(".tabs")'));
    await until('document.querySelectorAll(".compare .timeline").length === 2');
    await fits("two runs");
  });
}

await check("from the form to the new run of ten nodes and twenty requests", address, {}, async ({ evaluate, until }) => {
  await until(`${summary}.includes("4 nodes")`);
  await evaluate(set("Nodes", "10"));
  await evaluate(set("How many", "20"));
  await until(`${summary}.includes("20 of 20 requests")`);
  const times = [];
  for (const requests of ["21", "20", "21", "20", "21", "20", "21"]) {
    times.push(await evaluate(`(async () => {
      const start = performance.now();
      ${set("How many", requests)};
      while (!${summary}.includes("of ${requests} requests")) await ${frame};
      return performance.now() - start;
    })()`));
  }
  // Printed only: how long it takes depends on the machine, and on what else runs on it.
  const [least, median, most] = [0, 3, 6].map((place) => Math.round([...times].sort((a, b) => a - b)[place]));
  console.log(`    ${median} ms from an input to the drawn result (${least} to ${most} ms in 7 changes)`);
});

await check("a frame while playing ten nodes", address, {}, async ({ evaluate, until, send }) => {
  await until(`${summary}.includes("4 nodes")`);
  await evaluate(set("Nodes", "10"));
  await until(`${summary}.includes("10 nodes")`);
  // Time of the page's thread: other programs on the machine do not count.
  await send("Performance.enable", { timeDomain: "threadTicks" });
  const taken = async () => (await send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
  await evaluate(key(" "));
  const before = await taken();
  const frames = await evaluate(`new Promise((resolve) => {
    let frames = 0;
    const next = () => (++frames < 200 ? requestAnimationFrame(next) : resolve(frames));
    requestAnimationFrame(next);
  })`);
  const each = ((await taken()) - before) * 1000 / frames;
  console.log(`    ${each.toFixed(1)} ms of work in each`);
  assert.ok(each < 16, `${each.toFixed(1)} ms`);
});

await checkDrawings(check, address);
await checkControls(check, address);
const trace = await checkFiles(check, address, folder);
await checkViews(check, address, process.env["PICTURES"]);

if (harness) {
  const exported = join(folder, "exported.html");
  const { status, stderr } = spawnSync(harness, ["view", trace, "--export", exported], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  await check("a run that harness has put into the page is shown from disk", pathToFileURL(exported).href, {}, async ({ evaluate, until }) => {
    await until(`${summary}.includes("3 of 3 requests answered")`);
    await evaluate(key("ArrowRight"));
    await until('!document.querySelector(".now").textContent.includes("Nothing has happened")');
  });
} else {
  console.log("SKIPPED: no program is given that exports a run");
}

rmSync(folder, { recursive: true, force: true });
