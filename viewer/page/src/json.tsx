// JSON as a tree whose branches open and close. All of it is text.

import type { Json } from "./trace";

const MOST_SHOWN = 200;

/** Shows a value; branches down to `depth` are open at first. */
export function JsonTree({ value, name, depth = 1 }: { value: Json; name?: string; depth?: number }) {
  const label = name === undefined ? null : <span class="json-name">{name}: </span>;
  if (value === null || typeof value !== "object") {
    return <div class="json-leaf">{label}<span class={`json-${typeof value}`}>{leaf(value)}</span></div>;
  }
  const entries = Object.entries(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return <div class="json-leaf">{label}{open}{close}</div>;
  const shown = entries.slice(0, MOST_SHOWN);
  return (
    <details class="json" open={depth > 0}>
      <summary>{label}<span class="json-size">{open}{entries.length}{close}</span></summary>
      {shown.map(([key, inner]) => <JsonTree name={key} value={inner} depth={depth - 1} />)}
      {entries.length > MOST_SHOWN && <div class="json-leaf">and {entries.length - MOST_SHOWN} more</div>}
    </details>
  );
}

function leaf(value: null | boolean | number | string): string {
  return typeof value === "string" ? value : String(value);
}
