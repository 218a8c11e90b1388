// Draws what happens at the nodes, in a space-time diagram and in the list of signs.

import { penOf, type Colours } from "./canvas";
import type { Point } from "./circle";
import { outline, type Shape } from "./letters";
import type { Glyph } from "./picture";
import { glyphY, glyphsBetween, isGlyphSeen, xOf, type Stage } from "./stage";
import { cross } from "./strokes";

/** Sorts that are drawn above the others, because they are rare and matter. */
const RARE = new Set<Glyph["sort"]>(["view", "leaves", "fallback", "rotation", "crash", "restart", "change", "diverged", "contradiction", "adopted"]);

export function paintGlyphs(context: CanvasRenderingContext2D, stage: Stage): void {
  const { glyphs } = stage.picture;
  const [first, end] = glyphsBetween(glyphs, stage.seen.from, stage.seen.to);
  const seen = glyphs.slice(first, end).filter((glyph) => isGlyphSeen(stage, glyph));
  const common = seen.filter(({ sort }) => !RARE.has(sort));
  const rare = seen.filter(({ sort }) => RARE.has(sort));
  const height = Math.min(...stage.lanes.heights.filter((height) => height >= 10), 64);
  const room = stage.width / Math.max(1, (common.length + rare.length) / stage.lanes.ids.length);
  const size = Math.max(1.6, Math.min(5.5, height / 3.2, room / 4));
  for (const glyph of common) paintGlyph(context, stage, glyph, size);
  for (const glyph of rare) paintGlyph(context, stage, glyph, Math.max(size, 3.5));
  paintLabels(context, stage, rare);
}

function paintGlyph(context: CanvasRenderingContext2D, stage: Stage, glyph: Glyph, size: number): void {
  const { lanes, colours } = stage;
  const x = xOf(stage, glyph.t);
  if (glyph.sort === "view") {
    context.fillStyle = colours.k4;
    context.fillRect(x - 1.5, lanes.tops[glyph.node + 1]! + 1, 3, lanes.heights[glyph.node + 1]! - 2);
  } else paintSign(context, glyph, { x, y: glyphY(stage, glyph), size }, colours);
}

/** Signs with a letter: which shape, which colour, what is in it. */
const LETTERED: { [sort in Glyph["sort"]]?: [shape: Shape, colour: keyof Colours, letter: string] } = {
  leaves: ["pennant", "k4", "L"], fallback: ["pennant", "warn", "F"], adopted: ["pennant", "k5", "S"],
  rotation: ["circle", "warn", "↻"], contradiction: ["circle", "bad", "≠"], diverged: ["square", "bad", "≠"],
  certificate: ["hexagon", "k2", ""], stable: ["pill", "k5", ""], restart: ["triangle", "good", ""],
};

/** The sign for something that happens at a node, around a point. */
export function paintSign(
  context: CanvasRenderingContext2D, { sort, kind = "", label }: Pick<Glyph, "sort" | "label" | "kind">,
  { x, y, size }: Point & { size: number }, colours: Colours,
): void {
  const plate = (shape: Shape, colour: string, letter = "") => {
    context.beginPath();
    outline(context, shape, x, y, size);
    context.fillStyle = colour;
    context.fill();
    context.strokeStyle = colours.panel;
    context.lineWidth = 1;
    context.stroke();
    if (letter && size >= 3.5) inside(context, x, y - (shape === "pennant" ? size * 0.2 : 0), letter, colours.panel);
  };
  const lettered = LETTERED[sort];
  if (lettered) return plate(lettered[0], colours[lettered[1]], lettered[2]);
  switch (sort) {
    case "quorum":
      plate("circle", penOf(kind, colours).colour);
      if (size >= 4) tick(context, x, y, size, colours.panel);
      return;
    case "executed": return plate("square", colours.text, size >= 5 && label.length <= 2 ? label : "");
    case "change": return plate("diamond", label === "faulty" ? colours.faulty : colours.good);
    case "rejected": return cross(context, x, y, Math.max(2, size * 0.8), colours.bad);
    case "crash": return cross(context, x, y, size * 1.4, colours.text);
  }
}

function tick(context: CanvasRenderingContext2D, x: number, y: number, size: number, colour: string): void {
  context.beginPath();
  context.moveTo(x - size * 0.5, y);
  context.lineTo(x - size * 0.1, y + size * 0.4);
  context.lineTo(x + size * 0.5, y - size * 0.4);
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.stroke();
}

function inside(context: CanvasRenderingContext2D, x: number, y: number, text: string, colour: string): void {
  context.font = "700 8px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colour;
  context.fillText(text, x, y + 0.5);
}

/** What rare glyphs are called, where a text does not cover another one. */
function paintLabels(context: CanvasRenderingContext2D, stage: Stage, glyphs: Glyph[]): void {
  const { lanes, colours } = stage;
  context.font = "600 10px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const told = new Set<string>();
  const until = new Map<number, number>();
  for (const glyph of glyphs) {
    // All nodes begin a view, or give up on a slot's communication node, at about the same time: once is enough.
    const isShared = glyph.sort === "view" || glyph.sort === "leaves" || glyph.sort === "fallback";
    const key = isShared ? `${glyph.sort} ${glyph.label} ${glyph.seq ?? ""}` : `${glyph.step}`;
    const x = xOf(stage, glyph.t) + 8;
    if (told.has(key) || lanes.heights[glyph.node + 1]! < 12 || (until.get(glyph.node) ?? -Infinity) > x) continue;
    told.add(key);
    until.set(glyph.node, x + context.measureText(glyph.label).width + 6);
    const y = lanes.tops[glyph.node + 1]! + Math.min(8, lanes.heights[glyph.node + 1]! / 2);
    context.strokeStyle = colours.panel;
    context.lineWidth = 3;
    context.strokeText(glyph.label, x, y);
    context.fillStyle = colours.text;
    context.fillText(glyph.label, x, y);
  }
}
