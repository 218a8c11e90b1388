// Draws the messages of a moment on their ways between the nodes, and finds the one under
// the pointer.

import { penOf, type Colours } from "./canvas";
import { CLIENTS, along, progress, way, type Layout, type Point, type Way } from "./circle";
import { outline, signOf } from "./letters";
import { pictureOf } from "./picture";
import type { Flight, Run, Step } from "./run";

/** A message as it is drawn: where, and how far it is. */
export interface Spot { flight: Flight; at: Point; fraction: number }

/** What is drawn at a moment. */
export interface Scene {
  /** On their way. */
  spots: Spot[];
  /** The copies that the current step is about: those that have just left, or the one that has just arrived. */
  current: Set<number>;
  arrived: Flight | null;
  /** What a client has just asked or been told, at which node. */
  client: { node: number; asks: boolean } | null;
}

/** Ways between nodes in one layout, worked out when they are first needed. */
export class Ways {
  private readonly known = new Map<number, Way>();
  constructor(private readonly layout: Layout) {}

  of(from: number, to: number): Way {
    const key = (from + 1) * 70_000 + to;
    let found = this.known.get(key);
    if (!found) {
      found = way(this.layout, from, to);
      this.known.set(key, found);
    }
    return found;
  }
}

export function sceneOf(run: Run, step: number, time: number, ways: Ways): Scene {
  const spots: Spot[] = [];
  for (const flight of run.flightsAt(time)) {
    const path = ways.of(flight.from, flight.to);
    for (const fraction of progress(flight, time, run.usualFlight)) {
      spots.push({ flight, fraction, at: along(path, fraction) });
    }
  }
  const now = step >= 0 ? run.at(step) : null;
  const isNew = now !== null && now.t >= time - run.usualFlight / 3;
  const arrived = now?.is === "arrival" && now.t === time ? now.flight : null;
  const current = new Set<number>();
  if (now?.is === "departure" && isNew) for (const flight of run.flightsOf(step)) current.add(flight.index);
  if (arrived) current.add(arrived.index);
  return { spots, current, arrived, client: isNew ? clientOf(now, run) : null };
}

function clientOf(now: Step, run: Run): Scene["client"] {
  if (now.is === "request") return { node: now.line.gateway, asks: true };
  if (now.is !== "answer") return null;
  const { request } = now.line;
  const asked = pictureOf(run).waits.find((wait) => wait.request === request);
  return asked ? { node: asked.gateway, asks: false } : null;
}

/** How large messages are drawn: letters need room. */
export function sizeFor(layout: Layout, spots: number): number {
  if (layout.nodes.length > 40 || spots > 1500) return 2;
  if (layout.nodes.length > 16 || spots > 220) return Math.min(5, layout.radius * 0.42);
  return Math.min(9, Math.max(6, layout.radius * 0.4));
}

export interface Emphasis { hovered: number | null; selected: number | null }

/** Draws a scene. */
export function paint(
  context: CanvasRenderingContext2D, layout: Layout, ways: Ways, scene: Scene, colours: Colours, emphasis: Emphasis,
): void {
  const { spots, current, arrived, client } = scene;
  const size = sizeFor(layout, spots.length);
  const kinds = new Map<string, Spot[]>();
  for (const spot of spots) {
    const alike = kinds.get(spot.flight.line.kind);
    if (alike) alike.push(spot);
    else kinds.set(spot.flight.line.kind, [spot]);
  }
  context.lineCap = "round";
  if (client) paintClient(context, ways, client, colours);
  for (const [kind, alike] of kinds) paintTrails(context, alike, kind, ways, colours, spots.length);
  for (const spot of spots) {
    if (current.has(spot.flight.index) || isEmphasised(spot.flight, emphasis)) {
      paintWay(context, ways.of(spot.flight.from, spot.flight.to), penOf(spot.flight.line.kind, colours).colour, 2);
    }
  }
  if (arrived) {
    paintWay(context, ways.of(arrived.from, arrived.to), penOf(arrived.line.kind, colours).colour, 2);
    const at = ways.of(arrived.from, arrived.to).end;
    const alike = kinds.get(arrived.line.kind);
    const spot = { flight: arrived, fraction: 1, at };
    if (alike) alike.push(spot);
    else kinds.set(arrived.line.kind, [spot]);
  }
  for (const [kind, alike] of kinds) paintSpots(context, alike, kind, size, colours);
  for (const spot of spots) {
    if (isEmphasised(spot.flight, emphasis)) paintRing(context, spot.at, size + 4, colours);
  }
}

function isEmphasised(flight: Flight, { hovered, selected }: Emphasis): boolean {
  return flight.index === hovered || flight.index === selected;
}

/** The part of the way that lies behind each message. */
function paintTrails(
  context: CanvasRenderingContext2D, spots: Spot[], kind: string, ways: Ways, colours: Colours, all: number,
): void {
  const { colour, dash } = penOf(kind, colours);
  context.beginPath();
  for (const { flight, fraction, at } of spots) {
    const { start, bend } = ways.of(flight.from, flight.to);
    context.moveTo(start.x, start.y);
    // The first part of a quadratic curve is one, too.
    context.quadraticCurveTo(start.x + (bend.x - start.x) * fraction, start.y + (bend.y - start.y) * fraction, at.x, at.y);
  }
  context.strokeStyle = colour;
  context.lineWidth = all > 300 ? 0.6 : 1.4;
  context.globalAlpha = all > 1500 ? 0.12 : all > 300 ? 0.3 : 0.55;
  context.setLineDash(all > 300 ? [] : dash);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function paintWay(context: CanvasRenderingContext2D, { start, bend, end }: Way, colour: string, width: number): void {
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.quadraticCurveTo(bend.x, bend.y, end.x, end.y);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.globalAlpha = 0.35;
  context.stroke();
  context.globalAlpha = 1;
}

function paintSpots(
  context: CanvasRenderingContext2D, spots: Spot[], kind: string, size: number, colours: Colours,
): void {
  const { colour } = penOf(kind, colours);
  const { letter, shape } = signOf(kind);
  const isLettered = size >= 6;
  context.beginPath();
  for (const { at } of spots) {
    if (size <= 2) context.rect(at.x - 1.5, at.y - 1.5, 3, 3);
    else outline(context, shape, at.x, at.y, size);
  }
  context.fillStyle = colour;
  context.fill();
  if (size > 2) {
    context.strokeStyle = colours.panel;
    context.lineWidth = 1;
    context.stroke();
  }
  if (isLettered) {
    context.fillStyle = colours.panel;
    context.font = `700 ${Math.round(size * (letter.length > 1 ? 1.05 : 1.35))}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const down = shape === "triangle" ? size * 0.25 : shape === "pennant" ? -size * 0.2 : 0.5;
    for (const { at } of spots) context.fillText(letter, at.x, at.y + down);
  }
  for (const spot of spots) if (spot.flight.lost && spot.fraction >= 0.59) paintCross(context, spot.at, size + 3, colours);
}

function paintCross(context: CanvasRenderingContext2D, { x, y }: Point, size: number, colours: Colours): void {
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  for (const [colour, width] of [[colours.panel, 5], [colours.bad, 2.5]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
}

function paintRing(context: CanvasRenderingContext2D, { x, y }: Point, size: number, colours: Colours): void {
  context.beginPath();
  context.arc(x, y, size, 0, 2 * Math.PI);
  context.strokeStyle = colours.focus;
  context.lineWidth = 2.5;
  context.stroke();
}

function paintClient(
  context: CanvasRenderingContext2D, ways: Ways, { node, asks }: { node: number; asks: boolean }, colours: Colours,
): void {
  const { start, bend, end } = asks ? ways.of(CLIENTS, node) : ways.of(node, CLIENTS);
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.quadraticCurveTo(bend.x, bend.y, end.x, end.y);
  const angle = Math.atan2(end.y - bend.y, end.x - bend.x);
  for (const turn of [-0.4, 0.4]) {
    context.moveTo(end.x, end.y);
    context.lineTo(end.x - 12 * Math.cos(angle + turn), end.y - 12 * Math.sin(angle + turn));
  }
  context.strokeStyle = asks ? colours.accent : colours.good;
  context.lineWidth = 2.5;
  context.stroke();
}

/** The message nearest to a point, if it is near enough to be meant. */
export function spotAt(scene: Scene, { x, y }: Point, reach: number): Spot | null {
  let nearest: Spot | null = null;
  let least = reach;
  for (const spot of scene.spots) {
    const distance = Math.hypot(spot.at.x - x, spot.at.y - y);
    if (distance <= least) {
      least = distance;
      nearest = spot;
    }
  }
  return nearest;
}
