// A letter and a shape for each kind of message: where it is drawn, colour is never alone.

export type Shape = "square" | "circle" | "diamond" | "hexagon" | "triangle" | "pennant" | "pill";
export interface Sign { letter: string; shape: Shape }

const SIGNS: { [kind: string]: Sign } = {
  "request": { letter: "R", shape: "square" },
  "block-request": { letter: "B", shape: "square" },
  "pre-prepare": { letter: "PP", shape: "square" },
  "prepare": { letter: "P", shape: "circle" },
  "commit": { letter: "C", shape: "diamond" },
  "prepared-certificate": { letter: "QP", shape: "hexagon" },
  "fast-certificate": { letter: "QF", shape: "hexagon" },
  "committed-certificate": { letter: "QC", shape: "hexagon" },
  "propose": { letter: "PP", shape: "square" },
  "validated": { letter: "V", shape: "circle" },
  "proof": { letter: "QV", shape: "hexagon" },
  "proven": { letter: "QV", shape: "pill" },
  "applied": { letter: "AP", shape: "pill" },
  "reply": { letter: "A", shape: "triangle" },
  "round-reply": { letter: "A", shape: "triangle" },
  "view-change": { letter: "VC", shape: "pennant" },
  "new-view": { letter: "NV", shape: "pennant" },
  "stuck": { letter: "ST", shape: "pennant" },
  "decided": { letter: "D", shape: "hexagon" },
  "conflict": { letter: "X", shape: "pennant" },
  "checkpoint": { letter: "CP", shape: "pill" },
  "stable-checkpoint": { letter: "SC", shape: "pill" },
};

/** The sign of a kind; for kinds without one of their own, the first letters of its words. */
export function signOf(kind: string): Sign {
  const known = SIGNS[kind];
  if (known) return known;
  const letter = kind.split("-").map((word) => word.slice(0, 1)).join("").slice(0, 2).toUpperCase();
  return { letter, shape: "pill" };
}

/** Adds the outline of a shape around a point to a path. `size` is about half of its height. */
export function outline(path: CanvasPath, shape: Shape, x: number, y: number, size: number): void {
  switch (shape) {
    case "circle":
      path.moveTo(x + size, y);
      path.arc(x, y, size, 0, 2 * Math.PI);
      return;
    case "square":
      path.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
      return;
    case "pill":
      path.rect(x - size * 1.15, y - size * 0.7, size * 2.3, size * 1.4);
      return;
    default:
      polygon(path, CORNERS[shape], x, y, size);
  }
}

/** Corners for a size of 1. */
const CORNERS: { [shape in "diamond" | "hexagon" | "triangle" | "pennant"]: [number, number][] } = {
  diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
  hexagon: [[-0.6, -1], [0.6, -1], [1.2, 0], [0.6, 1], [-0.6, 1], [-1.2, 0]],
  triangle: [[0, -1.25], [1.25, 0.9], [-1.25, 0.9]],
  pennant: [[-1.25, -0.9], [1.25, -0.9], [0, 1.25]],
};

function polygon(path: CanvasPath, corners: [number, number][], x: number, y: number, size: number): void {
  corners.forEach(([dx, dy], at) => {
    if (at === 0) path.moveTo(x + dx * size, y + dy * size);
    else path.lineTo(x + dx * size, y + dy * size);
  });
  path.closePath();
}
