// Which lane of a space-time diagram lies where.

import { CLIENTS } from "./circle";

export interface Lanes {
  /** The clients, then all nodes. */
  ids: number[];
  /** The upper edge of each, in pixels. */
  tops: number[];
  heights: number[];
  total: number;
  collapsed: ReadonlySet<number>;
}

const LOWEST = 14;
const HIGHEST = 64;
const COLLAPSED = 6;

/** Lanes that share a height. Where they do not fit, they are as low as can be read. */
export function layLanes(nodes: number, available: number, collapsed: ReadonlySet<number>): Lanes {
  const ids = [CLIENTS, ...Array.from({ length: nodes }, (_, node) => node)];
  const closed = ids.filter((id) => collapsed.has(id)).length;
  const open = ids.length - closed;
  const share = open > 0 ? (available - closed * COLLAPSED) / open : 0;
  const height = Math.floor(Math.max(LOWEST, Math.min(HIGHEST, share)));
  const heights = ids.map((id) => (collapsed.has(id) ? COLLAPSED : height));
  const tops: number[] = [];
  let total = 0;
  for (const height of heights) {
    tops.push(total);
    total += height;
  }
  return { ids, tops, heights, total, collapsed };
}

/** The middle of a lane. */
export function middleOf(lanes: Lanes, id: number): number {
  const at = id + 1;
  return lanes.tops[at]! + lanes.heights[at]! / 2;
}

/** The lane at a height; null below all. */
export function laneAt(lanes: Lanes, y: number): number | null {
  const at = lanes.tops.findIndex((top, at) => y >= top && y < top + lanes.heights[at]!);
  return at < 0 ? null : lanes.ids[at]!;
}
