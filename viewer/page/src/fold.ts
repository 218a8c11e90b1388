// An axis on which long times without any event are short. Elsewhere a nanosecond is as long
// as any other, so that delays can be compared by eye.

import type { Span } from "./axis";
import type { Picture } from "./picture";

/** A time in which nothing happens, and the place on the axis that stands for it. */
export interface Gap { from: number; to: number; at: number; length: number }

export interface Fold {
  gaps: Gap[];
  /** The place on the axis of a time. */
  place: (time: number) => number;
  /** The time at a place on the axis. */
  time: (place: number) => number;
}

/** An axis without gaps. */
export const STRAIGHT: Fold = { gaps: [], place: (time) => time, time: (place) => place };

/** Shorter than this many flights is no idle time, */
const WORTH = 8;
/** and on the axis it is so many flights long. */
const SHORT = 3;

/** The axis of pictures that lie above each other: idle is what is idle in all of them, up to
 * the end of the last run. `flight` is the time of a message. */
export function foldOf(pictures: Picture[], end: number, flight: number): Fold {
  const gaps: Gap[] = [];
  let saved = 0;
  for (const { from, to } of idleTimes(pictures, end, flight * WORTH)) {
    // Some room at both sides belongs to what happens there.
    const [begins, ends] = [from + flight, to - flight];
    const length = flight * SHORT;
    gaps.push({ from: begins, to: ends, at: begins - saved, length });
    saved += ends - begins - length;
  }
  return gaps.length > 0 ? folded(gaps) : STRAIGHT;
}

function folded(gaps: Gap[]): Fold {
  const place = (time: number) => {
    const gap = lastBefore(gaps, ({ from }) => from <= time);
    if (!gap) return time;
    if (time < gap.to) return gap.at + ((time - gap.from) / (gap.to - gap.from)) * gap.length;
    return gap.at + gap.length + time - gap.to;
  };
  const time = (place: number) => {
    const gap = lastBefore(gaps, ({ at }) => at <= place);
    if (!gap) return place;
    const into = place - gap.at;
    return into < gap.length ? gap.from + (into / gap.length) * (gap.to - gap.from) : gap.to + into - gap.length;
  };
  return { gaps, place, time };
}

/** The last one of a list, in ascending order, for which a condition still holds. */
function lastBefore<T>(list: T[], holds: (item: T) => boolean): T | null {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle]!)) low = middle + 1;
    else high = middle;
  }
  return list[low - 1] ?? null;
}

/** Times of at least this length in which nothing is on its way and nothing happens. */
function idleTimes(pictures: Picture[], end: number, least: number): Span[] {
  const busy: Span[] = [];
  for (const { arrows, glyphs, waits, network } of pictures) {
    for (let at = 0; at < arrows.count; at++) busy.push({ from: arrows.departs[at]!, to: arrows.ends[at]! });
    for (const { t } of [...glyphs, ...network]) busy.push({ from: t, to: t });
    for (const { from, to } of waits) busy.push({ from, to: from }, { from: to, to });
  }
  busy.push({ from: end, to: end });
  busy.sort((a, b) => a.from - b.from);
  const idle: Span[] = [];
  let until = 0;
  for (const { from, to } of busy) {
    if (from - until >= least) idle.push({ from: until, to: from });
    until = Math.max(until, to);
  }
  return idle;
}
