// A sentence beside the pointer.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface Place { x: number; y: number; width: number; height: number }

/** Shows its content near a point of a box of the given size, inside the box. */
export function Tip({ at, children }: { at: Place; children: ComponentChildren }) {
  return <Beside at={at} gap={14}><div class="tip" role="status">{children}</div></Beside>;
}

/** Puts its content beside a point, on the side where there is room. */
export function Beside({ at, gap, children }: { at: Place; gap: number; children: ComponentChildren }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const { offsetWidth, offsetHeight } = element;
    const right = at.x + gap;
    const left = right + offsetWidth <= at.width ? right : Math.max(0, at.x - gap - offsetWidth);
    const below = at.y + gap;
    const top = below + offsetHeight <= at.height ? below : Math.max(0, at.y - gap - offsetHeight);
    element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  });
  return <div class="beside" ref={ref}>{children}</div>;
}
