// What tests do on the page: expressions for `evaluate`, and a few that wait for what comes of it.

import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

export const LESSONS = join(dirname(fileURLToPath(import.meta.url)), "../../lessons");

export const summary = 'document.querySelector(".summary").textContent';
export const notice = 'document.querySelector(".notice")?.textContent ?? ""';
/** The step and how many there are. */
export const steps = 'document.querySelector(".where small").textContent.trim().split("/").map(Number)';
export const now = 'document.querySelector(".now").textContent';
export const node = (id) => `document.querySelectorAll(".node[role=button]")[${id}]`;
export const edits = '[...document.querySelectorAll(".edits li span")].map(({ textContent }) => textContent)';
export const frame = "new Promise(requestAnimationFrame)";

/** Presses the first button with this text or label. */
export const press = (name, within = "document") => `(() => {
  const name = ${JSON.stringify(name)};
  const all = [...${within}.querySelectorAll("button, summary")].filter(({ disabled }) => !disabled);
  const found = all.find((it) => it.textContent.trim() === name || it.getAttribute("aria-label") === name);
  if (!found) throw new Error("there is no button " + name);
  found.click();
})()`;
/** Presses a key on an element, the page by default. */
export const key = (name, on = "document.body") =>
  `${on}.dispatchEvent(new KeyboardEvent("keydown", { key: ${JSON.stringify(name)}, bubbles: true }))`;

/** Sets a field of the form by its label. Beside the lessons, the form is there only if it is in front. */
export const set = (label, value) => `(async () => {
  if (!document.querySelector(".form")) [...document.querySelectorAll(".side-tabs button")].find(({ textContent }) => textContent === "Set up").click();
  await ${frame};
  const labels = [...document.querySelectorAll(".form label")];
  const label = labels.find((it) => (it.querySelector(":scope > span") ?? it).textContent === ${JSON.stringify(label)});
  if (!label) throw new Error(${JSON.stringify(`there is no field ${label}`)});
  const input = label.control;
  input.value = ${JSON.stringify(value)};
  input.dispatchEvent(new Event(input.matches("select") ? "change" : "input", { bubbles: true }));
})()`;
/** Chooses or types in an element. */
export const put = (selector, value) => `(() => {
  const input = document.querySelector(${JSON.stringify(selector)});
  input.value = ${JSON.stringify(value)};
  input.dispatchEvent(new Event(input.matches("select") ? "change" : "input", { bubbles: true }));
})()`;
/** Drops a file on the page. */
export const drop = (name, text) => `(() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
})()`;
/** How many pixels of a canvas are not empty. */
export const inked = (canvas) => `(() => {
  const canvas = document.querySelector("${canvas}");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inked = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) inked += 1;
  return inked;
})()`;

/** The address of the page that shows this. */
export async function linkTo(address, link) {
  const bytes = new Blob([JSON.stringify(link)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return `${address}#${Buffer.from(await new Response(bytes).arrayBuffer()).toString("base64url")}`;
}
