// What the page shows: signals that all parts read, and the few ways to change them.

import { batch, computed, signal } from "@preact/signals";
import type { Granularity, Run } from "./run";
import { FIRST_SCENARIO, type Edit, type Problem, type Scenario } from "./scenario";

// ---- What is played -----------------------------------------------------------------

/** What the form says, with the edits. */
export const scenario = signal<Scenario>(FIRST_SCENARIO);
/** The last run that could be played, or the one of a file; null before the first. */
export const run = signal<Run | null>(null);
/** The scenario that `run` was played from: while another one is played, not `scenario`; null if `run` is from a file. */
export const playedFrom = signal<Scenario | null>(null);
/** The file that the run is from; null if it is played from the scenario. */
export const file = signal<string | null>(null);
/** What is wrong with the scenario, by field; empty if `run` is its run. */
export const errors = signal<Problem[]>([]);
/** A sentence about something that went wrong elsewhere: a file, a link. */
export const notice = signal<string | null>(null);
/** A scenario is being played. */
export const busy = signal(false);

/** The scenario to compare with; null if nothing is compared. */
export const secondScenario = signal<Scenario | null>(null);
/** The file that the second run is from; null if it is played from its scenario. */
export const secondFile = signal<string | null>(null);
export const secondRun = signal<Run | null>(null);
export const secondErrors = signal<Problem[]>([]);
export const isComparing = computed(() => secondScenario.value !== null || secondFile.value !== null);

/** Compares with a scenario, or with a run of a file; with neither, ends the comparison. */
export function compareWith(wanted: Scenario | null, opened?: { name: string; run: Run }): void {
  batch(() => {
    secondErrors.value = [];
    secondFile.value = opened?.name ?? null;
    secondRun.value = opened?.run ?? (wanted ? secondRun.peek() : null);
    secondScenario.value = wanted;
  });
}

// ---- The moment ---------------------------------------------------------------------

/** The last step that has happened, -1 to `run.length - 1`. */
export const step = signal(-1);
/** The moment in nanoseconds: the time of the step, or while playing a little later. */
export const time = signal(-1);
export const playing = signal(false);
/** 1: a message takes about as long as `SECONDS_PER_FLIGHT`. */
export const speed = signal(1);
export const SECONDS_PER_FLIGHT = 0.9;
export const granularity = signal<Granularity>("message");

/** Goes to a step, and stops there. */
export function goTo(index: number): void {
  const now = run.peek();
  if (!now) return;
  const at = Math.max(-1, Math.min(index, now.length - 1));
  batch(() => {
    step.value = at;
    time.value = now.timeOf(at);
    playing.value = false;
  });
}

/** Goes to a time, without stopping to play. */
export function goToTime(nanoseconds: number): void {
  const now = run.peek();
  if (!now) return;
  batch(() => {
    time.value = Math.max(0, Math.min(nanoseconds, now.endTime));
    step.value = now.stepAt(time.value);
  });
}

export function goNext(): void {
  const now = run.peek();
  if (now) goTo(now.next(step.peek(), granularity.peek()));
}

export function goBack(): void {
  const now = run.peek();
  if (now) goTo(now.back(step.peek(), granularity.peek()));
}

/** Shows another run, at a step of it, and keeps which scenario it is of. */
export function show(shown: Run, at: number, from: Scenario | null): void {
  batch(() => {
    run.value = shown;
    playedFrom.value = from;
    const index = Math.max(-1, Math.min(at, shown.length - 1));
    step.value = index;
    time.value = shown.timeOf(index);
  });
}

// ---- What is looked at --------------------------------------------------------------

/** A node, or a copy of a message: its index in the run. */
export type Selection = { node: number } | { flight: number };
export const selected = signal<Selection | null>(null);
export const hovered = signal<Selection | null>(null);

/** What the log and the diagram leave out. */
export interface Filters {
  /** Kinds of messages, and of lines such as `vote`, that are not shown. */
  hidden: ReadonlySet<string>;
  /** Only what this node does, sends or receives. */
  node: number | null;
  /** Only this slot. */
  seq: number | null;
  /** Only lines that contain this text. */
  text: string;
}
export const NO_FILTERS: Filters = { hidden: new Set(["state"]), node: null, seq: null, text: "" };
export const filters = signal<Filters>(NO_FILTERS);

export type Theme = "auto" | "light" | "dark";
export const theme = signal<Theme>("auto");
/** The parts that share a place: which one is in front. On a narrow screen only one part is seen. */
export type Part = "graph" | "spacetime" | "log" | "state" | "form" | "lessons";
export const part = signal<Part>("graph");
export const side = signal<"form" | "lessons">("lessons");

/** Brings a part to the front. */
export function openPart(name: Part): void {
  part.value = name;
  if (name === "form" || name === "lessons") side.value = name;
}
export const helpOpen = signal(false);

// ---- Edits --------------------------------------------------------------------------

/** The lists of edits before each change of them, and those that were left by "undo". */
const past = signal<Edit[][]>([]);
const future = signal<Edit[][]>([]);
export const edits = computed(() => scenario.value.edits ?? []);
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);
/** Only what was played from a scenario can be played again in another way. */
export const canEdit = computed(() => file.value === null || run.value?.header.scenario !== undefined);

function setEdits(list: Edit[]): void {
  const { edits: _, ...rest } = scenario.peek();
  file.value = null;
  scenario.value = list.length > 0 ? { ...rest, edits: list } : rest;
}

function changeEdits(list: Edit[]): void {
  batch(() => {
    past.value = [...past.peek(), edits.peek()];
    future.value = [];
    setEdits(list);
  });
}

export function addEdit(edit: Edit): void {
  changeEdits([...edits.peek(), edit]);
}

export function removeEdit(index: number): void {
  changeEdits(edits.peek().filter((_, at) => at !== index));
}

export function undoEdit(): void {
  moveBetween(past, future);
}

export function redoEdit(): void {
  moveBetween(future, past);
}

/** Takes the latest list of one side; the present list becomes the latest of the other. */
function moveBetween(from: typeof past, to: typeof past): void {
  const list = from.peek().at(-1);
  if (!list) return;
  batch(() => {
    from.value = from.peek().slice(0, -1);
    to.value = [...to.peek(), edits.peek()];
    setEdits(list);
  });
}

/** The time for an edit made now, in whole microseconds: nothing before the moment shown changes. */
export function editTime(): number {
  return Math.ceil(Math.max(time.peek(), 0) / 1000);
}

/** Takes another scenario, whose edits come with it; leaves a file. */
export function take(wanted: Scenario): void {
  batch(() => {
    file.value = null;
    // Edits that come with it can be undone one by one.
    past.value = (wanted.edits ?? []).map((_, count) => wanted.edits!.slice(0, count));
    future.value = [];
    scenario.value = wanted;
  });
}

/** Changes fields of the scenario; a field that becomes undefined is left to its default. */
export function change(fields: { [K in keyof Scenario]?: Scenario[K] | undefined }): void {
  const merged = { ...scenario.peek(), ...fields };
  const entries = Object.entries(merged).filter(([, value]) => value !== undefined);
  batch(() => {
    file.value = null;
    scenario.value = Object.fromEntries(entries) as unknown as Scenario;
  });
}
