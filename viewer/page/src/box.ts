// The size of an element, as it changes.

import { useSignal, type Signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";

export interface Size { width: number; height: number }

/** A reference for an element, and the size of its content in whole pixels. */
export function useBox<E extends HTMLElement>(): [RefObject<E>, Signal<Size>] {
  const ref = useRef<E>(null);
  const size = useSignal<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      if (Math.floor(width) !== size.peek().width || Math.floor(height) !== size.peek().height) {
        size.value = { width: Math.floor(width), height: Math.floor(height) };
      }
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}
