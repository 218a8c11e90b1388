// Draws a space-time diagram: what stands still on one canvas, and what moves with the moment
// on another one above it.

import { paintArrows, paintChosen } from "./arrows";
import { penOf } from "./canvas";
import { CLIENTS } from "./circle";
import { paintGlyphs } from "./glyphs";
import { middleOf } from "./lanes";
import { arrowsBetween, type Band } from "./picture";
import { isInSlot, isSeen, waitY, xOf, type Stage } from "./stage";
import { cross, hatch } from "./strokes";

// ---- What stands still --------------------------------------------------------------

export function paintStill(context: CanvasRenderingContext2D, stage: Stage): void {
  paintGaps(context, stage);
  paintPhases(context, stage);
  paintLanes(context, stage);
  for (const band of stage.picture.bands) paintBand(context, stage, band);
  paintNetwork(context, stage);
  paintWaits(context, stage);
  paintArrows(context, stage);
  paintGlyphs(context, stage);
}

/** Where the axis is shortened. */
function paintGaps(context: CanvasRenderingContext2D, stage: Stage): void {
  context.fillStyle = stage.colours.sunk;
  for (const gap of stage.fold.gaps) {
    const x = xOf(stage, gap.from);
    context.fillRect(x, 0, xOf(stage, gap.to) - x, stage.lanes.total);
  }
}

/** The phases of each slot, behind the lanes of the nodes. */
function paintPhases(context: CanvasRenderingContext2D, stage: Stage): void {
  const { picture, seen, lanes, colours, filters } = stage;
  const top = lanes.tops[1] ?? 0;
  context.globalAlpha = 0.1 / Math.sqrt(picture.slotRows);
  for (const slot of picture.slots) {
    if (slot.to < seen.from || slot.from > seen.to || !isInSlot(filters, slot.seq)) continue;
    for (const phase of slot.phases) {
      const x = xOf(stage, phase.from);
      context.fillStyle = penOf(phase.kind, colours).colour;
      context.fillRect(x, top, Math.max(xOf(stage, phase.to) - x, 0.5), lanes.total - top);
    }
  }
  context.globalAlpha = 1;
}

function paintLanes(context: CanvasRenderingContext2D, { lanes, width, colours }: Stage): void {
  context.beginPath();
  for (const id of lanes.ids) {
    const y = Math.round(middleOf(lanes, id)) + 0.5;
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  context.strokeStyle = colours["strong-line"];
  context.globalAlpha = 0.6;
  context.lineWidth = 1;
  context.stroke();
  context.globalAlpha = 1;
}

function paintBand(context: CanvasRenderingContext2D, stage: Stage, band: Band): void {
  const { seen, lanes, colours, width } = stage;
  if (band.to < seen.from || band.from > seen.to) return;
  const top = lanes.tops[band.node + 1]!;
  const height = lanes.heights[band.node + 1]!;
  const x = Math.max(-5, xOf(stage, band.from));
  const across = Math.min(width + 5, xOf(stage, band.to)) - x;
  const inset = height > 10 ? 2 : 0;
  switch (band.sort) {
    case "faulty":
      // A strip along the lane, so that other bands are seen beside it.
      context.fillStyle = hatch(context, colours.faulty, 1.6);
      context.fillRect(x, top + height - Math.min(5, height / 2), across, Math.min(4, height / 2));
      return;
    case "down":
      context.fillStyle = colours.sunk;
      context.fillRect(x, top + inset, across, height - 2 * inset);
      context.fillStyle = hatch(context, colours.down, 1);
      context.fillRect(x, top + inset, across, height - 2 * inset);
      return;
    case "changing":
      context.globalAlpha = 0.5;
      context.fillStyle = hatch(context, colours.k4, 1.2);
      context.fillRect(x, top + inset, across, height - 2 * inset);
      context.globalAlpha = 1;
      return;
    case "recovering":
      context.strokeStyle = colours.k5;
      context.lineWidth = 1.5;
      context.setLineDash([5, 3]);
      context.strokeRect(x, top + inset + 1, across, height - 2 * inset - 2);
      context.setLineDash([]);
  }
}

function paintNetwork(context: CanvasRenderingContext2D, stage: Stage): void {
  context.strokeStyle = stage.colours.warn;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  for (const { t } of stage.picture.network) {
    const x = xOf(stage, t);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, stage.lanes.total);
    context.stroke();
  }
  context.setLineDash([]);
}

/** How long the clients wait, and for whom. */
function paintWaits(context: CanvasRenderingContext2D, stage: Stage): void {
  const { picture, lanes, seen, colours, filters } = stage;
  if (lanes.collapsed.has(CLIENTS)) return;
  for (const wait of picture.waits) {
    if (wait.to < seen.from || wait.from > seen.to) continue;
    if (filters.node !== null && wait.gateway !== filters.node) continue;
    const [from, to, y] = [xOf(stage, wait.from), xOf(stage, wait.to), waitY(stage, wait)];
    const colour = wait.outcome === "answered" ? colours.accent : colours.bad;
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1.5, Math.min(5, lanes.heights[0]! / picture.waitRows - 1.5));
    context.globalAlpha = 0.75;
    context.beginPath();
    context.moveTo(from, y);
    context.lineTo(to, y);
    context.stroke();
    context.globalAlpha = 0.8;
    context.lineWidth = 1;
    context.setLineDash([2, 2]);
    context.beginPath();
    for (const x of wait.outcome === "answered" ? [from, to] : [from]) {
      context.moveTo(x, y);
      context.lineTo(x, middleOf(lanes, wait.gateway));
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    if (wait.outcome === "timed out") cross(context, to, y, 4, colours.bad);
  }
}

// ---- What moves ---------------------------------------------------------------------

export interface Moment {
  time: number;
  hovered: number | null;
  selected: number | null;
  node: number | null;
}

/** The line of the moment, what is on its way there, and what is looked at. */
export function paintMoving(context: CanvasRenderingContext2D, stage: Stage, moment: Moment): void {
  const { lanes, width, colours } = stage;
  const x = xOf(stage, moment.time);
  // What is still to come is paler.
  if (x < width) {
    context.fillStyle = colours.panel;
    context.globalAlpha = 0.5;
    context.fillRect(Math.max(x, 0), 0, width, lanes.total);
    context.globalAlpha = 1;
  }
  if (moment.node !== null && moment.node < stage.run.header.nodes) {
    context.fillStyle = colours.focus;
    context.globalAlpha = 0.12;
    context.fillRect(0, lanes.tops[moment.node + 1]!, width, lanes.heights[moment.node + 1]!);
    context.globalAlpha = 1;
  }
  for (const flight of [moment.selected, moment.hovered]) if (flight !== null) paintChosen(context, stage, flight);
  if (x < -1 || x > width + 1) return;
  paintOnTheWay(context, stage, moment.time);
  context.fillStyle = colours.accent;
  context.fillRect(x - 1, 0, 2, lanes.total);
}

/** A dot on each arrow that crosses the line of the moment. */
function paintOnTheWay(context: CanvasRenderingContext2D, stage: Stage, time: number): void {
  const { run, picture: { arrows }, colours, filters, lanes } = stage;
  const [first, end] = arrowsBetween(arrows, time, time);
  const x = xOf(stage, time);
  const size = end - first > 600 ? 1.5 : 3;
  run.kinds.forEach((kind, number) => {
    if (filters.hidden.has(kind)) return;
    context.beginPath();
    for (let at = first; at < end; at++) {
      if (arrows.kind[at] !== number || arrows.ends[at]! <= time || !isSeen(stage, at)) continue;
      const part = (time - arrows.departs[at]!) / (arrows.ends[at]! - arrows.departs[at]!);
      const [y1, y2] = [middleOf(lanes, arrows.from[at]!), middleOf(lanes, arrows.to[at]!)];
      const y = y1 + (y2 - y1) * part;
      context.moveTo(x + size, y);
      context.arc(x, y, size, 0, 2 * Math.PI);
    }
    context.fillStyle = penOf(kind, colours).colour;
    context.fill();
  });
}
