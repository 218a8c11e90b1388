// Finds what a space-time diagram shows at a point.

import { CLIENTS } from "./circle";
import { glyphY, glyphsBetween, isGlyphSeen, isSeen, timeAt, waitY, xOf, type Stage } from "./stage";
import { laneAt, middleOf } from "./lanes";
import { arrowsBetween, type Band, type Glyph, type Wait } from "./picture";

export type Hit =
  | { is: "flight"; flight: number }
  | { is: "glyph"; glyph: Glyph }
  | { is: "wait"; wait: Wait }
  | { is: "band"; band: Band }
  | { is: "network"; tells: string };

/** What is drawn at a point: first what happens, then what travels, then what lasts. */
export function hitAt(stage: Stage, x: number, y: number, reach: number): Hit | null {
  const lane = laneAt(stage.lanes, y);
  const glyph = glyphAt(stage, x, y, reach + 3);
  if (glyph) return { is: "glyph", glyph };
  const flight = arrowAt(stage, x, y, reach);
  if (flight !== null) return { is: "flight", flight };
  const change = stage.picture.network.find((change) => Math.abs(xOf(stage, change.t) - x) <= reach);
  if (change) return { is: "network", tells: change.tells };
  const t = timeAt(stage, x);
  if (lane === CLIENTS) {
    const rows = stage.lanes.heights[0]! / stage.picture.waitRows;
    const wait = stage.picture.waits.find((wait) =>
      wait.from <= t && wait.to >= t && Math.abs(waitY(stage, wait) - y) <= Math.max(rows / 2, 3));
    return wait ? { is: "wait", wait } : null;
  }
  const band = stage.picture.bands.find((band) => band.node === lane && band.from <= t && band.to >= t);
  return band ? { is: "band", band } : null;
}

function glyphAt(stage: Stage, x: number, y: number, reach: number): Glyph | null {
  const { glyphs } = stage.picture;
  const [first, end] = glyphsBetween(glyphs, timeAt(stage, x - reach), timeAt(stage, x + reach));
  let nearest: Glyph | null = null;
  let least = reach;
  for (let at = first; at < end; at++) {
    const glyph = glyphs[at]!;
    if (!isGlyphSeen(stage, glyph)) continue;
    const distance = Math.hypot(xOf(stage, glyph.t) - x, glyphY(stage, glyph) - y);
    if (distance < least) [least, nearest] = [distance, glyph];
  }
  return nearest;
}

/** The flight whose arrow is nearest to a point, if it is near enough to be meant. */
function arrowAt(stage: Stage, x: number, y: number, reach: number): number | null {
  const { run, picture: { arrows }, lanes, filters } = stage;
  const [first, end] = arrowsBetween(arrows, timeAt(stage, x - reach), timeAt(stage, x + reach));
  let nearest: number | null = null;
  let least = reach;
  for (let at = first; at < end; at++) {
    if (filters.hidden.has(run.kinds[arrows.kind[at]!]!) || !isSeen(stage, at)) continue;
    const distance = distanceTo(
      xOf(stage, arrows.departs[at]!), middleOf(lanes, arrows.from[at]!),
      xOf(stage, arrows.ends[at]!), middleOf(lanes, arrows.to[at]!), x, y,
    );
    if (distance < least) [least, nearest] = [distance, arrows.flight[at]!];
  }
  return nearest;
}

/** How far a point is from the line between two others. */
export function distanceTo(x1: number, y1: number, x2: number, y2: number, x: number, y: number): number {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const square = dx * dx + dy * dy;
  const part = square === 0 ? 0 : Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / square));
  return Math.hypot(x1 + part * dx - x, y1 + part * dy - y);
}
