// The WebAssembly module, in a worker, so that typing never waits for a run.

import type { Problem, Scenario } from "./scenario";
import type { Json } from "./trace";

export type ExportFormat = "msc" | "mermaid" | "svg" | "chrome";
type Ask =
  | { do: "play"; scenario: Scenario }
  | { do: "check"; trace: string }
  | { do: "export"; trace: string; as: ExportFormat }
  | { do: "lessons" }
  | { do: "lesson"; name: string; text: string };
/** `stopped`: it was given up for another one, and can be asked again. */
export type Answer = { stopped?: true; errors?: Problem[]; trace?: string; text?: string; lessons?: Json[] };

let worker: Worker | null = null;
let number = 0;
const waiting = new Map<number, (answer: Answer) => void>();

/** Sends a question to the module. Questions are answered in their order. */
export async function ask(question: Ask): Promise<Answer> {
  worker ??= start();
  number += 1;
  const answer = new Promise<Answer>((resolve) => waiting.set(number, resolve));
  worker.postMessage({ number, question: JSON.stringify(question) });
  return answer;
}

function start(): Worker {
  const text = (id: string) => document.getElementById(id)?.textContent?.trim() ?? "";
  const url = URL.createObjectURL(new Blob([text("worker")], { type: "text/javascript" }));
  const started = new Worker(url);
  started.postMessage({ module: text("module") });
  started.onmessage = ({ data }: MessageEvent<{ number: number; answer: string }>) => {
    const resolve = waiting.get(data.number);
    waiting.delete(data.number);
    resolve?.(JSON.parse(data.answer) as Answer);
  };
  started.onerror = (event) => {
    const problem = `the module stopped (${event.message}); reload the page, and try a smaller run`;
    giveUp({ errors: [{ field: "", problem }] });
  };
  return started;
}

/** Answers all that wait, and begins anew with the next question. */
function giveUp(answer: Answer): void {
  worker?.terminate();
  worker = null;
  const resolves = [...waiting.values()];
  waiting.clear();
  for (const resolve of resolves) resolve(answer);
}

/** Gives up a run that takes too long; the next question begins anew. */
export function stop(): void {
  giveUp({ stopped: true });
}
