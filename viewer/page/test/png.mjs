// A picture with at most 256 colours: a third of the size of what a browser writes, and no eye sees it on such a page.

import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

/** The same picture with the 256 most common colours; `png` has 8 bits in each of 3 or 4 channels. */
export function withFewColours(png) {
  const { width, height, pixels } = read(png);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour);
  const nearest = new Map(palette.map((colour, place) => [colour, place]));
  const rows = Buffer.alloc((width + 1) * height);
  pixels.forEach((pixel, at) => {
    if (!nearest.has(pixel)) nearest.set(pixel, nearestOf(palette, pixel));
    // Each row begins with its filter: none.
    rows[at + Math.floor(at / width) + 1] = nearest.get(pixel);
  });
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3], 8);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return Buffer.concat([
    SIGNATURE, chunk("IHDR", head), chunk("PLTE", colours), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0)),
  ]);
}

function nearestOf(palette, colour) {
  const distance = (other) => [16, 8, 0].reduce((sum, shift) => sum + (((colour >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  let best = 0;
  for (let place = 1; place < palette.length; place++) if (distance(palette[place]) < distance(palette[best])) best = place;
  return best;
}

function chunk(name, content) {
  const named = Buffer.concat([Buffer.from(name), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

/** Width, height and the colour of each pixel as a number. */
function read(png) {
  const parts = new Map();
  const data = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const content = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    const name = png.toString("latin1", at + 4, at + 8);
    if (name === "IDAT") data.push(content);
    else parts.set(name, content);
  }
  const head = parts.get("IHDR");
  const [width, height, channels] = [head.readUInt32BE(0), head.readUInt32BE(4), head[9] === 6 ? 4 : 3];
  const bytes = inflateSync(Buffer.concat(data));
  const pixels = new Uint32Array(width * height);
  let above = Buffer.alloc(width * channels);
  for (let y = 0; y < height; y++) {
    const start = y * (width * channels + 1);
    const row = unfiltered(bytes[start], bytes.subarray(start + 1, start + 1 + width * channels), above, channels);
    for (let x = 0; x < width; x++) pixels[y * width + x] = row.readUIntBE(x * channels, 3);
    above = row;
  }
  return { width, height, pixels };
}

/** A row as it was before its filter, which tells bytes from those at the left and above. */
function unfiltered(filter, row, above, channels) {
  const result = Buffer.alloc(row.length);
  for (let at = 0; at < row.length; at++) {
    const left = at >= channels ? result[at - channels] : 0;
    const corner = at >= channels ? above[at - channels] : 0;
    const guess = [0, left, above[at], (left + above[at]) >> 1, paeth(left, above[at], corner)][filter];
    result[at] = row[at] + guess;
  }
  return result;
}

function paeth(left, above, corner) {
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(left + above - corner - value));
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
