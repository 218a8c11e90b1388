// The space-time diagram: a lane for the clients and for each node, an arrow for each message.

import { signal, useComputed, useSignal, useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { panned, showing, whole, zoomed, type Span } from "./axis";
import { useBox } from "./box";
import { clear, colours, penOf, type Colours } from "./canvas";
import { CLIENTS } from "./circle";
import { STRAIGHT, foldOf, type Fold } from "./fold";
import { KindSign } from "./graph";
import { roleOf } from "./looks";
import { pictureOf } from "./picture";
import type { Run } from "./run";
import { filters, goToTime, playing, run, selected, step, time } from "./store";
import { Timeline } from "./timeline";

/** Lanes that are drawn as a line only; kept from run to run. */
const collapsed = signal<ReadonlySet<number>>(new Set());

export function Spacetime() {
  const shown = run.value;
  if (!shown) return <p class="empty">No run yet: its messages are drawn here over time as soon as there is one.</p>;
  return <SpacetimeOf run={shown} />;
}

function SpacetimeOf({ run }: { run: Run }) {
  const runSignal = useSignal(run);
  runSignal.value = run;
  const fold = useFold(useComputed(() => [runSignal.value]));
  const limits = useComputed(() => whole(fold.value.place(runSignal.value.endTime), runSignal.value.usualFlight));
  const place = useComputed(() => fold.value.place(time.value));
  const span = useSpan(runSignal, limits, place);
  return (
    <div class="spacetime-frame">
      <div class="toolbar">
        <ZoomButtons span={span} limits={limits} place={place} />
        <FoldButton runs={[run]} />
        <LaneButtons run={run} />
        <Kinds kinds={run.kinds} />
      </div>
      <Timeline run={run} span={span} fold={fold} limits={limits} time={time} step={step} onSeek={goToTime} isMain
        collapsed={collapsed} label="Space-time diagram" />
      <Overview runs={[run]} span={span} fold={fold} limits={limits} place={place} />
    </div>
  );
}

// ---- The axis -----------------------------------------------------------------------

/** Whether long idle times are drawn short. */
const isFolding = signal(true);

/** The axis of runs that are drawn above each other. */
export function useFold(runs: ReadonlySignal<Run[]>): ReadonlySignal<Fold> {
  return useComputed(() => (isFolding.value ? foldOfRuns(runs.value) : STRAIGHT));
}

function foldOfRuns(runs: Run[]): Fold {
  const end = Math.max(...runs.map(({ endTime }) => endTime));
  return foldOf(runs.map(pictureOf), end, Math.max(...runs.map(({ usualFlight }) => usualFlight)));
}

/** Shortens idle times, or draws all times alike. */
export function FoldButton({ runs }: { runs: Run[] }) {
  const hasGaps = useMemo(() => foldOfRuns(runs).gaps.length > 0, runs);
  return hasGaps ? (
    <button aria-pressed={isFolding.value} title="Times in which nothing happens are drawn short"
      onClick={() => (isFolding.value = !isFolding.value)}>Shorten idle time</button>
  ) : null;
}

/** A part at the beginning of a run that can be read: all of it if it is short. */
function firstSpan(run: Run, limits: Span): Span {
  const readable = run.usualFlight * 26;
  const all = limits.to - limits.from;
  return all <= readable * 1.6 ? limits : { from: limits.from, to: limits.from + readable };
}

/** The part of the axis that is seen. It stays where it is when the run changes a little, and
 * follows the moment, which lies at `place`. */
export function useSpan(run: ReadonlySignal<Run>, limits: ReadonlySignal<Span>, place: ReadonlySignal<number>): Signal<Span> {
  const span = useSignal<Span>(showing(firstSpan(run.peek(), limits.peek()), place.peek(), limits.peek()));
  const before = useRef({ run: run.peek(), limits: limits.peek(), place: place.peek() });
  useSignalEffect(() => {
    const [now, bounds] = [run.value, limits.value];
    const { run: old, limits: oldBounds } = before.current;
    if (now === old && bounds === oldBounds) return;
    const [length, oldLength] = [bounds.to - bounds.from, oldBounds.to - oldBounds.from];
    const isAlike = now.header.nodes === old.header.nodes && now.header.protocol === old.header.protocol
      && length < oldLength * 1.6 && length > oldLength * 0.6;
    const kept = isAlike ? panned(span.peek(), 0, bounds) : firstSpan(now, bounds);
    span.value = showing(kept, place.peek(), bounds);
    before.current = { run: now, limits: bounds, place: place.peek() };
  });
  useSignalEffect(() => {
    const now = place.value;
    if (now === before.current.place) return;
    before.current.place = now;
    if (now < span.peek().from || now > span.peek().to || playing.peek()) span.value = showing(span.peek(), now, limits.peek());
  });
  return span;
}

interface ZoomProps { span: Signal<Span>; limits: ReadonlySignal<Span>; place: ReadonlySignal<number> }

export function ZoomButtons({ span, limits, place }: ZoomProps) {
  const zoom = (factor: number) => {
    const { from, to } = span.peek();
    const now = place.peek();
    span.value = zoomed(span.peek(), now >= from && now <= to ? now : (from + to) / 2, factor, limits.peek());
  };
  return (
    <div class="buttons" role="group" aria-label="Zoom">
      <button aria-label="Zoom in" title="Zoom in (or turn the wheel)" onClick={() => zoom(0.6)}>+</button>
      <button aria-label="Zoom out" title="Zoom out" onClick={() => zoom(1 / 0.6)}>−</button>
      <button title="The whole run" onClick={() => (span.value = limits.peek())}>Fit</button>
    </div>
  );
}

// ---- Lanes and kinds ----------------------------------------------------------------

/** Collapses all lanes but those of the clients, of nodes with a role, and of the chosen node. */
function LaneButtons({ run }: { run: Run }) {
  const isAny = collapsed.value.size > 0;
  const focus = () => {
    const chosen = selected.peek();
    const keeps = (node: number) => roleOf(run, node, step.peek()) !== "replica"
      || (chosen !== null && "node" in chosen && chosen.node === node);
    const others = Array.from({ length: run.header.nodes }, (_, node) => node).filter((node) => !keeps(node));
    collapsed.value = new Set(others.filter((id) => id !== CLIENTS));
  };
  return isAny
    ? <button onClick={() => (collapsed.value = new Set())}>Open all lanes</button>
    : <button title="A click on a lane's name collapses that lane" onClick={focus}>Collapse replicas</button>;
}

/** Which kinds of messages are seen, here and in the log. */
export function Kinds({ kinds }: { kinds: string[] }) {
  const { hidden } = filters.value;
  const toggle = (kind: string) => {
    const next = new Set(hidden);
    if (!next.delete(kind)) next.add(kind);
    filters.value = { ...filters.peek(), hidden: next };
  };
  return (
    <div class="kinds" role="group" aria-label="Kinds of messages that are shown">
      {kinds.map((kind) => (
        <button key={kind} class="plain kind" aria-pressed={!hidden.has(kind)} onClick={() => toggle(kind)}>
          <KindSign kind={kind} />{kind}
        </button>
      ))}
    </div>
  );
}

// ---- The overview -------------------------------------------------------------------

interface OverviewProps {
  runs: Run[];
  span: Signal<Span>;
  fold: ReadonlySignal<Fold>;
  limits: ReadonlySignal<Span>;
  place: ReadonlySignal<number>;
}

/** The whole run as a strip: how many messages leave when, and which part is seen above. */
export function Overview({ runs, span, fold, limits, place }: OverviewProps) {
  const [box, size] = useBox<HTMLDivElement>();
  const still = useRef<HTMLCanvasElement>(null);
  const moving = useRef<HTMLCanvasElement>(null);
  const shown = useSignal(runs);
  if (runs.some((run, at) => run !== shown.peek()[at])) shown.value = runs;
  useSignalEffect(() => {
    const { width, height } = size.value;
    const palette = colours.value;
    const [all, parts, axis] = [limits.value, shown.value, fold.value];
    if (!still.current || width === 0) return;
    const context = clear(still.current, width, height);
    const share = height / parts.length;
    parts.forEach((run, at) => paintDensity(context, run, axis, all, { width, top: at * share, height: share }, palette));
  });
  useSignalEffect(() => {
    const { width, height } = size.value;
    const palette = colours.value;
    const [{ from, to }, seen, now] = [limits.value, span.value, place.value];
    if (!moving.current || width === 0) return;
    const context = clear(moving.current, width, height);
    const x = (place: number) => ((place - from) / (to - from)) * width;
    const across = Math.max(2, x(seen.to) - x(seen.from) - 1);
    context.fillStyle = palette.accent;
    context.globalAlpha = 0.14;
    context.fillRect(x(seen.from), 0, across, height);
    context.globalAlpha = 1;
    context.strokeStyle = palette.accent;
    context.strokeRect(x(seen.from) + 0.5, 0.5, across, height - 1);
    context.fillRect(x(now) - 0.5, 0, 1.5, height);
  });
  const pan = (event: PointerEvent) => {
    if (event.buttons === 0) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const { left, width } = box.current!.getBoundingClientRect();
    const { from, to } = limits.peek();
    const middle = from + ((event.clientX - left) / width) * (to - from);
    span.value = panned(span.peek(), middle - (span.peek().from + span.peek().to) / 2, limits.peek());
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    if (by === undefined) return;
    event.stopPropagation();
    event.preventDefault();
    span.value = panned(span.peek(), by * (span.peek().to - span.peek().from), limits.peek());
  };
  const { from, to } = limits.value;
  return (
    <div class="overview" ref={box} tabIndex={0} role="scrollbar" aria-label="Part of the run that is seen" aria-orientation="horizontal"
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round((100 * (span.value.from - from)) / (to - from))}
      onPointerDown={pan} onPointerMove={pan} onKeyDown={onKeyDown}>
      <canvas class="fill" ref={still} aria-hidden="true" />
      <canvas class="fill" ref={moving} aria-hidden="true" />
    </div>
  );
}

/** How many messages leave in each part of the time, by kind, as bars. */
function paintDensity(
  context: CanvasRenderingContext2D, run: Run, fold: Fold, limits: Span, strip: { width: number; top: number; height: number },
  colours: Colours,
): void {
  const { width, top, height } = strip;
  const { arrows } = pictureOf(run);
  const bars = Math.max(1, Math.floor(width / 3));
  const counts = run.kinds.map(() => new Float64Array(bars));
  const totals = new Float64Array(bars);
  for (let at = 0; at < arrows.count; at++) {
    const bar = Math.floor(((fold.place(arrows.departs[at]!) - limits.from) / (limits.to - limits.from)) * bars);
    if (bar < 0 || bar >= bars) continue;
    counts[arrows.kind[at]!]![bar]! += 1;
    totals[bar]! += 1;
  }
  const most = Math.max(1, ...totals);
  const bottoms = new Float64Array(bars).fill(top + height - 1);
  run.kinds.forEach((kind, number) => {
    context.fillStyle = penOf(kind, colours).colour;
    context.globalAlpha = 0.8;
    for (let bar = 0; bar < bars; bar++) {
      // A square root, so that few messages are seen beside many.
      const share = totals[bar]! > 0 ? Math.sqrt(totals[bar]! / most) * (counts[number]![bar]! / totals[bar]!) : 0;
      bottoms[bar]! -= share * (height - 3);
      if (share > 0) context.fillRect((bar * width) / bars, bottoms[bar]!, 2, share * (height - 3));
    }
  });
  context.globalAlpha = 1;
}
