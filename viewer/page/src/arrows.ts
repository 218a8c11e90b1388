// Draws the messages of a space-time diagram.

import { penOf } from "./canvas";
import { middleOf } from "./lanes";
import { outline, signOf } from "./letters";
import { arrowsBetween, firstWhere } from "./picture";
import { cross } from "./strokes";
import { isSeen, xOf, type Stage } from "./stage";

/** More arrows than this are drawn without heads. */
const CROWD = 1800;
/** Arrows in one path: a path of many thousands takes longer than they do one by one. */
const BATCH = 400;

export function paintArrows(context: CanvasRenderingContext2D, stage: Stage): void {
  const { run, picture: { arrows }, seen, colours, filters } = stage;
  const [first, end] = arrowsBetween(arrows, seen.from, seen.to);
  const isCrowded = end - first > CROWD;
  // A letter needs an arrow that is long enough, and not too many others across it.
  const hasRoom = (run.usualFlight / (stage.span.to - stage.span.from)) * stage.width > 40 && (end - first) / Math.max(1, stage.width) < 0.14;
  run.kinds.forEach((kind, number) => {
    if (filters.hidden.has(kind)) return;
    const pen = penOf(kind, colours);
    context.strokeStyle = pen.colour;
    context.fillStyle = pen.colour;
    context.lineWidth = isCrowded ? 0.7 : 1.1;
    context.globalAlpha = end - first > 12_000 ? 0.3 : isCrowded ? 0.45 : 0.9;
    context.setLineDash(isCrowded ? [] : pen.dash);
    const heads: number[] = [];
    let waiting = 0;
    context.beginPath();
    for (let at = first; at < end; at++) {
      if (arrows.kind[at] !== number || arrows.lost[at] || arrows.ends[at]! < seen.from || !isSeen(stage, at)) continue;
      traceArrow(context, stage, at);
      if (!isCrowded) heads.push(at);
      waiting += 1;
      if (waiting % BATCH === 0) {
        context.stroke();
        context.beginPath();
      }
    }
    context.stroke();
    context.setLineDash([]);
    if (heads.length > 0) paintHeads(context, stage, heads);
    if (hasRoom && heads.length > 0) paintLetters(context, stage, heads, kind);
    context.globalAlpha = 1;
    paintLost(context, stage, number, first, end);
  });
}

function traceArrow(context: CanvasRenderingContext2D, stage: Stage, at: number, part = 1): void {
  const { picture: { arrows }, lanes } = stage;
  const x1 = xOf(stage, arrows.departs[at]!);
  const x2 = xOf(stage, arrows.ends[at]!);
  const y1 = middleOf(lanes, arrows.from[at]!);
  if (arrows.from[at] === arrows.to[at]) {
    context.moveTo(x1, y1);
    context.quadraticCurveTo((x1 + x2) / 2, y1 - 9, x1 + (x2 - x1) * part, y1);
    return;
  }
  const y2 = middleOf(lanes, arrows.to[at]!);
  context.moveTo(x1, y1);
  context.lineTo(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part);
}

function paintHeads(context: CanvasRenderingContext2D, stage: Stage, heads: number[]): void {
  const { picture: { arrows }, lanes } = stage;
  const size = heads.length > 500 ? 4 : 6;
  context.beginPath();
  for (const at of heads) {
    const x2 = xOf(stage, arrows.ends[at]!);
    const y2 = middleOf(lanes, arrows.to[at]!);
    const angle = Math.atan2(y2 - middleOf(lanes, arrows.from[at]!), x2 - xOf(stage, arrows.departs[at]!));
    context.moveTo(x2, y2);
    context.lineTo(x2 - size * Math.cos(angle - 0.38), y2 - size * Math.sin(angle - 0.38));
    context.lineTo(x2 - size * Math.cos(angle + 0.38), y2 - size * Math.sin(angle + 0.38));
    context.closePath();
  }
  context.fill();
}

/** The sign of the kind, on the first third of each arrow. */
function paintLetters(context: CanvasRenderingContext2D, stage: Stage, heads: number[], kind: string): void {
  const { picture: { arrows }, lanes, colours } = stage;
  const { letter, shape } = signOf(kind);
  context.font = "700 8px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const at of heads) {
    const x1 = xOf(stage, arrows.departs[at]!), x2 = xOf(stage, arrows.ends[at]!);
    const y1 = middleOf(lanes, arrows.from[at]!), y2 = middleOf(lanes, arrows.to[at]!);
    if (Math.hypot(x2 - x1, y2 - y1) < 44) continue;
    const x = x1 + (x2 - x1) * 0.36, y = y1 + (y2 - y1) * 0.36;
    context.beginPath();
    outline(context, shape, x, y, 6.5);
    context.fillStyle = penOf(kind, colours).colour;
    context.fill();
    context.fillStyle = colours.panel;
    context.fillText(letter, x, y + (shape === "triangle" ? 1.6 : shape === "pennant" ? -1.2 : 0.4));
  }
}

/** Lost ones go a part of the way and end with a cross. */
function paintLost(context: CanvasRenderingContext2D, stage: Stage, kind: number, first: number, end: number): void {
  const { picture: { arrows }, seen, lanes, colours } = stage;
  for (let at = first; at < end; at++) {
    if (arrows.kind[at] !== kind || !arrows.lost[at] || arrows.ends[at]! < seen.from || !isSeen(stage, at)) continue;
    context.beginPath();
    context.setLineDash([3, 2]);
    context.lineWidth = 1;
    traceArrow(context, stage, at, 0.6);
    context.stroke();
    context.setLineDash([]);
    const x = xOf(stage, arrows.departs[at]! * 0.4 + arrows.ends[at]! * 0.6);
    const [y1, y2] = [middleOf(lanes, arrows.from[at]!), middleOf(lanes, arrows.to[at]!)];
    cross(context, x, y1 * 0.4 + y2 * 0.6, end - first > CROWD ? 2 : 3.5, colours.bad);
  }
}

/** The arrows of one flight, above all others. */
export function paintChosen(context: CanvasRenderingContext2D, stage: Stage, flight: number): void {
  const { arrows } = stage.picture;
  const first = firstWhere(arrows.count, (at) => arrows.flight[at]! >= flight);
  for (let at = first; at < arrows.count && arrows.flight[at] === flight; at++) {
    context.beginPath();
    traceArrow(context, stage, at, arrows.lost[at] ? 0.6 : 1);
    context.strokeStyle = stage.colours.focus;
    context.lineWidth = 3;
    context.stroke();
    context.fillStyle = stage.colours.focus;
    if (!arrows.lost[at]) paintHeads(context, stage, [at]);
  }
}
