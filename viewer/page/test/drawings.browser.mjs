// Tests of the drawings in Chromium: the message graph, the space-time diagram, two runs.

import assert from "node:assert/strict";

import { edits, inked, key, node, press } from "./page.mjs";

export async function checkDrawings(check, address) {
  const ready = 'document.querySelectorAll(".node[role=button]").length === 4';

  await check("a node is crashed by the keyboard, and undo makes it whole", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Set up"));
    for (let i = 0; i < 9; i++) await evaluate(key("ArrowRight"));
    await evaluate(`${node(2)}.focus()`);
    await evaluate(key("Enter", node(2)));
    await until('document.activeElement.textContent === "Crash"');
    await evaluate(key("Escape", "document.activeElement"));
    await until('!document.querySelector(".deeds")');
    assert.equal(await evaluate(`document.activeElement === ${node(2)}`), true);
    await evaluate(key("Enter", node(2)));
    await until('document.activeElement.textContent === "Crash"');
    await evaluate("document.activeElement.click()");
    await until(`${edits}.join() === "node 2 crashes"`);
    await evaluate(key("End"));
    await until(`${node(2)}.getAttribute("aria-label").includes("Down")`);
    await evaluate(press("Undo"));
    await until(`${edits}.length === 0 && !${node(2)}.getAttribute("aria-label").includes("Down")`);
  });

  await check("a message on its way can be lost", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Set up"));
    const flights = 'document.querySelectorAll("button.flight")';
    for (let i = 0; i < 20 && (await evaluate(`${flights}.length`)) === 0; i++) {
      await evaluate(key("ArrowRight"));
      await evaluate("new Promise(requestAnimationFrame)");
    }
    await evaluate(`${flights}[0].click()`);
    await until('document.querySelector(".deeds")');
    await evaluate(press("Lose it"));
    await until(`${edits}.length === 1 && / is lost$/.test(${edits}[0])`);
    await until(`[...${flights}].some(({ textContent }) => textContent.includes("(lost)"))`);
  });

  await check("a click in the space-time diagram goes to its time, and the wheel zooms there", address, {}, async ({ evaluate, until, send }) => {
    await until(ready);
    assert.ok(await evaluate(inked(".timeline-canvas canvas")) > 1000, "something is drawn");
    const { x, y } = await evaluate('(({ x, y, width, height }) => ({ x: x + width / 2, y: y + height - 4 }))(document.querySelector(".timeline-canvas").getBoundingClientRect())');
    for (const type of ["mousePressed", "mouseReleased"]) await send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    const time = 'document.querySelector(".where output").textContent';
    await until(`!${time}.startsWith("0.000")`);
    const before = await evaluate(time);
    await send("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY: -900 });
    await evaluate("new Promise(requestAnimationFrame)");
    for (const type of ["mousePressed", "mouseReleased"]) await send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    await evaluate("new Promise(requestAnimationFrame)");
    assert.equal((await evaluate(time)).split(" ")[0], before.split(" ")[0], "the time under the pointer stayed there");
  });

  await check("two runs lie on one axis, and their counters go with the moment", address, {}, async ({ evaluate, until }) => {
    await until(ready);
    await evaluate(press("Compare"));
    await until('document.querySelectorAll(".compare .timeline").length === 2');
    const cells = '[...document.querySelectorAll(".counts tbody")[0].rows].map(({ cells }) => [...cells].slice(1, 3).map(({ textContent }) => textContent))';
    await evaluate(key("Home"));
    await until(`${cells}[0].join() === "0,0"`);
    await evaluate(key("End"));
    await until(`${cells}[0].every((count) => Number(count) > 20)`);
    const [messages] = await evaluate(cells);
    assert.ok(Number(messages[1]) < Number(messages[0]), "CCRO sends less");
    await evaluate(press("Close"));
    await until('!document.querySelector(".compare")');
  });
}
