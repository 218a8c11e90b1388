// The link: what is after `#` reproduces the run and the moment.

import { batch, effect } from "@preact/signals";
import { lesson, lessonStep, lessons } from "./lesson";
import { showNextAt } from "./player";
import { GRANULARITIES, type Granularity } from "./run";
import { isScenario, type Scenario } from "./scenario";
import { file, granularity, notice, part, run, scenario, secondScenario, side, step, take, type Part } from "./store";

/** What a link holds. */
interface Link {
  scenario: Scenario;
  step?: number;
  second?: Scenario;
  part?: Part;
  by?: Granularity;
  lesson?: [name: string, step: number];
}

/** A link longer than this is refused: no scenario of the form is as long. */
const LONGEST = 200_000;
const PARTS: Part[] = ["graph", "spacetime", "log", "state", "form", "lessons"];

async function through(bytes: BlobPart, stream: CompressionStream | DecompressionStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

async function encode(link: Link): Promise<string> {
  const bytes = await through(JSON.stringify(link), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads a link; throws a sentence that says what is wrong with it. */
async function decode(text: string): Promise<Link> {
  if (text.length > LONGEST) throw new Error("it is far longer than any link of this page");
  let link: unknown;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    link = JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"))));
  } catch {
    throw new Error("it is cut short, or no link of this page");
  }
  const { scenario } = (link ?? {}) as { scenario?: unknown };
  if (!isScenario(scenario)) throw new Error("it names no scenario");
  return link as Link;
}

/** The fragment that this page wrote last: it need not be read again. */
let written = "";

/** Shows what the address says. Nonsense leaves a sentence and the present scenario. */
export async function readLink(): Promise<void> {
  const text = location.hash.slice(1);
  if (text === "" || text === written) return;
  try {
    const link = await decode(text);
    batch(() => {
      showNextAt(() => (typeof link.step === "number" ? Math.trunc(link.step) || 0 : -1));
      take(link.scenario);
      secondScenario.value = isScenario(link.second) ? link.second : null;
      if (link.part && PARTS.includes(link.part)) part.value = link.part;
      if (link.by && GRANULARITIES.includes(link.by)) granularity.value = link.by;
      const open = lessons.peek().find(({ name }) => name === link.lesson?.[0]);
      // The moment is the link's, which may be another one than the step's.
      lesson.value = open ?? null;
      if (open) lessonStep.value = Math.max(0, Math.min(Math.trunc(Number(link.lesson?.[1])) || 0, open.steps.length));
      side.value = open || part.peek() === "lessons" ? "lessons" : "form";
    });
  } catch (error) {
    notice.value = `The link cannot be read: ${error instanceof Error ? error.message : "it is no link of this page"}. The run shown is another one.`;
  }
}

/** The address of this very moment. */
export async function address(): Promise<string> {
  const open = lesson.peek();
  const second = secondScenario.peek();
  const link: Link = { scenario: scenario.peek(), step: step.peek(), part: part.peek(), by: granularity.peek() };
  if (second) link.second = second;
  // A lesson from a file is in no other page.
  if (open && !open.isOwn) link.lesson = [open.name, lessonStep.peek()];
  return `${location.href.split("#")[0]}#${await encode(link)}`;
}

/** Keeps the address that of the moment, a little later than the page. */
export function keepLink(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    // What a link holds: any change of these writes it again.
    void [scenario.value, step.value, secondScenario.value, part.value, granularity.value, lesson.value, lessonStep.value];
    // A file is in no link.
    if (!run.value || file.value !== null) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const text = await address();
      written = text.split("#")[1] ?? "";
      history.replaceState(null, "", `#${written}`);
    }, 400);
  });
}
