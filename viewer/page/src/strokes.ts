// Small strokes that several drawings share.

/** A cross, such as where a message is lost. */
export function cross(context: CanvasRenderingContext2D, x: number, y: number, size: number, colour: string): void {
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.strokeStyle = colour;
  context.lineWidth = 1.8;
  context.stroke();
}

const hatches = new Map<string, CanvasPattern>();

/** Slanted stripes of a colour. */
export function hatch(context: CanvasRenderingContext2D, colour: string, thick: number): CanvasPattern | string {
  const key = `${colour} ${thick}`;
  const known = hatches.get(key);
  if (known) return known;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d")!;
  pen.strokeStyle = colour;
  pen.lineWidth = thick;
  pen.beginPath();
  for (const at of [-6, 0, 6]) {
    pen.moveTo(at, 6);
    pen.lineTo(at + 6, 0);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat");
  if (pattern) hatches.set(key, pattern);
  return pattern ?? colour;
}
