// What a run has cost by a moment, for two runs side by side.

import { pictureOf, type Wait } from "./picture";
import type { Run } from "./run";

export interface Tally {
  messages: number;
  bytes: number;
  /** Requests answered. */
  decided: number;
  asked: number;
  /** How long the answered ones were waited for on average, nanoseconds; null before the first. */
  meanWait: number | null;
}

/** What has been by a time. */
export function tallyAt(run: Run, time: number): Tally {
  const { messages, bytes } = run.totals(run.stepAt(time));
  const { waits } = pictureOf(run);
  const answered = waits.filter((wait) => isAnsweredBy(wait, time));
  const sum = answered.reduce((sum, { from, to }) => sum + to - from, 0);
  return {
    messages, bytes, decided: answered.length, asked: waits.filter(({ from }) => from <= time).length,
    meanWait: answered.length > 0 ? sum / answered.length : null,
  };
}

export function isAnsweredBy({ outcome, to }: Wait, time: number): boolean {
  return outcome === "answered" && to <= time;
}

/** The second number as a multiple of the first, in two or three digits; a dash where there is none. */
export function ratio(first: number | null, second: number | null): string {
  if (first === null || second === null || first === 0) return "–";
  const times = second / first;
  return `${times.toFixed(times >= 10 ? 1 : 2)}×`;
}
