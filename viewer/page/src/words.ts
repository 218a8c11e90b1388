// What the drawings show, said in words.

import { bytesText, healthOf, roleOf, timeText, valueName } from "./looks";
import type { Counter, Flight, Run } from "./run";
import type { MessageLine } from "./trace";

/** Node ids as a list: "0, 1 and 2". */
export function list(items: readonly (number | string)[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items[items.length - 1]}`;
}

/** What a message is about: "prepare, view 0, slot 3, value A". */
export function subject(line: MessageLine): string {
  const parts = [line.kind];
  if (line.view !== undefined) parts.push(`view ${line.view}`);
  if (line.seq !== undefined) parts.push(`slot ${line.seq}`);
  if (line.value !== undefined) parts.push(`value ${valueName(line.value)}`);
  return parts.join(", ");
}

/** A copy of a message, and what becomes of it. */
export function tellFlight(flight: Flight): string {
  const { line, from, to, departs, arrives } = flight;
  const way = from === to ? `node ${from} to itself` : `node ${from} to node ${to}`;
  const fate = arrives.length === 0
    ? "It never arrives."
    : `It arrives at ${list(arrives.map(timeText))}, ${timeText(Math.min(...arrives) - departs)} later`
      + `${arrives.length > 1 ? "; the network duplicated it." : "."}`;
  return `${subject(line)}: from ${way}, ${bytesText(line.bytes)}. It left at ${timeText(departs)}. ${fate}`;
}

/** What a node is and how it is, after a step. */
export function tellNode(run: Run, node: number, step: number): string {
  const replica = run.replica(node, step);
  const parts: string[] = [];
  switch (healthOf(replica)) {
    case "down": parts.push("down: it crashed and lost what it knew"); break;
    case "faulty": parts.push(`faulty: ${replica.faults.join(", ")}`); break;
    case "recovering": parts.push("recovering: it learns from the others, and does not vote yet"); break;
    case "honest": break;
  }
  if (replica.diverged) parts.push("its state differs from the one that a quorum vouches for");
  if (replica.view !== null) parts.push(replica.changingView ? `on its way to view ${replica.view}` : `in view ${replica.view}`);
  parts.push(replica.lastExecuted > 0 ? `executed up to slot ${replica.lastExecuted}` : "nothing executed yet");
  if (replica.stableCheckpoint) parts.push(`stable checkpoint at slot ${replica.stableCheckpoint}`);
  const counter = latestCounter(run, node, step);
  if (counter) {
    const { length } = run.voters(counter, step);
    parts.push(`counts ${length} ${counter.phase} ${length === 1 ? "vote" : "votes"} for value ${valueName(counter.value)} in slot ${counter.seq}, and needs ${run.header.quorum}`);
  }
  return `Node ${node}, ${roleOf(run, node, step)}. ${capital(parts.join("; "))}.`;
}

/** The counter of a node to which a vote came last. */
export function latestCounter(run: Run, node: number, step: number): Counter | null {
  let latest: Counter | null = null;
  let at = -1;
  for (const counter of run.counters(node, step)) {
    const last = counter.steps[run.voters(counter, step).length - 1] ?? -1;
    if (last > at) [latest, at] = [counter, last];
  }
  return latest;
}

export function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
