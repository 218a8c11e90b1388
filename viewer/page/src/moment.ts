// Moments that a lesson points at: see viewer/lessons/README.md.

import type { Run, Step } from "./run";
import type { VotePhase } from "./trace";

export interface Moment {
  is?: string;
  mark?: string;
  kind?: string;
  node?: number;
  from?: number;
  to?: number;
  seq?: number;
  view?: number;
  phase?: VotePhase;
  nth?: number;
  end?: boolean;
}

/** The first step after `after` for which all fields of the moment hold; -1 if there is none. */
export function findMoment(run: Run, moment: Moment, after: number): number {
  if (moment.end) return run.length - 1;
  let left = moment.nth ?? 1;
  if (moment.is === "quorum") {
    const full = run.quorums.find((counter) => counter.filledAt > after && isOf(moment, counter) && --left === 0);
    return full?.filledAt ?? -1;
  }
  return run.find((step) => holds(moment, step) && --left === 0, after + 1);
}

function isOf(moment: Moment, counter: { node: number; view: number | null; seq: number; phase: string }): boolean {
  return fits(moment.node, counter.node) && fits(moment.view, counter.view) && fits(moment.seq, counter.seq)
    && fits(moment.phase, counter.phase);
}

function holds(moment: Moment, step: Step): boolean {
  const { line } = step;
  const is = moment.is ?? (moment.mark !== undefined ? "mark" : moment.kind !== undefined ? "departure" : undefined);
  const fields = line as { mark?: string; kind?: string; seq?: number; view?: number; phase?: string };
  return fits(is, step.is) && fits(moment.mark, fields.mark) && fits(moment.kind, fields.kind) && fits(moment.seq, fields.seq)
    && fits(moment.view, fields.view) && fits(moment.phase, fields.phase) && fits(moment.node, step.node)
    && fits(moment.from, senderOf(step)) && (moment.to === undefined || reaches(step, moment.to));
}

function fits<T>(wanted: T | undefined, found: T | null | undefined): boolean {
  return wanted === undefined || wanted === found;
}

function senderOf({ line }: Step): number | undefined {
  if (line.is === "message" || line.is === "rejected") return line.from;
  return line.is === "vote" ? line.author : undefined;
}

function reaches(step: Step, node: number): boolean {
  if (step.is === "departure") return step.line.to.some(([to]) => to === node);
  return step.node === node;
}
