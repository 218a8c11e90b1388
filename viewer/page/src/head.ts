// Draws what lies above the lanes of a space-time diagram: the axis, the views, and the slots
// with their phases.

import { sayTime, tickStep, ticks } from "./axis";
import { penOf } from "./canvas";
import { xOf, type Stage } from "./stage";
import { hatch } from "./strokes";
import { timeText } from "./looks";
import type { Picture } from "./picture";

const AXIS = 18;
const VIEWS = 15;
const SLOTS = 34;
const SLOTS_LOW = 18;

/** How high the parts of a head are, from top to bottom; 0 for one that is not there. */
export interface Head { axis: number; views: number; slots: number }

/** Without room, slots get one row, and the axis can be left to a diagram above. */
export function headOf({ views }: Picture, isLow: boolean, hasAxis: boolean): Head {
  return { axis: hasAxis ? AXIS : 0, views: views.length > 0 ? VIEWS : 0, slots: isLow ? SLOTS_LOW : SLOTS };
}

export function heightOf({ axis, views, slots }: Head): number {
  return axis + views + slots;
}

export function paintHead(context: CanvasRenderingContext2D, stage: Stage, head: Head, time: number): void {
  if (head.views > 0) paintViews(context, stage, head.axis);
  paintSlots(context, stage, head);
  if (head.axis > 0) paintAxis(context, stage);
  const x = xOf(stage, time);
  context.fillStyle = stage.colours.accent;
  context.fillRect(x - 1, 0, 2, heightOf(head));
  if (head.axis > 0) paintTime(context, stage, time, x);
}

function paintTime(context: CanvasRenderingContext2D, stage: Stage, time: number, x: number): void {
  const text = sayTime(time, (stage.span.to - stage.span.from) / stage.width);
  context.font = "600 11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "left";
  const across = context.measureText(text).width + 8;
  const left = Math.max(0, Math.min(x - across / 2, stage.width - across));
  context.fillRect(left, 0, across, AXIS - 2);
  context.fillStyle = stage.colours.panel;
  context.fillText(text, left + 4, AXIS / 2 - 0.5);
}

function paintAxis(context: CanvasRenderingContext2D, stage: Stage): void {
  const { span, seen, fold, width, colours } = stage;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "left";
  const step = tickStep(span, width, width < 600 ? 62 : 90);
  const gaps = fold.gaps.map((gap) => ({ from: xOf(stage, gap.from), to: xOf(stage, gap.to), idle: gap.to - gap.from }));
  for (const { from, to, idle } of gaps) {
    if (to < 0 || from > width) continue;
    context.fillStyle = colours.sunk;
    context.fillRect(from, 0, to - from, AXIS);
    label(context, `… ${timeText(idle)} …`, from, AXIS / 2, to - from, colours.dim, null);
  }
  for (const t of ticks(seen, step, fold.gaps)) {
    const x = Math.round(xOf(stage, t)) + 0.5;
    const text = sayTime(t, step);
    context.fillStyle = colours["strong-line"];
    context.fillRect(x, 0, 1, AXIS);
    const end = x + 6 + context.measureText(text).width;
    if (gaps.some(({ from, to }) => from < end && to > x)) continue;
    context.fillStyle = colours.dim;
    context.fillText(text, x + 4, AXIS / 2);
  }
}

function paintViews(context: CanvasRenderingContext2D, stage: Stage, top: number): void {
  const { picture: { views }, seen, colours, width } = stage;
  context.font = "10.5px system-ui, sans-serif";
  for (const { view, from, to, isChanging } of views) {
    if (to < seen.from || from > seen.to) continue;
    const x = Math.max(0, xOf(stage, from));
    const across = Math.min(width, xOf(stage, to)) - x;
    context.fillStyle = isChanging ? hatch(context, colours.k4, 1.2) : view % 2 === 0 ? colours.sunk : colours.line;
    context.fillRect(x, top, across, VIEWS - 2);
    label(context, isChanging ? `changing to view ${view}` : `view ${view}`, x, top + VIEWS / 2 - 1, across, colours.text, colours.panel);
  }
}

/** Slots that overlap more than this share rows. */
const MOST_ROWS = 4;

function paintSlots(context: CanvasRenderingContext2D, stage: Stage, head: Head): void {
  const { picture: { slots, slotRows }, seen, colours, width } = stage;
  const top = head.axis + head.views;
  const rows = Math.min(slotRows, head.slots > SLOTS_LOW ? MOST_ROWS : 2);
  const row = Math.min(SLOTS_LOW - 1, head.slots / rows);
  const height = Math.max(2, row - 2);
  // The name stands above the bar, or on it where rows are low.
  const isAbove = row > 15;
  for (const slot of slots) {
    if (slot.to < seen.from || slot.from > seen.to) continue;
    const y = top + (slot.row % rows) * row;
    for (const { kind, from, to } of slot.phases) {
      const x = Math.max(0, xOf(stage, from));
      const across = Math.min(width, xOf(stage, to)) - x;
      context.fillStyle = penOf(kind, colours).colour;
      context.globalAlpha = 0.75;
      context.fillRect(x, y + (isAbove ? height - 4 : 0), Math.max(0.5, across - 0.5), isAbove ? 4 : height);
      context.globalAlpha = 1;
    }
    if (isAbove) paintSlotName(context, stage, slot, y + (height - 4) / 2, colours.text);
    else if (row > 7) paintSlotName(context, stage, slot, y + height / 2, colours.panel);
  }
  if (slotRows === 1 && head.slots > SLOTS_LOW) paintPhaseNames(context, stage, top + row);
}

function paintSlotName(
  context: CanvasRenderingContext2D, stage: Stage, slot: Picture["slots"][number], y: number, colour: string,
): void {
  const x = Math.max(0, xOf(stage, slot.from));
  const across = Math.min(stage.width, xOf(stage, slot.to)) - x;
  context.font = colour === stage.colours.panel ? "700 8.5px system-ui, sans-serif" : "10.5px system-ui, sans-serif";
  label(context, `slot ${slot.seq}`, x, y, across, colour, null);
}

function paintPhaseNames(context: CanvasRenderingContext2D, stage: Stage, top: number): void {
  const { picture: { slots }, seen, colours, width } = stage;
  context.font = "10.5px system-ui, sans-serif";
  for (const slot of slots) {
    if (slot.to < seen.from || slot.from > seen.to) continue;
    for (const { kind, from, to } of slot.phases) {
      const x = Math.max(0, xOf(stage, from));
      label(context, kind, x, top + 6, Math.min(width, xOf(stage, to)) - x, penOf(kind, colours).colour, null);
    }
  }
}

/** A text at the left end of a bar, if it fits. */
function label(
  context: CanvasRenderingContext2D, text: string, x: number, y: number, across: number, colour: string, plate: string | null,
): void {
  const needed = context.measureText(text).width;
  if (needed + 8 > across) return;
  context.textAlign = "left";
  context.textBaseline = "middle";
  if (plate) {
    context.fillStyle = plate;
    context.fillRect(x + 2, y - 6, needed + 4, 12);
  }
  context.fillStyle = colour;
  context.fillText(text, x + 4, y);
}
