// Files that are opened or dropped, traces and lessons; the run embedded in the page; and what the run can be saved as.

import { batch } from "@preact/signals";
import { openOwnLesson } from "./lesson";
import { ask, type ExportFormat } from "./module";
import { open } from "./player";
import { isScenario } from "./scenario";
import { errors, file, notice, run, scenario, show } from "./store";

/** The text of the file that is shown. */
let text = "";

/** Shows a trace, or says why it cannot be shown. */
export async function openText(name: string, content: string): Promise<void> {
  notice.value = `Reading ${name} …`;
  const opened = await open(content);
  if (typeof opened === "string") {
    notice.value = `${name} cannot be shown: ${opened}.`;
    return;
  }
  text = content;
  batch(() => {
    notice.value = null;
    file.value = name;
    errors.value = [];
    const played = opened.header.scenario;
    if (isScenario(played)) scenario.value = played;
    show(opened, -1, null);
  });
}

/** Opens a lesson if the name ends in `.toml`, else a trace. */
export async function openFile(chosen: File): Promise<void> {
  const content = await chosen.text();
  const lesson = /^(.*)\.toml$/i.exec(chosen.name);
  if (lesson) await openOwnLesson(lesson[1]!, content);
  else await openText(chosen.name, content);
}

/** Shows the run that somebody put into this page; says whether there is one. */
export async function openEmbedded(): Promise<boolean> {
  const content = document.getElementById("embedded-trace")?.textContent?.trim() ?? "";
  if (content === "") return false;
  await openText("in this page", `${content}\n`);
  return file.peek() !== null;
}

/** Takes files that are dropped anywhere on the page. */
export function takeDrops(): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = event.dataTransfer?.files[0];
    if (dropped) void openFile(dropped);
  });
}

/** The whole text of the run that is shown. */
async function currentText(): Promise<string | null> {
  if (file.peek() !== null) return text;
  const answer = await ask({ do: "play", scenario: scenario.peek() });
  if (answer.trace === undefined) notice.value = "There is no run to save: the form has errors.";
  return answer.trace ?? null;
}

export type SaveAs = ExportFormat | "trace" | "page";
const ENDINGS: { [S in SaveAs]: [ending: string, type: string] } = {
  msc: ["msc", "text/plain"], mermaid: ["mmd", "text/plain"], svg: ["svg", "image/svg+xml"], chrome: ["json", "application/json"],
  trace: ["trace", "application/jsonl"], page: ["html", "text/html"],
};

/** Saves the run in a form that other programs read. */
export async function save(as: SaveAs): Promise<void> {
  const trace = await currentText();
  if (trace === null) return;
  let content = trace;
  if (as === "page") content = pageWith(trace);
  else if (as !== "trace") {
    const answer = await ask({ do: "export", trace, as });
    if (answer.text === undefined) {
      notice.value = `The run cannot be saved so: ${answer.errors?.map(({ problem }) => problem).join(" ") ?? ""}`;
      return;
    }
    content = answer.text;
  }
  const [ending, type] = ENDINGS[as];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${run.peek()?.header.protocol ?? "run"}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** This page, with a run in it. Inside a script element no `<` may stand. */
function pageWith(trace: string): string {
  const copy = document.documentElement.cloneNode(true) as HTMLElement;
  delete copy.dataset["theme"];
  copy.querySelector("#app")!.replaceChildren();
  copy.querySelector("#embedded-trace")!.textContent = `\n${trace.replaceAll("<", "\\u003c")}`;
  return `<!doctype html>\n${copy.outerHTML}\n`;
}
