// First, back, play, next, last; how far and how fast; where the run is, in words.

import { Icon } from "./icons";
import { timeText } from "./looks";
import { GRANULARITIES, type Granularity } from "./run";
import { goBack, goNext, goTo, granularity, playing, run, speed, step, time } from "./store";
import { sentence } from "./sentences";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 64];
const STEP_NAMES: { [G in Granularity]: string } = {
  event: "every event", message: "message", phase: "phase", slot: "slot", view: "view",
};

/** Plays on, from the beginning if the run is at its end; or stops. */
export function togglePlay(): void {
  const now = run.peek();
  if (!now) return;
  if (!playing.peek() && step.peek() >= now.length - 1) goTo(-1);
  playing.value = !playing.peek();
}

/** One speed up or down. */
export function changeSpeed(by: 1 | -1): void {
  const at = SPEEDS.indexOf(speed.peek());
  speed.value = SPEEDS[Math.max(0, Math.min(at + by, SPEEDS.length - 1))]!;
}

export function Controls() {
  const now = run.value;
  const length = now?.length ?? 0;
  const text = !now ? "" : step.value < 0 ? "Nothing has happened yet." : `${sentence(now.at(step.value))}.`;
  return (
    <>
      <div class="bar" role="toolbar" aria-label="Move in time">
        <button title="First (Home)" aria-label="First" onClick={() => goTo(-1)}><Icon name="first" /></button>
        <button title="Back (←)" aria-label="Back" onClick={goBack}><Icon name="back" /></button>
        <button class="main" title="Play or pause (space)" aria-label={playing.value ? "Pause" : "Play"} onClick={togglePlay}>
          <Icon name={playing.value ? "pause" : "play"} />
        </button>
        <button title="Next (→)" aria-label="Next" onClick={goNext}><Icon name="next" /></button>
        <button title="Last (End)" aria-label="Last" onClick={() => goTo(length - 1)}><Icon name="last" /></button>
        <label class="pick">
          <span>by</span>
          <select value={granularity.value} onChange={(event) => (granularity.value = event.currentTarget.value as Granularity)}>
            {GRANULARITIES.map((name) => <option value={name}>{STEP_NAMES[name]}</option>)}
          </select>
        </label>
        <label class="pick">
          <span>at</span>
          <select aria-label="Speed" value={speed.value} onChange={(event) => (speed.value = Number(event.currentTarget.value))}>
            {SPEEDS.map((value) => <option value={value}>{value}×</option>)}
          </select>
        </label>
      </div>
      <div class="where">
        <input type="range" aria-label="Step" min={-1} max={Math.max(length - 1, 0)} value={step.value}
          aria-valuetext={`${timeText(time.value)}: ${text}`}
          onInput={(event) => goTo(Number(event.currentTarget.value))} />
        <output class="num">{timeText(time.value)}<small> {step.value + 1}/{length}</small></output>
      </div>
      <p class="now" title={text} aria-live={playing.value ? "off" : "polite"}>{text}</p>
    </>
  );
}
