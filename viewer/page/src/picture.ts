// What a space-time diagram of a run shows, worked out once: arrows, bands, glyphs and the
// slots with their phases. Lanes are node ids; the clients' lane is `CLIENTS`.

import { timeText, valueName } from "./looks";
import { hasViews, type Run, type Step } from "./run";
import type { MarkLine, NodeLine } from "./trace";
import { list } from "./words";

/** Something that lasts at a node. */
export interface Band {
  node: number;
  from: number;
  to: number;
  sort: "down" | "changing" | "recovering" | "faulty";
  label: string;
  tells: string;
}

export type GlyphSort =
  | "quorum" | "executed" | "stable" | "rejected" | "view" | "leaves" | "fallback" | "rotation" | "certificate"
  | "adopted" | "diverged" | "contradiction" | "crash" | "restart" | "change";

/** Something that happens at a moment. */
export interface Glyph {
  node: number;
  t: number;
  /** Its step. */
  step: number;
  sort: GlyphSort;
  /** A few letters, for where there is room. */
  label: string;
  tells: string;
  /** The phase of a quorum. */
  kind?: string;
  seq?: number;
}

/** A slot from its proposal to its last message, in phases that begin when the first message
 * of their kind leaves. */
export interface SlotBar {
  seq: number;
  from: number;
  to: number;
  /** Slots that overlap lie in rows of their own. */
  row: number;
  phases: { kind: string; from: number; to: number }[];
}

/** The time in which a view is the current one, or nodes are on their way to it. */
export interface ViewSpan { view: number; from: number; to: number; isChanging: boolean }

/** What a client waits for. */
export interface Wait {
  request: number;
  gateway: number;
  from: number;
  to: number;
  outcome: "answered" | "timed out" | "open";
  /** Requests that are waited for at the same time lie in rows of their own. */
  row: number;
  step: number;
  /** The step at which it ends, -1 if it does not. */
  endStep: number;
  tells: string;
}

/** One arrow for each arrival, and one for each copy that is lost. In the order of departure. */
export interface Arrows {
  count: number;
  departs: Float64Array;
  /** For a lost one: when its drawing ends. */
  ends: Float64Array;
  /** The latest end of this arrow and all before it. */
  latest: Float64Array;
  from: Int16Array;
  to: Int16Array;
  /** Index into `run.kinds`. */
  kind: Uint8Array;
  lost: Uint8Array;
  /** Its place among the flights of the run. */
  flight: Int32Array;
  seq: Int32Array;
}

export interface Picture {
  arrows: Arrows;
  bands: Band[];
  glyphs: Glyph[];
  slots: SlotBar[];
  slotRows: number;
  /** None in a protocol without views. */
  views: ViewSpan[];
  waits: Wait[];
  waitRows: number;
  /** Changes of the network. */
  network: { t: number; step: number; tells: string }[];
}

const known = new WeakMap<Run, Picture>();

/** The picture of a run. */
export function pictureOf(run: Run): Picture {
  let picture = known.get(run);
  if (!picture) {
    picture = draw(run);
    known.set(run, picture);
  }
  return picture;
}

function draw(run: Run): Picture {
  const arrows = arrowsOf(run);
  const { slots, rows } = slotBars(run, arrows);
  const picture: Picture = {
    arrows, bands: [], glyphs: quorumGlyphs(run), slots, slotRows: rows, waits: [], waitRows: 1,
    views: viewSpans(run), network: [],
  };
  const open = new OpenBands(picture.bands, run);
  const waits = new Map<number, Wait>();
  for (let i = 0; i < run.length; i++) {
    const step = run.at(i);
    if (step.is === "departure" || step.is === "arrival") continue;
    open.take(step);
    const glyph = glyphOf(step);
    if (glyph) picture.glyphs.push({ ...glyph, t: step.t, step: i });
    if (step.is === "network") picture.network.push({ t: step.t, step: i, tells: `${timeText(step.t)}: the network changes: ${step.line.change}.` });
    takeWait(step, waits, run);
  }
  open.closeAll();
  picture.waits.push(...waits.values());
  picture.waitRows = putInRows(picture.waits, ({ to }) => to);
  picture.glyphs.sort((a, b) => a.t - b.t);
  return picture;
}

function arrowsOf(run: Run): Arrows {
  let count = 0;
  for (let i = 0; i < run.flightCount; i++) count += Math.max(1, run.flight(i).arrives.length);
  const kinds = new Map(run.kinds.map((kind, at) => [kind, at]));
  const made: Arrows = {
    count, departs: new Float64Array(count), ends: new Float64Array(count), latest: new Float64Array(count),
    from: new Int16Array(count), to: new Int16Array(count), kind: new Uint8Array(count), lost: new Uint8Array(count),
    flight: new Int32Array(count), seq: new Int32Array(count),
  };
  let at = 0, latest = 0;
  for (let i = 0; i < run.flightCount; i++) {
    const flight = run.flight(i);
    for (const ends of flight.lost ? [flight.ends] : flight.arrives) {
      latest = Math.max(latest, ends);
      made.departs[at] = flight.departs;
      made.ends[at] = ends;
      made.latest[at] = latest;
      made.from[at] = flight.from;
      made.to[at] = flight.to;
      made.kind[at] = kinds.get(flight.line.kind) ?? 0;
      made.lost[at] = flight.lost ? 1 : 0;
      made.flight[at] = i;
      made.seq[at] = flight.line.seq ?? -1;
      at += 1;
    }
  }
  return made;
}

/** The arrows that may be seen between two times, as a range of places. */
export function arrowsBetween({ departs, latest, count }: Arrows, from: number, to: number): [number, number] {
  const first = firstWhere(count, (at) => latest[at]! >= from);
  const end = firstWhere(count, (at) => departs[at]! > to);
  return [first, Math.max(first, end)];
}

/** The first place from which on a condition holds. */
export function firstWhere(count: number, holds: (at: number) => boolean): number {
  let low = 0, high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

// ---- Slots --------------------------------------------------------------------------

/** Kinds that carry a slot from its proposal to its decision. Checkpoints and fetched slots
 * name a slot as well, and come long after. */
const PHASES = new Set([
  "block-request", "pre-prepare", "prepare", "commit", "prepared-certificate", "fast-certificate",
  "committed-certificate", "round-reply", "reply",
]);

function slotBars(run: Run, arrows: Arrows): { slots: SlotBar[]; rows: number } {
  const bySeq = new Map<number, SlotBar>();
  const isPhase = run.kinds.map((kind) => PHASES.has(kind));
  const latest = new Map<string, SlotBar["phases"][number]>();
  for (let at = 0; at < arrows.count; at++) {
    const [number, seq, from, to] = [arrows.kind[at]!, arrows.seq[at]!, arrows.departs[at]!, arrows.ends[at]!];
    if (!isPhase[number] || seq < 0) continue;
    const slot = bySeq.get(seq) ?? { seq, from, to, row: 0, phases: [] };
    bySeq.set(seq, slot);
    slot.to = Math.max(slot.to, to);
    const key = `${seq} ${number}`;
    const phase = latest.get(key);
    // What is sent again much later is a phase of its own.
    if (phase && from <= phase.to + run.usualFlight * 4) phase.to = Math.max(phase.to, to);
    else {
      const begun = { kind: run.kinds[number]!, from, to };
      latest.set(key, begun);
      slot.phases.push(begun);
    }
  }
  const slots = [...bySeq.values()];
  for (const slot of slots) endPhasesAtTheNext(slot);
  return { slots, rows: putInRows(slots, endOfVotes) };
}

/** Phases overlap; each is shown until the next one begins, or its own messages end. */
function endPhasesAtTheNext(slot: SlotBar): void {
  slot.phases.forEach((phase, at) => {
    const next = slot.phases[at + 1];
    if (next) phase.to = Math.max(phase.from, Math.min(phase.to, next.from));
  });
}

/** The last replies of a slot are on their way while the next one begins: they need no row. */
function endOfVotes({ phases, to }: SlotBar): number {
  return phases.find(({ kind }) => kind === "reply")?.from ?? to;
}

/** Gives everything the first row that is free, and returns how many rows there are. */
export function putInRows<B extends { from: number; row: number }>(bars: B[], endOf: (bar: B) => number): number {
  const until: number[] = [];
  for (const bar of bars) {
    let row = until.findIndex((end) => end <= bar.from);
    if (row < 0) row = until.length;
    until[row] = endOf(bar);
    bar.row = row;
  }
  return Math.max(until.length, 1);
}

/** Views as the nodes together see them: one begins with the first node that begins it. */
function viewSpans(run: Run): ViewSpan[] {
  if (!hasViews(run.header.protocol)) return [];
  const spans: ViewSpan[] = [{ view: 0, from: 0, to: run.endTime, isChanging: false }];
  const begin = (view: number, t: number, isChanging: boolean) => {
    const last = spans[spans.length - 1]!;
    if (view < last.view || (view === last.view && (isChanging || !last.isChanging))) return;
    last.to = t;
    spans.push({ view, from: t, to: run.endTime, isChanging });
  };
  for (const step of run.marks) {
    const { t, line } = run.at(step);
    if (line.is !== "mark") continue;
    if (line.mark === "left-for") begin(line.view, t, true);
    if (line.mark === "view-began") begin(line.view, t, false);
  }
  return spans;
}

// ---- Glyphs -------------------------------------------------------------------------

function quorumGlyphs(run: Run): Glyph[] {
  const { quorum, nodes } = run.header;
  return run.quorums.map((counter) => {
    const { node, seq, phase, value, filledAt } = counter;
    const voters = list([...run.voters(counter, filledAt)].sort((a, b) => a - b));
    const t = run.timeOf(filledAt);
    return {
      node, t, seq, step: filledAt, sort: "quorum" as const, kind: phase, label: `${quorum}/${nodes}`,
      tells: `${timeText(t)}: node ${node} has a quorum. It holds ${quorum} ${phase} votes for value `
        + `${valueName(value)} in slot ${seq}, from nodes ${voters}.`,
    };
  });
}

type Drawn = Omit<Glyph, "t" | "step">;

function glyphOf(step: Step): Drawn | null {
  const at = timeText(step.t);
  switch (step.is) {
    case "mark": return markGlyph(step.line, at);
    case "vote": {
      if (!step.line.contradicts) return null;
      const { node, author, seq, phase } = step.line;
      return {
        node, seq, sort: "contradiction", label: "≠",
        tells: `${at}: node ${node} sees that node ${author} votes twice in the ${phase} phase of slot ${seq}, for different values.`,
      };
    }
    case "rejected": {
      const { node, from, seq, reason } = step.line;
      const about = seq === undefined ? "" : ` about slot ${seq}`;
      return {
        node, sort: "rejected", label: "×", ...(seq === undefined ? {} : { seq }),
        tells: `${at}: node ${node} refuses a message of node ${from}${about}: ${reason}.`,
      };
    }
    case "node": {
      const { line } = step;
      if (line.change === "behaves") {
        const becomes = line.faults.length > 0 ? `becomes faulty: ${line.faults.join(", ")}` : "keeps the rules from now on";
        return { node: line.node, sort: "change", label: line.faults.length > 0 ? "faulty" : "healed", tells: `${at}: node ${line.node} ${becomes}.` };
      }
      return line.change === "crashed"
        ? { node: line.node, sort: "crash", label: "crash", tells: `${at}: node ${line.node} crashes and loses what it knew.` }
        : { node: line.node, sort: "restart", label: "restart", tells: `${at}: node ${line.node} starts again, without what it knew.` };
    }
    default: return null;
  }
}

function markGlyph(line: MarkLine, at: string): Drawn | null {
  const { node } = line;
  const told = (sort: GlyphSort, label: string, what: string, seq?: number): Drawn =>
    ({ node, sort, label, tells: `${at}: node ${node} ${what}.`, ...(seq === undefined ? {} : { seq }) });
  switch (line.mark) {
    case "executed":
      return told("executed", String(line.seq), `executes slot ${line.seq}, value ${valueName(line.value)}`, line.seq);
    case "stable":
      return told("stable", String(line.seq), `has a stable checkpoint at slot ${line.seq}: what came before can be forgotten`, line.seq);
    case "left-for":
      return told("leaves", `leaves for view ${line.view}`, `votes to leave for view ${line.view}`);
    case "view-began":
      return told("view", `view ${line.view}`, `begins view ${line.view}`);
    case "generation-began":
      return told("view", `generation ${line.number}`, `begins generation ${line.number}, with members ${line.members.join(", ")}`);
    case "generation-adopted":
      return told("adopted", String(line.number), `takes over the state that generation ${line.number} began with`);
    case "fell-back":
      return told("fallback", "falls back", `gives up on communication node ${line.communication_node} in slot ${line.seq} and sends its votes to all`, line.seq);
    case "rotated":
      return told("rotation", `${line.from} → ${line.to}`, `will name node ${line.to} as communication node instead of node ${line.from}`);
    case "certified":
      return told("certificate", line.certificate, `sends a ${line.certificate} certificate for slot ${line.seq}`, line.seq);
    case "state-adopted":
      return told("adopted", String(line.seq), `takes over the state after slot ${line.seq} from the others`, line.seq);
    case "diverged":
      return told("diverged", "≠", `finds that its state after slot ${line.seq} is not the one that a quorum vouches for`, line.seq);
    case "recovered":
      return told("restart", "recovered", "has recovered and votes again");
    default:
      return null;
  }
}

// ---- Bands --------------------------------------------------------------------------

/** Bands that have begun and not ended, by node and sort. */
class OpenBands {
  private readonly open = new Map<string, Band>();

  constructor(private readonly done: Band[], private readonly run: Run) {
    for (let node = 0; node < run.header.nodes; node++) {
      const faults = run.header.faults?.[node] ?? [];
      if (faults.length > 0) this.begin(node, "faulty", 0, faults.join(", "), `Node ${node} is faulty: ${faults.join(", ")}.`);
    }
  }

  take(step: Step): void {
    const { t } = step;
    if (step.is === "node") this.takeChange(step.line, t);
    else if (step.is === "state" && step.line.recovering !== undefined) {
      const { node, recovering } = step.line;
      if (recovering) this.begin(node, "recovering", t, "recovering", `Node ${node} is recovering: it learns from the others, and does not vote yet.`);
      else this.end(node, "recovering", t);
    } else if (step.is === "mark" && step.line.mark === "left-for") {
      const { node, view } = step.line;
      this.begin(node, "changing", t, `to view ${view}`, `Node ${node} has left for view ${view}, and waits for it to begin.`);
    } else if (step.is === "mark" && step.line.mark === "view-began") {
      this.end(step.line.node, "changing", t);
    }
  }

  private takeChange(line: NodeLine, t: number): void {
    const { node } = line;
    if (line.change === "behaves") {
      const { faults } = line;
      this.end(node, "faulty", t);
      if (faults.length > 0) this.begin(node, "faulty", t, faults.join(", "), `Node ${node} is faulty: ${faults.join(", ")}.`);
    } else if (line.change === "crashed") {
      this.end(node, "changing", t);
      this.end(node, "recovering", t);
      this.begin(node, "down", t, "down", `Node ${node} is down.`);
    } else {
      this.end(node, "down", t);
    }
  }

  closeAll(): void {
    for (const band of [...this.open.values()]) this.end(band.node, band.sort, this.run.endTime);
  }

  private begin(node: number, sort: Band["sort"], from: number, label: string, tells: string): void {
    this.end(node, sort, from);
    this.open.set(`${sort} ${node}`, { node, sort, from, to: from, label, tells });
  }

  private end(node: number, sort: Band["sort"], to: number): void {
    const band = this.open.get(`${sort} ${node}`);
    if (!band) return;
    this.open.delete(`${sort} ${node}`);
    this.done.push({ ...band, to });
  }
}

// ---- Clients ------------------------------------------------------------------------

function takeWait(step: Step, waits: Map<number, Wait>, run: Run): void {
  if (step.is === "request") {
    const { request, gateway } = step.line;
    waits.set(request, {
      request, gateway, from: step.t, to: run.endTime, outcome: "open", row: 0, step: step.index, endStep: -1,
      tells: `Request ${request}, asked at ${timeText(step.t)} through node ${gateway}, has no answer by the end.`,
    });
    return;
  }
  if (step.is !== "answer" && step.is !== "timed-out") return;
  const wait = waits.get(step.line.request);
  if (!wait) return;
  const asked = `Request ${wait.request}, asked at ${timeText(wait.from)} through node ${wait.gateway}`;
  wait.to = step.t;
  wait.endStep = step.index;
  wait.outcome = step.is === "answer" ? "answered" : "timed out";
  wait.tells = step.is === "answer"
    ? `${asked}, is answered ${timeText(step.t - wait.from)} later, by slot ${step.line.seq}.`
    : `${asked}, is given up ${timeText(step.t - wait.from)} later.`;
}

