// A window on the time of a run: zooming, panning, and the marks on its axis. All times are
// nanoseconds.

export interface Span { from: number; to: number }

/** The narrowest window: below it nothing can be told apart. */
const NARROWEST = 1000;

/** All of an axis that ends at `end`, with a little room at both sides; `flight` is the time
 * of a message. */
export function whole(end: number, flight: number): Span {
  const length = Math.max(end, NARROWEST);
  return { from: -Math.min(length * 0.02, flight / 2), to: length * 1.02 };
}

/** The window with this many times its length, in which `around` stays where it is. */
export function zoomed(span: Span, around: number, factor: number, limits: Span): Span {
  const length = span.to - span.from;
  const next = Math.min(Math.max(length * factor, NARROWEST), limits.to - limits.from);
  const part = (around - span.from) / length;
  return within({ from: around - part * next, to: around + (1 - part) * next }, limits);
}

export function panned(span: Span, by: number, limits: Span): Span {
  return within({ from: span.from + by, to: span.to + by }, limits);
}

/** The window, moved so that it shows a time: not at all if it does so already. */
export function showing(span: Span, time: number, limits: Span): Span {
  const length = span.to - span.from;
  if (time >= span.from + length * 0.02 && time <= span.to - length * 0.1) return span;
  return within({ from: time - length * 0.2, to: time + length * 0.8 }, limits);
}

/** The window, moved and cut so that it lies in the limits. */
function within(span: Span, limits: Span): Span {
  const length = Math.min(span.to - span.from, limits.to - limits.from);
  const from = Math.max(limits.from, Math.min(span.from, limits.to - length));
  return { from, to: from + length };
}

/** A round distance between ticks, so that they are not closer to each other than `apart` pixels. */
export function tickStep(span: Span, width: number, apart = 90): number {
  const least = ((span.to - span.from) * apart) / Math.max(width, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999) ?? 10 * power;
}

/** The multiples of a step in a window, but for those inside gaps. */
export function ticks(span: Span, step: number, gaps: readonly Span[] = []): number[] {
  const times: number[] = [];
  let t = Math.ceil(Math.max(span.from, 0) / step) * step;
  while (t <= span.to) {
    const gap = gaps.find(({ from, to }) => t > from && t < to);
    if (!gap) times.push(t);
    t = gap ? Math.ceil(gap.to / step) * step : t + step;
  }
  return times;
}

const UNITS: [number, string][] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

/** A time in the unit that fits it, so exact that steps of `step` can be told apart. */
export function sayTime(time: number, step = time / 100): string {
  const [size, unit] = UNITS.find(([size]) => Math.abs(time) >= size) ?? UNITS[3]!;
  if (time <= 0) return "0";
  const places = Math.max(0, Math.min(6, Math.ceil(-Math.log10(Math.max(step, 1) / size) - 1e-9)));
  return `${(time / size).toFixed(places)} ${unit}`;
}
