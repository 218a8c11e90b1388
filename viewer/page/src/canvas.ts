// What drawings on a canvas need: the colours of the page, and a surface as sharp as the screen.

import { effect, signal } from "@preact/signals";
import { lookOf } from "./looks";
import { theme } from "./store";

const NAMES = [
  "ground", "panel", "sunk", "line", "strong-line", "text", "dim", "accent", "focus", "honest", "faulty", "down",
  "good", "warn", "bad", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
] as const;
export type Colours = { [name in (typeof NAMES)[number]]: string };

/** The colours of the page's style at present; changes with the theme. */
export const colours = signal<Colours>(readColours());

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (colours.value = readColours()));
effect(() => {
  theme.value;
  // The style has changed only after the effect that sets the theme.
  queueMicrotask(() => (colours.value = readColours()));
});

function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(NAMES.map((name) => [name, read(name)])) as Colours;
}

/** How a line of a kind of message is drawn. */
export interface Pen { colour: string; dash: number[] }

export function penOf(kind: string, colours: Colours): Pen {
  const { colour, dash } = lookOf(kind);
  const name = /--([\w-]+)/.exec(colour)?.[1] as keyof Colours | undefined;
  return { colour: (name && colours[name]) ?? colours.text, dash: dash ? dash.split(" ").map(Number) : [] };
}

/** The canvas as large as `width` by `height` CSS pixels, in pixels of the screen, and empty. */
export function clear(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  const across = Math.round(width * ratio);
  const down = Math.round(height * ratio);
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
