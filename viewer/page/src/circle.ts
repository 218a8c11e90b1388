// Where the message graph draws its nodes, and which way messages go between them.

export interface Point { x: number; y: number }

/** The clients, in places of their own among the nodes. */
export const CLIENTS = -1;

/** Where everything is, in pixels. */
export interface Layout {
  width: number;
  height: number;
  /** Of a node. */
  radius: number;
  centre: Point;
  nodes: Point[];
  clients: Point;
  /** Where numbers stand beside the nodes, there is room for each so many-th. */
  numberedEvery: number;
}

/** Room around the circle for what is written beside the nodes; less where nodes are small. */
const roomFor = (count: number) => (count <= 16 ? 50 : count <= 40 ? 42 : 36);
const LARGEST = 25;
const SMALLEST = 3;

/** Nodes on a circle, clockwise from the top, and the clients in the corner left of it.
 * `moved` holds the places of what was dragged, as fractions of width and height. */
export function arrange(
  count: number, width: number, height: number, moved: ReadonlyMap<number, Point> = new Map(),
): Layout {
  const centre = { x: width / 2, y: height / 2 };
  const room = roomFor(count);
  const across = Math.max(width / 2 - room, 20);
  const down = Math.max(height / 2 - room, 20);
  // A little flatter or taller than a circle where the box is.
  const rx = Math.min(across, down * 1.35);
  const ry = Math.min(down, across * 1.35);
  const spacing = (Math.PI * (rx + ry)) / Math.max(count, 3);
  const radius = Math.min(LARGEST, Math.max(SMALLEST, spacing * 0.34), Math.min(rx, ry) * 0.3);
  const place = (key: number, usual: Point): Point => {
    const at = moved.get(key);
    return at ? inside({ x: at.x * width, y: at.y * height }, width, height, radius) : usual;
  };
  const nodes = around(count, rx, ry).map(({ x, y }, node) => place(node, { x: centre.x + x, y: centre.y + y }));
  const clients = place(CLIENTS, { x: Math.max(36, centre.x - rx), y: 22 });
  return { width, height, radius, centre, nodes, clients, numberedEvery: Math.ceil(16 / spacing) };
}

/** Points on an ellipse, as far from each other along it, clockwise from the top. */
function around(count: number, rx: number, ry: number): Point[] {
  if (count === 1) return [{ x: 0, y: 0 }];
  const parts = 720;
  const at = (part: number) => {
    const angle = (2 * Math.PI * part) / parts - Math.PI / 2;
    return { x: rx * Math.cos(angle), y: ry * Math.sin(angle) };
  };
  const lengths = [0];
  for (let part = 1; part <= parts; part++) {
    const [from, to] = [at(part - 1), at(part)];
    lengths.push(lengths[part - 1]! + Math.hypot(to.x - from.x, to.y - from.y));
  }
  let part = 0;
  return Array.from({ length: count }, (_, node) => {
    const wanted = (lengths[parts]! * node) / count;
    while (lengths[part + 1]! < wanted) part += 1;
    return at(part + (wanted - lengths[part]!) / (lengths[part + 1]! - lengths[part]!));
  });
}

function inside({ x, y }: Point, width: number, height: number, margin: number): Point {
  return { x: clamp(x, margin, width - margin), y: clamp(y, margin, height - margin) };
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}

/** The way of a message: a quadratic curve from border to border. */
export interface Way { start: Point; bend: Point; end: Point }

/** From one node to another. Bent to the right of the direction of travel, so that the ways
 * there and back lie beside each other. */
export function way(layout: Layout, from: number, to: number): Way {
  const a = placeOf(layout, from);
  const b = placeOf(layout, to);
  if (from === to) return loop(layout, a);
  const distance = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const aside = Math.min(distance * 0.11, 34) / distance;
  const bend = { x: (a.x + b.x) / 2 - (b.y - a.y) * aside, y: (a.y + b.y) / 2 + (b.x - a.x) * aside };
  const gap = gapOf(layout.radius);
  return { start: towards(a, bend, gap), bend, end: towards(b, bend, gap) };
}

/** Between the middle of a node and the ends of ways: messages there do not cover the node. */
function gapOf(radius: number): number {
  return radius + Math.min(13, radius * 0.55);
}

/** What a node sends to itself goes out of the circle and back. */
function loop(layout: Layout, at: Point): Way {
  const { radius, centre } = layout;
  const outward = Math.atan2(at.y - centre.y, at.x - centre.x);
  const on = (angle: number, distance: number) =>
    ({ x: at.x + distance * Math.cos(angle), y: at.y + distance * Math.sin(angle) });
  const gap = gapOf(radius);
  return { start: on(outward - 0.7, gap), bend: on(outward, gap * 2.6), end: on(outward + 0.7, gap) };
}

export function placeOf(layout: Layout, node: number): Point {
  return node === CLIENTS ? layout.clients : layout.nodes[node]!;
}

function towards(from: Point, to: Point, by: number): Point {
  const distance = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = Math.min(by / distance, 1);
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

/** The point at a fraction of a way. */
export function along({ start, bend, end }: Way, fraction: number): Point {
  const f = clamp(fraction, 0, 1);
  const g = 1 - f;
  return {
    x: g * g * start.x + 2 * g * f * bend.x + f * f * end.x,
    y: g * g * start.y + 2 * g * f * bend.y + f * f * end.y,
  };
}

/** How far a copy is on its way, from 0 to 1, for each arrival that is still to come. One that
 * is lost goes over six tenths of the way in the usual time of a flight, `usual`. */
export function progress(
  flight: { departs: number; arrives: readonly number[]; lost: boolean }, time: number, usual: number,
): number[] {
  const since = time - flight.departs;
  if (since < 0) return [];
  if (flight.lost) return [0.6 * Math.min(1, since / usual)];
  return flight.arrives
    .filter((arrives) => arrives >= time)
    .map((arrives) => (arrives > flight.departs ? since / (arrives - flight.departs) : 1));
}
