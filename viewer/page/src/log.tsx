// The log: every step in a line. Only the lines that are seen are in the page.

import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { JsonTree } from "./json";
import { timeText, valueName } from "./looks";
import { lastAtMost, type Run, type Step } from "./run";
import { NO_FILTERS, filters, goTo, run, step, type Filters } from "./store";
import type { Json } from "./trace";
import { brief, colourOf, kindOf, sentence, slotOf, viewOf } from "./sentences";

const ROW = 24;
/** Lines that are not messages, as groups that can be hidden. */
const GROUPS = ["vote", "mark", "app", "state", "rejected", "request"];

/** The steps that the filters leave. */
const shown = computed(() => {
  const now = run.value;
  return now ? pass(now, filters.value) : new Int32Array();
});
const top = signal(0);
const height = signal(400);

/** The group of a step that can be hidden: the kind of its message, or what its line is. */
export function groupOf(step: Step): string {
  if (step.is === "departure" || step.is === "arrival") return step.line.kind;
  return GROUPS.includes(step.is) ? step.is : "request";
}

function pass(now: Run, { hidden, node, seq, text }: Filters): Int32Array {
  const wanted = text.toLowerCase();
  const found: number[] = [];
  for (let i = 0; i < now.length; i++) {
    const at = now.at(i);
    if (hidden.has(groupOf(at))) continue;
    if (node !== null && !concerns(at, node)) continue;
    if (seq !== null && slotOf(at) !== seq) continue;
    if (wanted !== "" && !textOf(now, at).includes(wanted)) continue;
    found.push(i);
  }
  return Int32Array.from(found);
}

/** Whether a step is of a node: it is there, or it sends or receives there. */
function concerns(at: Step, node: number): boolean {
  if (at.is === "departure") return at.node === node || at.line.to.some(([to]) => to === node);
  if (at.is === "arrival") return at.node === node || at.flight.from === node;
  return at.node === null || at.node === node || ("from" in at.line && at.line.from === node);
}

function textOf(now: Run, at: Step): string {
  const content = at.is === "departure" ? JSON.stringify(now.trace.contents[at.line.content] ?? null) : "";
  return `${sentence(at)} ${kindOf(at)} ${content}`.toLowerCase();
}

export function Log() {
  const list = useRef<HTMLDivElement>(null);
  const at = lastAtMost(shown.value, step.value);
  useEffect(() => {
    const box = list.current;
    if (!box) return;
    const observer = new ResizeObserver(() => (height.value = box.clientHeight));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const box = list.current;
    if (!box) return;
    const y = at * ROW;
    if (y < box.scrollTop + ROW || y > box.scrollTop + box.clientHeight - 2 * ROW) {
      box.scrollTop = y - box.clientHeight / 2;
    }
  }, [at, shown.value]);

  const now = run.value;
  const from = Math.max(0, Math.floor(top.value / ROW) - 4);
  const rows = now ? [...shown.value.subarray(from, from + Math.ceil(height.value / ROW) + 8)] : [];
  return (
    <>
      <LogFilters />
      <div class="rows" ref={list} tabIndex={0} role="group" aria-label="Events: up and down go from line to line" onKeyDown={(event) => walk(event, at)}
        onScroll={(event) => (top.value = event.currentTarget.scrollTop)}>
        <div class="rows-all" style={{ height: `${shown.value.length * ROW}px` }}>
          {now && rows.map((index, place) => <Row key={index} at={now.at(index)} y={(from + place) * ROW} />)}
        </div>
        {now && shown.value.length === 0 && <p class="empty">No event passes the filters.</p>}
      </div>
      {now && step.value >= 0 && <Detail now={now} at={now.at(step.value)} />}
    </>
  );
}

/** Up and down go to the line before and the next one that is shown. */
function walk(event: KeyboardEvent, at: number): void {
  const to = event.key === "ArrowDown" ? at + 1 : event.key === "ArrowUp" ? at - 1 : null;
  const index = to === null ? undefined : shown.peek()[to];
  if (index === undefined) return;
  event.preventDefault();
  goTo(index);
}

function Row({ at, y }: { at: Step; y: number }) {
  const state = at.index === step.value ? "now" : at.index < step.value ? "past" : "future";
  const value = "value" in at.line && at.line.value !== undefined ? valueName(at.line.value) : "";
  return (
    <button class="log-row" tabIndex={-1} data-is={state} style={{ transform: `translateY(${y}px)` }}
      aria-current={state === "now" ? "step" : undefined} title={sentence(at)} onClick={() => goTo(at.index)}>
      <span class="num">{timeText(at.t)}</span>
      <span class="who">{whoOf(at)}</span>
      <span class="what"><i style={{ background: colourOf(at) }} />{kindOf(at)}{remark(at)}</span>
      <span class="num">{viewOf(at) ?? ""}</span>
      <span class="num">{slotOf(at) ?? ""}</span>
      <span>{value}</span>
    </button>
  );
}

function whoOf(at: Step): string {
  switch (at.is) {
    case "departure": {
      const { from, to } = at.line;
      return `${from} → ${to.length > 4 ? `${to.length} nodes` : to.map(([node]) => node).join(" ")}`;
    }
    case "arrival": return `${at.flight.from} ⇥ ${at.flight.to}`;
    case "vote": return at.line.is === "vote" ? `${at.line.author} ∈ ${at.line.node}` : "";
    case "rejected": return at.line.is === "rejected" ? `${at.line.from} ✕ ${at.line.node}` : "";
    default: return at.node === null ? "client" : String(at.node);
  }
}

function remark({ line }: Step): string {
  switch (line.is) {
    case "vote": return ` ${line.phase}${line.contradicts ? " (contradicts)" : ""}`;
    case "mark": return line.mark === "voted" ? ` ${line.phase}` : line.mark === "committed" ? ` ${line.path}` : "";
    case "rejected": return ` ${line.reason}`;
    case "node": return line.change === "behaves" ? ` ${line.faults.join(", ") || "healed"}` : ` ${line.change}`;
    case "network": return ` ${line.change}`;
    case "request": return ` ${brief(line.asks)}`;
    case "answer": return ` ${brief(line.result)}`;
    default: return "";
  }
}

function LogFilters() {
  const now = run.value;
  const { hidden, node, seq, text } = filters.value;
  const set = (news: Partial<Filters>) => (filters.value = { ...filters.peek(), ...news });
  const numeric = (value: string) => (value === "" ? null : Number(value));
  const toggle = (group: string) => {
    const next = new Set(hidden);
    if (!next.delete(group)) next.add(group);
    set({ hidden: next });
  };
  return (
    <div class="log-filters">
      <h2>Log</h2>
      <input type="search" placeholder="Find" aria-label="Find text in the log" value={text} onInput={(event) => set({ text: event.currentTarget.value })} />
      <input type="number" placeholder="node" aria-label="Only this node" min={0} value={node ?? ""} onInput={(event) => set({ node: numeric(event.currentTarget.value) })} />
      <input type="number" placeholder="slot" aria-label="Only this slot" min={0} value={seq ?? ""} onInput={(event) => set({ seq: numeric(event.currentTarget.value) })} />
      <details class="drop">
        <summary>Kinds{hidden.size > 0 ? ` (${hidden.size} hidden)` : ""}</summary>
        <div class="drop-body">
          {[...(now?.kinds ?? []), ...GROUPS].map((group) => (
            <label class="check"><input type="checkbox" checked={!hidden.has(group)} onChange={() => toggle(group)} /> {group}</label>
          ))}
          <button onClick={() => (filters.value = NO_FILTERS)}>As at first</button>
        </div>
      </details>
    </div>
  );
}

function Detail({ now, at }: { now: Run; at: Step }) {
  const content = at.is === "departure" || at.is === "arrival" ? now.trace.contents[at.line.content] : undefined;
  return (
    <div class="detail" tabIndex={0} role="region" aria-label="The current event">
      <p>{sentence(at)}.</p>
      {content !== undefined && <JsonTree key={`content ${at.index}`} name="content" value={content} depth={2} />}
      <JsonTree key={`line ${at.index}`} name="event" value={at.line as unknown as Json} depth={content === undefined ? 2 : 0} />
    </div>
  );
}
