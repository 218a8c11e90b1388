// Where replicas differ, and whether that is a disagreement or only a delay.

import { lastAtMost, type Replica, type Run } from "./run";

/** What a replica did in a slot, up to a step. Later entries imply the earlier ones. */
export type Progress = "accepted" | "prepared" | "committed" | "executed";
export interface Cell { progress: Progress; value: number }
/** A slot: for each node what it did; `differs` if two of them executed or decided different values. */
export interface Slot { seq: number; cells: (Cell | null)[]; differs: boolean }

const RANK: { [P in Progress]: number } = { accepted: 0, prepared: 1, committed: 2, executed: 3 };

/** So many marks are looked at for each replica: enough for the last slots. */
const MARKS_EACH = 120;

/** The last slots in which something happened by a step, the latest first. */
export function slots(run: Run, step: number, most: number): Slot[] {
  const found = new Map<number, Slot>();
  const end = lastAtMost(run.marks, step) + 1;
  for (const index of run.marks.slice(Math.max(0, end - MARKS_EACH * run.header.nodes), end)) {
    const { line } = run.at(index);
    if (line.is !== "mark") continue;
    const progress = progressOf(line);
    if (!progress || !("value" in line) || !("seq" in line)) continue;
    let slot = found.get(line.seq);
    if (!slot) found.set(line.seq, (slot = { seq: line.seq, cells: Array(run.header.nodes).fill(null), differs: false }));
    const before = slot.cells[line.node];
    // A replica that executes a value has it, whatever it accepted in an earlier view.
    if (!before || RANK[progress] >= RANK[before.progress] || before.value !== line.value && RANK[before.progress] < 2) {
      slot.cells[line.node] = { progress, value: line.value };
    }
  }
  const list = [...found.values()].sort((a, b) => b.seq - a.seq).slice(0, most);
  for (const slot of list) {
    const decided = slot.cells.filter((cell) => cell && RANK[cell.progress] >= RANK.committed).map((cell) => cell!.value);
    slot.differs = new Set(decided).size > 1;
  }
  return list;
}

function progressOf(line: { mark: string; phase?: string }): Progress | null {
  switch (line.mark) {
    case "proposed": case "accepted": return "accepted";
    case "voted": return line.phase === "commit" ? "prepared" : "accepted";
    case "committed": return "committed";
    case "executed": return "executed";
    default: return null;
  }
}

/** The value that most have; the first one if several are as frequent. */
export function commonest<T>(items: T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return [...counts.entries()].reduce<[T, number] | undefined>((best, entry) => (best && best[1] >= entry[1] ? best : entry), undefined)?.[0];
}

/** A key of the application, and which replicas hold which value; the commonest value first. */
export interface Entry { key: string; groups: { value: string | null; nodes: number[] }[] }

/** The entries that were compared last: most steps change none of them. */
let compared: { apps: ReadonlyMap<string, string>[]; entries: Entry[] } = { apps: [], entries: [] };

/** What the replicas hold after a step. A replica that has executed fewer slots is `behind`. */
export function holdings(run: Run, step: number, replicas: Replica[]): { entries: Entry[]; behind: number[] } {
  const apps = replicas.map((_, node) => run.app(node, step));
  const furthest = Math.max(...replicas.map((replica) => replica.lastExecuted));
  const behind = replicas.flatMap((replica, node) => (replica.lastExecuted < furthest ? [node] : []));
  const isSame = apps.length === compared.apps.length && apps.every((app, node) => app === compared.apps[node]);
  if (!isSame) compared = { apps, entries: compare(apps) };
  return { entries: compared.entries, behind };
}

function compare(apps: ReadonlyMap<string, string>[]): Entry[] {
  const keys = [...new Set(apps.flatMap((app) => [...app.keys()]))].sort();
  return keys.map((key) => {
    const groups = new Map<string | null, number[]>();
    apps.forEach((app, node) => {
      const value = app.get(key) ?? null;
      groups.set(value, [...(groups.get(value) ?? []), node]);
    });
    const list = [...groups.entries()].map(([value, nodes]) => ({ value, nodes }));
    return { key, groups: list.sort((a, b) => b.nodes.length - a.nodes.length) };
  });
}

/** The smallest overlap of a quorum with any other one of the same size, and such another one
 * for these voters: it takes those who have not voted, then the faulty ones, then the rest. */
export function otherQuorum(nodes: number, quorum: number, voters: number[], isFaulty: (node: number) => boolean, turn: number): number[] {
  const all = Array.from({ length: nodes }, (_, node) => node);
  const first = all.filter((node) => !voters.includes(node));
  const faulty = voters.filter(isFaulty);
  const honest = voters.filter((node) => !isFaulty(node));
  const at = honest.length === 0 ? 0 : turn % honest.length;
  const turned = [...honest.slice(at), ...honest.slice(0, at)];
  return [...first, ...faulty, ...turned].slice(0, quorum).sort((a, b) => a - b);
}
