// Views of the page that show what it is for. Each is visited; with a folder, a picture of it is kept.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { frame, key, linkTo, press, put, summary } from "./page.mjs";
import { withFewColours } from "./png.mjs";

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 760 };
const SEVEN = { protocol: "pbft", nodes: 7, app: "bank", requests: 3, gateway: 1, network: "lan", seed: 1 };

const atRest = 'document.querySelector(".summary").dataset.busy === "false"';
/** What follows from what was done is drawn by then. */
const quiet = `new Promise((resolve) => setTimeout(resolve, 400)).then(() => ${frame})`;

/** The step of a lesson; the others before it are gone through. */
const lesson = (number, step) => async ({ evaluate, until }) => {
  await until('document.querySelectorAll(".lesson-list button").length > 0');
  await evaluate(`document.querySelectorAll(".lesson-list button")[${number - 1}].click()`);
  for (let at = 1; at <= step; at++) {
    if (at > 1) await evaluate(press("Next", 'document.querySelector(".lesson")'));
    await until(`document.querySelector(".lesson-text h3").textContent.startsWith("${at} of") && ${atRest}`);
    await evaluate(quiet);
  }
};
const end = async ({ evaluate, until }) => {
  await until('document.querySelectorAll(".compare .timeline").length === 2');
  await evaluate(quiet);
  await evaluate(key("End"));
};

const VIEWS = [
  { name: "view-change", size: WIDE, go: lesson(3, 5) },
  { name: "quorums-dark", size: WIDE, link: { scenario: { ...SEVEN, faults: { 5: ["malicious"] } }, part: "form", step: 150 }, theme: "dark" },
  { name: "compare", size: { width: 1280, height: 900 }, link: { scenario: { ...SEVEN, protocol: "ccro" }, second: SEVEN, part: "form" }, go: end },
  { name: "phone", size: PHONE, go: lesson(2, 4) },
];

export async function checkViews(check, address, folder) {
  if (folder) mkdirSync(folder, { recursive: true });
  for (const { name, size, link, theme = "light", go } of VIEWS) {
    await check(`the view ${name}`, link ? await linkTo(address, link) : address, size, async (page) => {
      const { evaluate, until, send } = page;
      // Nothing moves, so that a picture is the same each time.
      await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-reduced-motion", value: "reduce" }] });
      await until(`${summary}.includes("requests answered")`);
      await evaluate(put('[aria-label="Colours"]', theme));
      await go?.(page);
      await evaluate(quiet);
      assert.ok(await evaluate("document.documentElement.scrollWidth <= innerWidth"));
      if (!folder) return;
      const { data } = await send("Page.captureScreenshot", { format: "png" });
      writeFileSync(join(folder, `${name}.png`), withFewColours(Buffer.from(data, "base64")));
    });
  }
}
