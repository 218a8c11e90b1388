// Tests of every control of the page in Chromium: time, log, diagram, edits, colours, lessons.

import assert from "node:assert/strict";
import { edits, frame, key, linkTo, node, now, notice, press, put, set, steps, summary } from "./page.mjs";

const ready = `${summary}.includes("requests answered")`;
const flights = 'document.querySelectorAll("button.flight")';
/** Enters the page's own loop until nothing is to be drawn any more. */
const settled = `${frame}.then(() => ${frame})`;

export async function checkControls(check, address) {
  const rotated = await linkTo(address, { part: "form", scenario: {
    protocol: "pbft", nodes: 4, app: "kv", requests: 4, gateway: 1, network: "lan", seed: 1, faults: { 0: ["offline"] },
  } });

  await check("first, back, next and last, by event, message, phase, slot and view", rotated, {}, async ({ evaluate, until }) => {
    await until(ready);
    const at = async () => (await evaluate(steps))[0];
    const counts = [];
    for (const by of ["event", "message", "phase", "slot", "view"]) {
      await evaluate(put(".controls select", by));
      await evaluate(press("First"));
      await evaluate(settled);
      assert.equal(await at(), 0);
      const places = [0];
      for (let last = 0; ; last = places.at(-1)) {
        await evaluate(press("Next"));
        await evaluate(settled);
        if ((await at()) === last) break;
        places.push(await at());
        assert.notEqual(await evaluate(now), "");
      }
      counts.push(places.length);
      for (const place of places.slice(0, -1).reverse().slice(0, 8)) {
        await evaluate(press("Back"));
        await evaluate(settled);
        assert.equal(await at(), place, `back by ${by} is where next came from`);
      }
      await evaluate(press("Last"));
      await evaluate(settled);
      const [last, all] = await evaluate(steps);
      assert.equal(last, all);
    }
    assert.deepEqual(counts, [...counts].sort((a, b) => b - a), "each is coarser than the one before");
    assert.ok(counts.at(-1) > 1, "the view changes");
  });

  await check("the slider goes anywhere; playing moves on, stops, and ends at the last step", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    const [, all] = await evaluate(steps);
    await evaluate(put(".where input", String(all - 10)));
    await until(`(${steps})[0] === ${all - 9}`);
    await evaluate(put('[aria-label="Speed"]', "64"));
    await evaluate(press("Play"));
    await until('document.querySelector("[aria-label=Pause]")');
    await until(`(${steps})[0] === ${all} && document.querySelector("[aria-label=Play]")`);
    // At its end, it plays from the beginning.
    await evaluate(put('[aria-label="Speed"]', "0.1"));
    await evaluate(press("Play"));
    await until(`(${steps})[0] < ${all} && document.querySelector("[aria-label=Pause]")`);
    await evaluate(press("Pause"));
    await until('document.querySelector("[aria-label=Play]")');
    const stopped = await evaluate(steps);
    await evaluate(settled);
    assert.deepEqual(await evaluate(steps), stopped);
    await evaluate(key("+"));
    await until('document.querySelector("[aria-label=Speed]").value === "0.25"');
  });

  await check("messages are lost, delayed and delivered twice by a click, and undone one by one", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Set up"));
    const cases = [["Lose it", / is lost$/], ["Delay it", / is 10\.\d* ?ms late$/], ["Deliver it twice", / arrives twice$/]];
    for (const [at, [deed, said]] of cases.entries()) {
      for (let i = 0; i < 40 && (await evaluate(`${flights}.length`)) <= at; i++) {
        await evaluate(key("ArrowRight"));
        await evaluate(settled);
      }
      await evaluate(`${flights}[${at}].click()`);
      await until('document.querySelector(".deeds")');
      await evaluate(press(deed, 'document.querySelector(".deeds")'));
      await until(`(${edits}).length === ${at + 1} && document.querySelector(".form").ariaBusy !== "true"`);
      assert.match((await evaluate(edits))[at], said);
    }
    for (const left of [2, 1, 0]) {
      await evaluate(press("Undo"));
      await until(`(${edits}).length === ${left}`);
    }
    await evaluate(press("Redo"));
    await until(`(${edits}).length === 1`);
    await evaluate(`document.querySelector(".edits li button[title=Remove]").click()`);
    await until(`(${edits}).length === 0`);
    await evaluate(`document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "z", ctrlKey: true, bubbles: true }))`);
    await until(`(${edits}).length === 1`);
  });

  await check("a node is made faulty, healed, crashed and started again by clicks", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Set up"));
    const cases = [
      ["Make it faulty", "node 2: malicious", "◆"], ["Heal", "node 2 keeps the rules", "●"],
      ["Crash", "node 2 crashes", "✕"], ["Restart and recover", "node 2 starts again", "◌"],
    ];
    for (const [at, [deed, said, sign]] of cases.entries()) {
      for (let i = 0; i < 4; i++) await evaluate(key("ArrowRight"));
      await evaluate(settled);
      await evaluate(`${node(2)}.dispatchEvent(new MouseEvent("click", { bubbles: true }))`);
      await until('document.querySelector(".deeds")');
      await evaluate(press(deed, 'document.querySelector(".deeds")'));
      await until(`(${edits})[${at}] === ${JSON.stringify(said)}`);
      // What was done is seen a few events later.
      const seen = 'document.querySelectorAll(".replicas .sign")[2].textContent';
      await evaluate(key("1"));
      for (let i = 0; i < 20 && (await evaluate(seen)) !== sign; i++) {
        await evaluate(key("ArrowRight"));
        await evaluate(settled);
      }
      await evaluate(key("2"));
      assert.equal(await evaluate(seen), sign, deed);
    }
    await evaluate('document.querySelector(".edits li .link").click()');
    await evaluate(settled);
    const [first] = await evaluate(steps);
    await evaluate(press("Last"));
    await evaluate(settled);
    assert.ok(first < (await evaluate(steps))[0], "an edit's time leads to its moment");
  });

  await check("the log is filtered by text, node, slot and kind, and a line leads to its moment", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    const height = 'parseFloat(document.querySelector(".rows-all").style.height)';
    const all = await evaluate(height);
    const rows = (test) => `[...document.querySelectorAll(".log-row")].every((row) => (${test})(row.title))`;
    for (const [selector, value, test] of [
      ['.log-filters [type="search"]', "client accepts", "(title) => title.includes('client accepts')"],
      ['[aria-label="Only this node"]', "2", "(title) => /2|all/.test(title)"],
      ['[aria-label="Only this slot"]', "1", "(title) => !/slot [23]/.test(title)"],
    ]) {
      await evaluate(put(selector, value));
      await until(`${height} < ${all} && ${height} > 0 && ${rows(test)}`);
      await evaluate(put(selector, ""));
      await until(`${height} === ${all}`);
    }
    await evaluate(put('.log-filters [type="search"]', "no such text"));
    await until('document.querySelector(".rows .empty")');
    await evaluate(put('.log-filters [type="search"]', ""));
    await evaluate('document.querySelectorAll(".log-filters .check input")[0].click()');
    await until(`${height} < ${all}`);
    await evaluate(press("As at first"));
    await until(`${height} === ${all}`);
    await evaluate('document.querySelectorAll(".log-row")[7].click()');
    await until('[...document.querySelectorAll(".log-row")].findIndex((row) => row.dataset.is === "now") === 7');
    await evaluate(key("ArrowDown", 'document.querySelector(".rows")'));
    await until('document.querySelector(".log-row[data-is=now]").getAttribute("aria-current") === "step"');
    await until(`(${steps})[0] > 8`);
  });

  await check("lanes collapse, kinds are hidden, the diagram zooms and shortens idle time", rotated, {}, async ({ evaluate, until }) => {
    await until(ready);
    const open = '[...document.querySelectorAll(".lane-name")].filter((lane) => lane.ariaExpanded === "true").length';
    assert.equal(await evaluate(open), 5);
    await evaluate('document.querySelectorAll(".lane-name")[3].click()');
    await until(`${open} === 4`);
    await evaluate(press("Open all lanes"));
    await until(`${open} === 5`);
    await evaluate(press("Collapse replicas"));
    await until(`${open} === 2`);
    await evaluate(press("Open all lanes"));
    const seen = 'document.querySelector(".overview").ariaValueNow';
    const picture = 'document.querySelector(".timeline-canvas canvas").toDataURL()';
    for (const name of ["Fit", "Ccommit", "Zoom in", "Zoom out", "Shorten idle time", "Fit", "Zoom in"]) {
      await evaluate(settled);
      await evaluate(`window.before = ${picture}`);
      await evaluate(press(name, 'document.querySelector(".spacetime")'));
      await until(`${picture} !== window.before`);
    }
    await evaluate(key("ArrowRight", 'document.querySelector(".overview")'));
    await until(`Number(${seen}) > 0`);
  });

  await check("the state: quorum counters open, stay at a slot, and a node is chosen", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(key("End"));
    await until('document.querySelectorAll(".meter").length > 4');
    await evaluate('document.querySelectorAll(".meter")[2].click()');
    await until('document.querySelectorAll(".meter")[2].ariaPressed === "true"');
    await evaluate('document.querySelector(".quorums .check input").click()');
    const slot = await evaluate('document.querySelector(".quorums h3").textContent');
    await evaluate(key("Home"));
    await evaluate(settled);
    assert.equal(await evaluate('document.querySelector(".quorums h3").textContent'), slot);
    await evaluate('document.querySelectorAll(".replicas .link")[1].click()');
    await until('document.querySelector(".replicas tr[data-chosen=true] .link").textContent === "1"');
    await evaluate(key("Escape"));
    await until('!document.querySelector(".replicas tr[data-chosen=true]")');
  });

  await check("colours, keys and the link", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    const ground = "getComputedStyle(document.body).backgroundColor";
    const seen = {};
    for (const theme of ["dark", "light"]) {
      await evaluate(put('[aria-label="Colours"]', theme));
      await until(`document.documentElement.dataset.theme === "${theme}"`);
      seen[theme] = await evaluate(ground);
    }
    assert.notEqual(seen.dark, seen.light);
    await evaluate(press("Keys and signs"));
    await until('document.querySelector("dialog").open');
    await evaluate(press("Close", 'document.querySelector("dialog")'));
    await until('!document.querySelector("dialog").open');
    await evaluate(press("Link"));
    await until(`/link to this moment/.test(${notice})`);
    await evaluate(press("Close", 'document.querySelector(".notice")'));
    await until('!document.querySelector(".notice")');
  });

  await check("every comparison that is offered is played, and the runs change places", rotated, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Compare"));
    await until('document.querySelectorAll(".compare .timeline").length === 2');
    const offered = await evaluate('[...document.querySelector(".compare select").options].filter(({ disabled }) => !disabled).map(({ value }) => value)');
    assert.ok(offered.length >= 6, offered.join());
    for (const name of offered.filter((name) => name !== "file" && name !== "own")) {
      await evaluate(put(".compare select", name));
      await until('document.querySelectorAll(".compare .timeline").length === 2 && document.querySelector(".summary").dataset.busy === "false"');
      assert.equal(await evaluate('document.querySelector(".compare .problem")'), null, name);
    }
    const titles = '[...document.querySelectorAll(".compare .run-title")].map(({ title }) => title).join()';
    const before = await evaluate(titles);
    await evaluate(press("Exchange"));
    await until(`${titles} === ${JSON.stringify(before.split(",").reverse().join())} || ${titles} !== ${JSON.stringify(before)}`);
  });

  await check("the form: each field is played, and what is unusual is refused beside it", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    const heads = 'document.querySelector(".summary").textContent';
    for (const [label, value, seen] of [
      ["Protocol", "ccro", "ccro"], ["Protocol", "ccro-aggregate", "ccro-aggregate"], ["Protocol", "ccro-paper", "ccro-paper"], ["Protocol", "broadcast", "of 3 requests"], ["Protocol", "pbft", "pbft"],
      ["How many", "5", "of 5 requests"], ["They replicate", "kv", "kv"], ["Make faulty", "3", "◆"],
    ]) {
      await evaluate(set(label, value));
      await until(`document.querySelector(".summary").dataset.busy === "false" && (${heads} + document.querySelector(".state").textContent + document.querySelector(".form").innerHTML).includes(${JSON.stringify(seen)})`);
      assert.equal(await evaluate('document.querySelector(".form .problem")'), null, label);
    }
    await evaluate(set("Network", "own"));
    await until('document.querySelector(".form .own")');
    await evaluate(set("Loss", "7"));
    await until('document.querySelector(".form .problem")');
    await evaluate(press("Begin anew"));
    await until('!document.querySelector(".form .problem") && document.querySelector(".summary").textContent.startsWith("pbft 4 nodes")');
  });

  await check("every lesson is gone through, forwards and back, and its task begins", address, {}, async ({ evaluate, until }) => {
    const open = 'document.querySelector(".lesson h2")';
    await until('document.querySelectorAll(".lesson-list button").length === 9');
    for (let at = 0; at < 7; at++) {
      await evaluate(`document.querySelectorAll(".lesson-list button")[${at}].click()`);
      await until(open);
      const count = (await evaluate('document.querySelectorAll(".lesson .progress button").length')) - 1;
      const isThere = (place) => `document.querySelector(".lesson-text h3").textContent === "${place < count ? `${place + 1} of ${count}` : "Now you"}" && document.querySelector(".summary").dataset.busy === "false"`;
      for (let place = 0; place <= count; place++) {
        await until(isThere(place));
        assert.equal(await evaluate('document.querySelector(".lesson .problem")?.textContent'), undefined, `lesson ${at + 1}, step ${place + 1}`);
        if (place < count) await evaluate(press("Next", 'document.querySelector(".lesson")'));
      }
      await evaluate(press("Back", 'document.querySelector(".lesson")'));
      await until(isThere(count - 1));
      await evaluate(press("Try it", 'document.querySelector(".lesson .progress")'));
      await evaluate(press("Try it", 'document.querySelector(".lesson .pair")'));
      await until('document.querySelector(".task") && document.querySelector(".form")');
      assert.equal(await evaluate('document.querySelector(".form .problem")'), null, `the task of lesson ${at + 1}`);
      await evaluate(press("← Back to the lesson"));
      await until(open);
      await evaluate(press("← All lessons"));
      await until('document.querySelectorAll(".lesson-list button").length === 9');
    }
  });
}
