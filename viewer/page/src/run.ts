// A run that can be asked about any moment of it. Everything is kept as histories that
// are searched by step or by time, so that going anywhere costs the same as going on.

import type {
  AppLine, Header, Line, MarkLine, MessageLine, NodeLine, Protocol, RejectedLine, StateLine, Trace, VoteLine, VotePhase,
} from "./trace";

/** What happens at one moment. `index` is its place in the run, `t` its time in nanoseconds. */
export type Step =
  | { is: "departure"; index: number; t: number; node: number; line: MessageLine }
  | { is: "arrival"; index: number; t: number; node: number; line: MessageLine; flight: Flight }
  | OtherStep;
type OtherStep = Exclude<Line, MessageLine> extends infer L
  ? L extends Line ? { is: L["is"]; index: number; t: number; node: number | null; line: L } : never
  : never;

/** One copy of a message on its way to one recipient. */
export interface Flight {
  /** Its place in the run, from 0. */
  index: number;
  /** Its ordinal in the trace, which edits name. */
  copy: number;
  line: MessageLine;
  from: number;
  to: number;
  departs: number;
  /** Empty if it is lost; two times if the network duplicates it. */
  arrives: number[];
  /** When its drawing ends: its last arrival, or the time a message usually takes. */
  ends: number;
  lost: boolean;
}

/** What a replica says of itself, and whether it is up. */
export interface Replica {
  up: boolean;
  /** How it misbehaves now. */
  faults: string[];
  recovering: boolean;
  diverged: boolean;
  lastExecuted: number;
  inFlight: number;
  view: number | null;
  changingView: boolean;
  commander: number | null;
  communicationNode: number | null;
  stableCheckpoint: number | null;
  /** The certificate that it was last seen to hold, such as `fast`, and its slot. */
  certificate: { seq: number; kind: string } | null;
  /** How far it trusts itself after the last round, 1 to 10; only in `ccro-paper`. */
  trust: number | null;
}

/** Votes that count at one node for one value in one slot. A proposal is its commander's
 * vote in the prepare phase; a node's own vote counts as well. */
export interface Counter {
  node: number;
  view: number | null;
  seq: number;
  phase: "prepare" | "commit";
  value: number;
  /** Steps at which votes came, ascending. */
  steps: number[];
  /** Whose votes; the same length as `steps`. */
  authors: number[];
  /** The step at which the quorum was full, or -1. */
  filledAt: number;
}

/** From the first departure to the last arrival of the messages of one kind in one slot. */
export interface PhaseSpan {
  kind: string;
  view: number | null;
  seq: number;
  starts: number;
  ends: number;
}

/** How far "next" and "back" go. `event` is a single line of the log. */
export type Granularity = "event" | "message" | "phase" | "slot" | "view";
export const GRANULARITIES: Granularity[] = ["event", "message", "phase", "slot", "view"];

const BLOCK = 64;

interface NodeHistory {
  steps: number[];
  states: Replica[];
  appSteps: number[];
  appLines: AppLine[];
  /** The entries before every `BLOCK`th change. */
  appSnapshots: ReadonlyMap<string, string>[];
  /** The entries after all changes that were read. */
  latest: Map<string, string>;
  /** What was asked for last, and after how many changes. */
  app: { count: number; entries: ReadonlyMap<string, string> };
  counters: Counter[];
}

export class Run {
  readonly trace: Trace;
  readonly header: Header;
  /** How many steps there are: they are numbered from 0 to `length - 1`. Step -1 stands for
   * the time before all of them. */
  readonly length: number;
  /** The time of the last step or of the end of the run, the later one. */
  readonly endTime: number;
  /** How long a message is on its way, the median of the run, nanoseconds. */
  readonly usualFlight: number;
  /** How many requests clients made, and how many results they accepted. */
  readonly answers: { asked: number; given: number };
  /** All quorums that were ever full, in the order in which they were. */
  readonly quorums: Counter[] = [];
  readonly phases: PhaseSpan[] = [];
  /** The steps of all marks, ascending. */
  readonly marks: number[] = [];
  /** The steps that are about the node or the network as a whole: `node` and `network` lines. */
  readonly changes: number[] = [];
  /** Kinds of messages that occur, in the order of their first departure. */
  readonly kinds: string[] = [];
  readonly flightCount: number;

  private readonly times: Float64Array;
  /** For each step, its line. */
  private readonly lineOf: Int32Array;
  /** For an arrival, its flight; else -1. */
  private readonly flightOf: Int32Array;
  private readonly flightLine: Int32Array;
  private readonly flightPlace: Uint16Array;
  /** For each line of a message, its first flight. */
  private readonly firstFlight: Int32Array;
  private readonly departs: Float64Array;
  private readonly ends: Float64Array;
  /** The latest end in each block of flights. */
  private readonly blockEnds: Float64Array;
  private readonly histories: NodeHistory[];
  private readonly copiesSent: Uint32Array;
  private readonly copiesLost: Uint32Array;
  private readonly bytesSent: Float64Array;
  private readonly stopsOf = new Map<Granularity, Int32Array>();

  constructor(trace: Trace) {
    this.trace = trace;
    this.header = trace.header;
    const { lines } = trace;
    const lengthOf = (is: Line["is"]) => lines.filter((line) => line.is === is).length;
    this.answers = { asked: lengthOf("request"), given: lengthOf("answer") };

    const count = lines.reduce((sum, line) => sum + (line.is === "message" ? line.to.length : 0), 0);
    this.flightCount = count;
    this.flightLine = new Int32Array(count);
    this.flightPlace = new Uint16Array(count);
    this.firstFlight = new Int32Array(lines.length).fill(-1);
    this.departs = new Float64Array(count);
    this.ends = new Float64Array(count);
    const durations: number[] = [];
    const arrivals: { t: number; flight: number }[] = [];
    let flight = 0;
    lines.forEach((line, at) => {
      if (line.is !== "message") return;
      this.firstFlight[at] = flight;
      line.to.forEach(([, times], place) => {
        this.flightLine[flight] = at;
        this.flightPlace[flight] = place;
        this.departs[flight] = line.t;
        for (const t of times) {
          arrivals.push({ t, flight });
          durations.push(t - line.t);
        }
        flight += 1;
      });
    });
    durations.sort((a, b) => a - b);
    this.usualFlight = Math.max(durations[durations.length >> 1] ?? 100_000, 1000);
    this.blockEnds = new Float64Array(Math.ceil(count / BLOCK));
    for (let i = 0; i < count; i++) {
      const { arrives } = this.placeOf(i);
      this.ends[i] = arrives.length > 0 ? Math.max(...arrives) : this.departs[i]! + this.usualFlight;
      const block = Math.floor(i / BLOCK);
      this.blockEnds[block] = Math.max(this.blockEnds[block]!, this.ends[i]!);
    }

    const order = inOrder(lines, arrivals, this.flightLine);
    this.length = order.length;
    this.lineOf = Int32Array.from(order, (step) => step.line);
    this.flightOf = Int32Array.from(order, (step) => step.flight);
    this.times = Float64Array.from(order, (step) => step.t);
    this.endTime = Math.max(trace.end.t, this.times[this.length - 1] ?? 0);

    this.copiesSent = new Uint32Array(this.length);
    this.copiesLost = new Uint32Array(this.length);
    this.bytesSent = new Float64Array(this.length);
    const first = lines.find((line) => line.is === "state");
    this.histories = Array.from({ length: this.header.nodes }, (_, node) => ({
      steps: [-1], states: [atFirst(this.header, node, first)], appSteps: [], appLines: [], appSnapshots: [],
      latest: new Map(), app: { count: 0, entries: new Map() }, counters: [],
    }));
    this.readThrough();
  }

  /** The step with this number; there is one for 0 to `length - 1`. */
  at(index: number): Step {
    const line = this.trace.lines[this.lineOf[index]!]!;
    const t = this.times[index]!;
    const flight = this.flightOf[index]!;
    if (line.is === "message") {
      if (flight < 0) return { is: "departure", index, t, node: line.from, line };
      const copy = this.flight(flight);
      return { is: "arrival", index, t, node: copy.to, line, flight: copy };
    }
    return { is: line.is, index, t, node: nodeOf(line), line } as Step;
  }

  /** When a step happens; just before the beginning for step -1. */
  timeOf(index: number): number {
    return index < 0 ? -1 : this.times[Math.min(index, this.length - 1)] ?? 0;
  }

  /** The last step that has happened at a time; -1 if none has. */
  stepAt(time: number): number {
    return lastAtMost(this.times, time);
  }

  /** The copy with this place in the run. */
  flight(index: number): Flight {
    const { line, to, arrives } = this.placeOf(index);
    return {
      index, line, to, arrives, from: line.from, copy: line.copy + this.flightPlace[index]!,
      departs: this.departs[index]!, ends: this.ends[index]!, lost: arrives.length === 0,
    };
  }

  /** The copy with this ordinal in the trace; null if there is none. */
  copy(ordinal: number): Flight | null {
    const has = (line: Line) => line.is === "message" && ordinal >= line.copy && ordinal < line.copy + line.to.length;
    const at = this.trace.lines.findIndex(has);
    const line = this.trace.lines[at];
    return line?.is === "message" ? this.flight(this.firstFlight[at]! + ordinal - line.copy) : null;
  }

  /** All copies of the message that leaves at this step. */
  flightsOf(index: number): Flight[] {
    const at = this.lineOf[index]!;
    const line = this.trace.lines[at]!;
    if (line.is !== "message") return [];
    return line.to.map((_, place) => this.flight(this.firstFlight[at]! + place));
  }

  /** What is on its way at a time: it has left, and its last arrival is still to come. */
  flightsAt(time: number): Flight[] {
    const end = lastAtMost(this.departs, time) + 1;
    const found: Flight[] = [];
    for (let block = 0; block * BLOCK < end; block++) {
      if (this.blockEnds[block]! <= time) continue;
      for (let i = block * BLOCK; i < Math.min(end, (block + 1) * BLOCK); i++) {
        if (this.ends[i]! > time) found.push(this.flight(i));
      }
    }
    return found;
  }

  /** All copies that are on their way at some time between two times. */
  flightsBetween(from: number, to: number): Flight[] {
    const end = lastAtMost(this.departs, to) + 1;
    const found: Flight[] = [];
    for (let block = 0; block * BLOCK < end; block++) {
      if (this.blockEnds[block]! < from) continue;
      for (let i = block * BLOCK; i < Math.min(end, (block + 1) * BLOCK); i++) {
        if (this.ends[i]! >= from) found.push(this.flight(i));
      }
    }
    return found;
  }

  /** A replica after a step. */
  replica(node: number, step: number): Replica {
    const history = this.histories[node]!;
    return history.states[lastAtMost(history.steps, step)]!;
  }

  /** What the application of a replica holds after a step: values by key, or balances by account. */
  app(node: number, step: number): ReadonlyMap<string, string> {
    const history = this.histories[node]!;
    const count = lastAtMost(history.appSteps, step) + 1;
    if (history.app.count !== count) history.app = { count, entries: this.appAfter(history, count) };
    return history.app.entries;
  }

  private appAfter(history: NodeHistory, count: number): Map<string, string> {
    const block = Math.floor(count / BLOCK);
    const entries = new Map(history.appSnapshots[block] ?? history.latest);
    for (let i = block * BLOCK; i < count; i++) change(entries, history.appLines[i]!);
    return entries;
  }

  /** The counters of a node that have a vote by a step, in the order of their first votes. */
  counters(node: number, step: number): Counter[] {
    return this.histories[node]!.counters.filter((counter) => counter.steps[0]! <= step);
  }

  /** Who of a counter's voters had voted by a step. */
  voters(counter: Counter, step: number): number[] {
    return counter.authors.slice(0, lastAtMost(counter.steps, step) + 1);
  }

  /** What was sent by a step: copies, bytes of all copies, and copies that never arrive. */
  totals(step: number): { messages: number; bytes: number; lost: number } {
    if (step < 0 || this.length === 0) return { messages: 0, bytes: 0, lost: 0 };
    const at = Math.min(step, this.length - 1);
    return { messages: this.copiesSent[at]!, bytes: this.bytesSent[at]!, lost: this.copiesLost[at]! };
  }

  /** The step after which "next" stops; the last step if there is no further stop. */
  next(step: number, by: Granularity): number {
    const stops = this.stops(by);
    return stops[lastAtMost(stops, step) + 1] ?? this.length - 1;
  }

  /** Where "back" stops; -1 at the beginning. */
  back(step: number, by: Granularity): number {
    const stops = this.stops(by);
    return stops[lastAtMost(stops, step - 1)] ?? -1;
  }

  /** The first step at or after `from` that meets a condition; -1 if none does. */
  find(condition: (step: Step) => boolean, from = 0): number {
    for (let i = Math.max(from, 0); i < this.length; i++) if (condition(this.at(i))) return i;
    return -1;
  }

  private placeOf(flight: number): { line: MessageLine; to: number; arrives: number[] } {
    const line = this.trace.lines[this.flightLine[flight]!] as MessageLine;
    const [to, arrives] = line.to[this.flightPlace[flight]!]!;
    return { line, to, arrives };
  }

  /** Steps at which a kind of progress begins, ascending. */
  private stops(by: Granularity): Int32Array {
    const known = this.stopsOf.get(by);
    if (known) return known;
    const isStop = stopper(by, this);
    const found: number[] = [];
    for (let i = 0; i < this.length; i++) if (isStop(i)) found.push(i);
    const stops = Int32Array.from(found);
    this.stopsOf.set(by, stops);
    return stops;
  }

  private readThrough(): void {
    let sent = 0, lost = 0, bytes = 0;
    const counters = new Map<string, Counter>();
    const phases = new Map<string, PhaseSpan>();
    const kinds = new Set<string>();
    for (let i = 0; i < this.length; i++) {
      const line = this.trace.lines[this.lineOf[i]!]!;
      if (line.is === "message" && this.flightOf[i]! < 0) {
        sent += line.to.length;
        bytes += line.bytes * line.to.length;
        lost += line.to.filter(([, times]) => times.length === 0).length;
        kinds.add(line.kind);
        this.extendPhase(phases, line, i);
      } else if (line.is === "vote") {
        this.count(counters, i, line, line.node, line.author);
      } else if (line.is === "mark") {
        this.marks.push(i);
        if (line.mark === "voted") this.count(counters, i, line, line.node, line.node);
        if (line.mark === "proposed") {
          this.count(counters, i, { ...line, phase: "pre-prepare" }, line.node, line.node);
        }
        this.note(line.node, i, ofMark(line));
      } else if (line.is === "state") {
        this.note(line.node, i, ofState(line));
      } else if (line.is === "app") {
        this.noteApp(line, i);
      } else if (line.is === "node") {
        this.changes.push(i);
        this.note(line.node, i, ofChange(line));
      } else if (line.is === "network") {
        this.changes.push(i);
      }
      this.copiesSent[i] = sent;
      this.copiesLost[i] = lost;
      this.bytesSent[i] = bytes;
    }
    this.kinds.push(...kinds);
    this.phases.push(...phases.values());
  }

  private note(node: number, step: number, news: Partial<Replica>): void {
    if (Object.keys(news).length === 0) return;
    const history = this.histories[node]!;
    const now = { ...history.states[history.states.length - 1]!, ...news };
    history.steps.push(step);
    history.states.push(now);
  }

  private noteApp(line: AppLine, step: number): void {
    const history = this.histories[line.node]!;
    if (history.appLines.length % BLOCK === 0) history.appSnapshots.push(new Map(history.latest));
    change(history.latest, line);
    history.appSteps.push(step);
    history.appLines.push(line);
  }

  private count(
    counters: Map<string, Counter>, step: number,
    vote: { phase: VotePhase; seq: number; value: number }, node: number, author: number,
  ): void {
    const history = this.histories[node]!;
    const { view } = history.states[history.states.length - 1]!;
    const phase = vote.phase === "commit" ? "commit" : "prepare";
    const key = `${node} ${view} ${vote.seq} ${phase} ${vote.value}`;
    let counter = counters.get(key);
    if (!counter) {
      counter = { node, view, seq: vote.seq, phase, value: vote.value, steps: [], authors: [], filledAt: -1 };
      counters.set(key, counter);
      history.counters.push(counter);
    }
    if (counter.authors.includes(author)) return;
    counter.authors.push(author);
    counter.steps.push(step);
    if (counter.authors.length === this.header.quorum) {
      counter.filledAt = step;
      this.quorums.push(counter);
    }
  }

  private extendPhase(phases: Map<string, PhaseSpan>, line: MessageLine, step: number): void {
    if (line.seq === undefined) return;
    const view = line.view ?? null;
    const key = `${line.kind} ${view} ${line.seq}`;
    const first = this.firstFlight[this.lineOf[step]!]!;
    let ends = line.t;
    for (let i = first; i < first + line.to.length; i++) ends = Math.max(ends, this.ends[i]!);
    const span = phases.get(key);
    if (span) span.ends = Math.max(span.ends, ends);
    else phases.set(key, { kind: line.kind, view, seq: line.seq, starts: line.t, ends });
  }
}

/** Lines and arrivals in the order of time. What happens at the time of an arrival happens
 * because of it, so it comes after. */
function inOrder(
  lines: Line[], arrivals: { t: number; flight: number }[], flightLine: Int32Array,
): { t: number; line: number; flight: number }[] {
  const isInstant = ({ t, flight }: { t: number; flight: number }) => t === lines[flightLine[flight]!]!.t;
  const instant = new Map<number, number[]>();
  for (const arrival of arrivals.filter(isInstant)) {
    const line = flightLine[arrival.flight]!;
    instant.set(line, [...(instant.get(line) ?? []), arrival.flight]);
  }
  const later = arrivals.filter((arrival) => !isInstant(arrival)).sort((a, b) => a.t - b.t || a.flight - b.flight);
  const order: { t: number; line: number; flight: number }[] = [];
  let next = 0;
  const arriveUntil = (t: number) => {
    for (; next < later.length && later[next]!.t <= t; next++) {
      const { t, flight } = later[next]!;
      order.push({ t, line: flightLine[flight]!, flight });
    }
  };
  lines.forEach((line, at) => {
    arriveUntil(line.t);
    order.push({ t: line.t, line: at, flight: -1 });
    for (const flight of instant.get(at) ?? []) order.push({ t: line.t, line: at, flight });
  });
  arriveUntil(Infinity);
  return order;
}

/** The place of the last number that is not above `limit`; -1 if all are. */
export function lastAtMost(ascending: ArrayLike<number>, limit: number): number {
  let low = 0, high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Whether the replicas of a protocol work in views, one after the other. */
export function hasViews(protocol: Protocol): boolean {
  return protocol !== "ccro-paper" && protocol !== "broadcast";
}

/** Whether one replica collects the votes of all and sends certificates of them. */
export function hasCertificates(protocol: Protocol): boolean {
  return protocol === "ccro" || protocol === "ccro-aggregate";
}

/** Before its first line, a replica has the roles that the first one of all tells of. */
function atFirst(header: Header, node: number, first: Line | undefined): Replica {
  const roles = first?.is === "state" ? ofState(first) : {};
  return {
    up: true, faults: header.faults?.[node] ?? [], recovering: false, diverged: false, lastExecuted: 0,
    inFlight: 0, view: hasViews(header.protocol) ? 0 : null, changingView: false, commander: roles.commander ?? null,
    communicationNode: roles.communicationNode ?? null, stableCheckpoint: null, certificate: null, trust: null,
  };
}

function ofState(line: StateLine): Partial<Replica> {
  const news: Partial<Replica> = {};
  if (line.recovering !== undefined) news.recovering = line.recovering;
  if (line.diverged !== undefined) news.diverged = line.diverged;
  if (line.last_executed !== undefined) news.lastExecuted = line.last_executed;
  if (line.in_flight !== undefined) news.inFlight = line.in_flight;
  if (line.view !== undefined) news.view = line.view;
  if (line.changing_view !== undefined) news.changingView = line.changing_view;
  if (line.commander !== undefined) news.commander = line.commander;
  if (line.communication_node !== undefined) news.communicationNode = line.communication_node;
  if (line.stable_checkpoint !== undefined) news.stableCheckpoint = line.stable_checkpoint;
  return news;
}

/** A mark is often there a little before the line that says how the replica is now. */
function ofMark(line: MarkLine): Partial<Replica> {
  switch (line.mark) {
    case "view-began": return { view: line.view, changingView: false };
    case "certified": return { certificate: { seq: line.seq, kind: line.certificate } };
    case "trusted": return { trust: (line.trust_milli[line.node] ?? 0) / 1000 };
    default: return {};
  }
}

function ofChange(line: NodeLine): Partial<Replica> {
  switch (line.change) {
    case "crashed": return { up: false };
    case "restarted": return { up: true };
    case "behaves": return { faults: line.faults };
  }
}

function change(entries: Map<string, string>, line: AppLine): void {
  for (const [key, value] of Object.entries(line.set ?? {})) entries.set(key, value);
  for (const key of line.gone ?? []) entries.delete(key);
}

function nodeOf(line: Exclude<Line, MessageLine>): number | null {
  switch (line.is) {
    case "vote": case "mark": case "state": case "app": case "rejected": case "node": return line.node;
    case "request": return line.gateway;
    default: return null;
  }
}

/** Says of each step, asked in ascending order, whether progress of a kind begins there. */
function stopper(by: Granularity, run: Run): (index: number) => boolean {
  const seen = new Set<string>();
  const isNew = (key: string) => !seen.has(key) && Boolean(seen.add(key));
  return (index) => {
    if (by === "event") return true;
    if (by === "message") {
      // All that follows from a message belongs to it: stop before the next one.
      const after = index + 1 < run.length ? run.at(index + 1).is : null;
      return after === null || after === "departure" || after === "arrival" || isOutside(after);
    }
    const { is, line } = run.at(index);
    if (by === "phase") {
      return is === "departure" && isNew(`${line.kind} ${line.view ?? ""} ${line.seq ?? ""}`);
    }
    if (line.is !== "mark") return false;
    if (by === "slot") return line.mark === "executed" && isNew(String(line.seq));
    return (line.mark === "view-began" || line.mark === "left-for") && isNew(`${line.mark} ${line.view}`)
      || line.mark === "rotated" && isNew(`rotated ${line.from} ${line.to}`)
      || line.mark === "fell-back" && isNew(`fell-back ${line.seq}`);
  };
}

/** Whether a step comes from outside the replicas. */
function isOutside(is: Step["is"]): boolean {
  return is === "request" || is === "answer" || is === "timed-out" || is === "node" || is === "network";
}

export type { MarkLine, RejectedLine, VoteLine };
