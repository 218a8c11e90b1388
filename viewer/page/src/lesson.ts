// The lesson that is open, and its steps.

import { batch, signal } from "@preact/signals";
import { findMoment, type Moment } from "./moment";
import { ask } from "./module";
import { showNextAt } from "./player";
import type { Run } from "./run";
import type { Scenario } from "./scenario";
import { compareWith, goTo, granularity, notice, openPart, part, playedFrom, run, scenario, selected, side, take, type Part } from "./store";

export interface Lesson {
  /** The name of its file. */
  name: string;
  title: string;
  summary: string;
  scenario: Scenario;
  compare?: Scenario;
  steps: { text: string; at?: Moment; select?: { node: number }; part?: Part | "compare"; scenario?: Scenario }[];
  try: { text: string; scenario?: Scenario };
  /** It is from a file that somebody opened, and in no other page. */
  isOwn?: true;
}

export const lessons = signal<Lesson[]>([]);
export const lesson = signal<Lesson | null>(null);
/** The step that is shown; `steps.length` stands for what to try. */
export const lessonStep = signal(0);
/** A sentence if the run has no such moment as the step points at. */
export const missing = signal<string | null>(null);

export async function load(): Promise<void> {
  const answer = await ask({ do: "lessons" });
  if (answer.errors) notice.value = answer.errors.map(({ problem }) => problem).join(" ");
  else lessons.value = (answer.lessons ?? []) as unknown as Lesson[];
}

/** Opens a lesson that somebody wrote, or says what is wrong with it. Opened again, it takes the place of the one before. */
export async function openOwnLesson(name: string, text: string): Promise<void> {
  const answer = await ask({ do: "lesson", name, text });
  const read = answer.lessons?.[0] as unknown as Lesson | undefined;
  if (!read) {
    const problems = (answer.errors ?? []).map(({ field, problem }) => {
      const place = field === name ? "" : field.slice(name.length + 1);
      return place ? `${place}: ${problem}` : problem;
    });
    notice.value = `${name}.toml cannot be opened as a lesson. ${problems.join(". ")}.`;
    return;
  }
  const own: Lesson = { ...read, isOwn: true };
  batch(() => {
    notice.value = null;
    lessons.value = [...lessons.peek().filter((other) => other.name !== name), own];
    openPart("lessons");
    openLesson(own);
  });
}

export function openLesson(chosen: Lesson): void {
  batch(() => {
    lesson.value = chosen;
    granularity.value = "message";
    compareWith(chosen.compare ?? null);
    goToLessonStep(0);
  });
}

export function closeLesson(): void {
  lesson.value = null;
}

/** Shows a step: its run, its moment and the place to look at. */
export function goToLessonStep(to: number): void {
  const open = lesson.peek();
  if (!open) return;
  lessonStep.value = to;
  missing.value = null;
  const wanted = open.steps[Math.min(to, open.steps.length - 1)]!;
  if (to < open.steps.length && wanted.part) part.value = wanted.part === "compare" ? "spacetime" : wanted.part;
  selected.value = wanted.select ?? null;
  showAt(scenarioAt(open, to), (shown) => {
    const at = momentOf(open, shown, to);
    if (at === null) missing.value = missingText(open, wanted.at!);
    return at ?? -1;
  });
}

/** A lesson of the page has all its moments, unless its run was changed; one from a file may have a mistake. */
function missingText(open: Lesson, moment: Moment): string {
  if (!open.isOwn) return "This run has no such moment: it was changed. Open the lesson again.";
  const fields = Object.entries(moment).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `This run has no moment { ${fields.join(", ")} } after the moment of the step before. Change the file and open it again.`;
}

/** Shows the run of a scenario at a step of it; plays it only if another one is shown. */
function showAt(wanted: Scenario, moment: (shown: Run) => number): void {
  const shown = run.peek();
  // A step may be left before its run is there: what is shown then is still the run before.
  const isShown = playedFrom.peek() === scenario.peek() && JSON.stringify(wanted) === JSON.stringify(scenario.peek());
  if (shown && isShown) {
    goTo(moment(shown));
    return;
  }
  showNextAt(moment);
  take(wanted);
}

/** Loads what the lesson proposes to try, and opens the form for it. */
export function tryIt(): void {
  const open = lesson.peek();
  if (!open) return;
  batch(() => {
    showAt(open.try.scenario ?? scenarioAt(open, open.steps.length), () => -1);
    part.value = "form";
    side.value = "form";
  });
}

/** The scenario of a step: its own, or that of the last step before it that has one. */
export function scenarioAt(open: Lesson, step: number): Scenario {
  const own = open.steps.slice(0, step + 1).reverse().find(({ scenario }) => scenario !== undefined);
  return own?.scenario ?? open.scenario;
}

/** The step of the run that a step of a lesson points at; null if there is none. */
export function momentOf(open: Lesson, shown: Run, step: number): number | null {
  let at = -1;
  for (const { at: moment, scenario } of open.steps.slice(0, step + 1)) {
    if (scenario) at = -1;
    if (!moment) continue;
    const found = findMoment(shown, moment, at);
    // Steps of an earlier scenario have no moment here.
    if (found >= 0) at = found;
    else if (moment === open.steps[step]?.at) return null;
  }
  return at;
}
