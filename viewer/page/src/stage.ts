// What a space-time diagram draws, where that lies, and what the filters let be seen of it.

import type { Span } from "./axis";
import type { Colours } from "./canvas";
import type { Fold } from "./fold";
import { middleOf, type Lanes } from "./lanes";
import { firstWhere, type Glyph, type Picture, type Wait } from "./picture";
import type { Run } from "./run";
import type { Filters } from "./store";

/** What is drawn, and where. */
export interface Stage {
  run: Run;
  picture: Picture;
  /** The part of the axis that is seen, */
  span: Span;
  /** how times lie on the axis, */
  fold: Fold;
  /** and the times that are seen. */
  seen: Span;
  lanes: Lanes;
  width: number;
  colours: Colours;
  filters: Filters;
}

export function xOf({ span, fold, width }: Stage, t: number): number {
  return ((fold.place(t) - span.from) / (span.to - span.from)) * width;
}

/** The place on the axis at a number of pixels. */
export function placeAt({ span, width }: Stage, x: number): number {
  return span.from + (x / Math.max(width, 1)) * (span.to - span.from);
}

export function timeAt(stage: Stage, x: number): number {
  return stage.fold.time(placeAt(stage, x));
}

export function waitY({ lanes, picture }: Stage, wait: Wait): number {
  const height = lanes.heights[0]!;
  return lanes.tops[0]! + ((wait.row + 0.5) / picture.waitRows) * height;
}

/** Where there is room, what follows from each other at one moment lies below each other. */
export function glyphY({ lanes }: Stage, { node, sort }: Glyph): number {
  const height = lanes.heights[node + 1]!;
  const aside = height < 24 ? 0 : Math.min(height * 0.24, 11);
  return middleOf(lanes, node) + (sort === "executed" ? aside : sort === "certificate" || sort === "stable" ? -aside : 0);
}

export function isInSlot({ seq }: Filters, of: number | undefined): boolean {
  return seq === null || of === undefined || of === seq;
}

/** Whether the filters let an arrow be seen. */
export function isSeen({ picture: { arrows }, filters: { node, seq } }: Stage, at: number): boolean {
  return (node === null || arrows.from[at] === node || arrows.to[at] === node)
    && (seq === null || arrows.seq[at] === seq);
}

/** The glyphs that may be seen, as a range of places. */
export function glyphsBetween(glyphs: Glyph[], from: number, to: number): [number, number] {
  return [firstWhere(glyphs.length, (at) => glyphs[at]!.t >= from), firstWhere(glyphs.length, (at) => glyphs[at]!.t > to)];
}

export function isGlyphSeen({ lanes, filters }: Stage, glyph: Glyph): boolean {
  return !lanes.collapsed.has(glyph.node) && (filters.node === null || glyph.node === filters.node)
    && isInSlot(filters, glyph.seq);
}
