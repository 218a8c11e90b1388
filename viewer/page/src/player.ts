// Joins the scenario with its run: plays it again whenever it changes, keeps the last good
// one while the form has errors, and moves the time while playing.

import { batch, effect } from "@preact/signals";
import { ask, stop, type Answer } from "./module";
import { Run } from "./run";
import { notWhole, type Problem, type Scenario } from "./scenario";
import {
  SECONDS_PER_FLIGHT, busy, errors, file, goTo, goToTime, playing, run, scenario, secondErrors, secondFile, secondRun,
  secondScenario, show, speed, step, time,
} from "./store";
import { parseTrace } from "./trace";

/** A run that is still going on so long after another one was wanted gives way to it. */
const PATIENCE_MS = 700;

/** Where to be in the next run that is shown: from a link or a lesson. */
let wanted: ((run: Run) => number) | null = null;

/** Says at which step the next run is shown, instead of the present one. */
export function showNextAt(step: (run: Run) => number): void {
  wanted = step;
}

/** A text that has passed the module's check, as a run. */
export async function open(text: string): Promise<Run | string> {
  const answer = await ask({ do: "check", trace: text });
  const problem = answer.errors?.[0]?.problem;
  return problem ?? new Run(parseTrace(text));
}

/** Keeps `run` and `secondRun` those of their scenarios, from now on. */
export function follow(): void {
  watch(() => (file.value === null ? scenario.value : null), (played, problems, from) => {
    errors.value = problems;
    if (!played) return;
    const at = wanted?.(played) ?? step.peek();
    wanted = null;
    show(played, at, from);
  });
  watch(() => (secondFile.value === null ? secondScenario.value : null), (played, problems) => {
    secondErrors.value = problems;
    if (played || problems.length === 0) secondRun.value = played;
  });
  effect(() => {
    if (playing.value) requestAnimationFrame(frame);
  });
}

/** Plays a scenario whenever it changes; of those that come while one is played, the latest only. */
function watch(wish: () => Scenario | null, done: (run: Run | null, problems: Problem[], from: Scenario) => void): void {
  let wanted: Scenario | null = null;
  let isPlaying = false;
  let impatience: ReturnType<typeof setTimeout> | undefined;

  async function playLatest(): Promise<void> {
    isPlaying = busy.value = true;
    // What is typed in one go is played once.
    await new Promise((resolve) => setTimeout(resolve));
    for (let played: Scenario | null = null; wanted !== null && wanted !== played;) {
      const mine: Scenario = wanted;
      const problems = notWhole(mine);
      const answer: Answer = problems.length > 0 ? { errors: problems } : await ask({ do: "play", scenario: mine });
      clearTimeout(impatience);
      if (answer.stopped) continue;
      played = mine;
      if (mine !== wanted) continue;
      batch(() => {
        if (answer.trace === undefined) done(null, answer.errors ?? [], mine);
        else done(new Run(parseTrace(answer.trace)), [], mine);
      });
    }
    isPlaying = busy.value = false;
  }

  effect(() => {
    wanted = wish();
    if (!wanted) return;
    clearTimeout(impatience);
    if (isPlaying) impatience = setTimeout(stop, PATIENCE_MS);
    else void playLatest();
  });
}

let before = 0;

/** Moves the time on by what has passed. Where nothing is on its way, it does not wait. */
function frame(now: number): void {
  const shown = run.peek();
  if (!playing.peek() || !shown) {
    before = 0;
    return;
  }
  const passed = before === 0 ? 0 : Math.min(now - before, 100) / 1000;
  before = now;
  const advance = (passed * speed.peek() * shown.usualFlight) / SECONDS_PER_FLIGHT;
  const next = shown.timeOf(step.peek() + 1);
  const isLast = step.peek() + 1 >= shown.length;
  const isIdle = next - time.peek() > shown.usualFlight && shown.flightsAt(time.peek()).length === 0;
  if (isLast && shown.flightsAt(time.peek()).length === 0) {
    goTo(shown.length - 1);
    before = 0;
    return;
  }
  goToTime(isIdle ? next - shown.usualFlight / 4 : time.peek() + advance);
  requestAnimationFrame(frame);
}
