// How kinds of messages, nodes and numbers look and are called, everywhere on the page alike.

import type { Replica, Run } from "./run";

/** A kind's colour is one of the CSS variables `--k0` to `--k7`; its line is dashed where the
 * colour alone would not tell it apart. */
export interface Look { colour: string; dash: string; label: string }

const PROPOSAL = { colour: "var(--k0)", dash: "" };
const PREPARE = { colour: "var(--k1)", dash: "" };
const COMMIT = { colour: "var(--k2)", dash: "" };
const VIEW = { colour: "var(--k4)", dash: "6 3" };
const STATE = { colour: "var(--k5)", dash: "2 3" };
const REPLY = { colour: "var(--k3)", dash: "" };

/** How messages of a kind look. */
export function lookOf(kind: string): Look {
  return { ...styleOf(kind), label: kind };
}

function styleOf(kind: string): { colour: string; dash: string } {
  if (kind === "reply" || kind.includes("result")) return REPLY;
  if (kind.includes("view")) return VIEW;
  if (/checkpoint|state|fetch|recover|part|root/.test(kind)) return STATE;
  if (/pre-prepare|propos|request|block/.test(kind)) return PROPOSAL;
  if (/certificate|proof|proven/.test(kind)) return { ...COMMIT, dash: "9 3" };
  if (kind.includes("commit")) return COMMIT;
  if (/prepare|vote|validated/.test(kind)) return PREPARE;
  return { colour: "var(--k6)", dash: "4 4" };
}

export type Role = "commander" | "communication node" | "replica";

/** The role of a node, after a step. Who is the commander, a node says of itself; the
 * communication node is the one that takes itself for it, or that its commander has named. Neither
 * is one any more in a view that is over. */
export function roleOf(run: Run, node: number, step: number): Role {
  const replica = run.replica(node, step);
  const { commander, communicationNode } = replica;
  const named = run.replica(commander ?? 0, step).communicationNode;
  const isNamed = communicationNode === node || named === node;
  const role = commander === node ? "commander" : isNamed ? "communication node" : "replica";
  return role !== "replica" && isOver(run, replica, step) ? "replica" : role;
}

/** Whether the view of a replica is past: more replicas than can lie are in a later one. If the replica is down, one is enough. */
function isOver(run: Run, { view, up }: Replica, step: number): boolean {
  if (view === null) return false;
  const { nodes, f } = run.header;
  const least = up ? f + 1 : 1;
  let later = 0;
  for (let node = 0; node < nodes && later < least; node++) {
    const other = run.replica(node, step);
    if (other.view !== null && other.view > view && !other.changingView) later += 1;
  }
  return later >= least;
}

/** The health of a node: each has a shape of its own, and a word. */
export type Health = "honest" | "faulty" | "down" | "recovering";
export function healthOf(replica: Replica): Health {
  if (!replica.up) return "down";
  if (replica.faults.length > 0) return "faulty";
  return replica.recovering ? "recovering" : "honest";
}

/** A value in a few letters: A, B … by its number, so that two values can be told apart at a glance. */
export function valueName(value: number): string {
  const letter = String.fromCharCode(65 + (value % 26));
  return value < 26 ? letter : `${letter}${Math.floor(value / 26)}`;
}

/** A time with three or four digits and its unit; what is before the beginning is the beginning. */
export function timeText(time: number): string {
  const nanoseconds = Math.max(time, 0);
  const units: [number, string][] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  const [scale, unit] = units.find(([scale]) => Math.abs(nanoseconds) >= scale) ?? [1e3, "µs"];
  const number = nanoseconds / scale;
  return `${number.toFixed(number >= 100 ? 1 : number >= 10 ? 2 : 3)} ${unit}`;
}

/** A size with its unit. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Whole numbers with a thin space between thousands. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}
