// A space-time diagram with its lanes' names: draws itself, and turns what the pointer does
// into zooming, panning, seeking and choosing.

import { useComputed, useSignal, useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { panned, zoomed, type Span } from "./axis";
import { useBox } from "./box";
import { clear, colours } from "./canvas";
import { CLIENTS, type Point } from "./circle";
import { paintMoving, paintStill } from "./diagram";
import type { Fold } from "./fold";
import { headOf, heightOf, paintHead, type Head } from "./head";
import { hitAt, type Hit } from "./hits";
import { layLanes, type Lanes } from "./lanes";
import { roleOf, timeText } from "./looks";
import { pictureOf } from "./picture";
import type { Run } from "./run";
import { filters, goTo, hovered, playing, selected } from "./store";
import { placeAt, timeAt, type Stage } from "./stage";
import { Tip } from "./tip";
import { tellFlight } from "./words";

export interface TimelineProps {
  run: Run;
  /** What is seen of the axis; shared by diagrams that lie above each other, */
  span: Signal<Span>;
  /** as is how times lie on it. */
  fold: ReadonlySignal<Fold>;
  limits: ReadonlySignal<Span>;
  time: ReadonlySignal<number>;
  step: ReadonlySignal<number>;
  onSeek: (time: number) => void;
  /** Whether this is the run of the other parts of the page, so that choices are shared with them. */
  isMain: boolean;
  collapsed: Signal<ReadonlySet<number>>;
  label: string;
  /** Stands above the names of the lanes, in place of what the rows of the head are; then the head is low. */
  title?: ComponentChildren;
  /** Left out below another diagram on the same axis. */
  hasAxis?: boolean;
}

const GUTTER_WIDE = 150;
const GUTTER_NARROW = 46;

export function Timeline(props: TimelineProps) {
  const { span, fold, limits, time, step, onSeek, isMain, collapsed, title, hasAxis = true } = props;
  const [box, size] = useBox<HTMLDivElement>();
  const run = useSignal(props.run);
  run.value = props.run;
  const picture = useComputed(() => pictureOf(run.value));
  const head = useComputed(() => headOf(picture.value, title !== undefined, hasAxis));
  const above = useComputed(() => heightOf(head.value));
  const gutter = useComputed(() => (size.value.width < 520 ? GUTTER_NARROW : GUTTER_WIDE));
  const width = useComputed(() => Math.max(0, size.value.width - gutter.value));
  const lanes = useComputed(() =>
    layLanes(run.value.header.nodes, size.value.height - above.value - 2, collapsed.value));
  const stage = useComputed<Stage>(() => ({
    run: run.value, picture: picture.value, span: span.value, fold: fold.value,
    seen: { from: fold.value.time(span.value.from), to: fold.value.time(span.value.to) }, lanes: lanes.value, width: width.value,
    colours: colours.value, filters: filters.value,
  }));
  const hover = useSignal<{ hit: Hit; at: Point } | null>(null);
  const scroll = useRef<HTMLDivElement>(null);

  const pointer = usePointer({
    stage, span, limits, onSeek,
    onHover: (hit, at) => {
      hover.value = hit ? { hit, at: { x: at.x + gutter.value, y: at.y + above.value - (scroll.current?.scrollTop ?? 0) } } : null;
      if (isMain) hovered.value = hit?.is === "flight" ? { flight: hit.flight } : null;
    },
    onChoose: (hit) => {
      if (!isMain) return;
      if (hit.is === "flight") selected.value = { flight: hit.flight };
      if (hit.is === "glyph") {
        goTo(hit.glyph.step);
        selected.value = { node: hit.glyph.node };
      }
    },
  });

  return (
    <div class="timeline" ref={box} style={{ flexGrow: props.run.header.nodes + 3 }}>
      <div class="timeline-head" style={{ height: `${above.value}px` }}>
        {title ? <div class="head-title" style={{ width: `${gutter.value}px` }}>{title}</div> : <HeadNames picture={picture.value} width={gutter.value} />}
        <HeadCanvas stage={stage} time={time} head={head} left={gutter} onSeek={onSeek} />
      </div>
      <div class="timeline-scroll" ref={scroll}>
        <div class="timeline-lanes" style={{ height: `${lanes.value.total}px` }}>
          <LaneNames run={run} lanes={lanes.value} step={step} width={gutter.value} collapsed={collapsed} />
          <div class="timeline-canvas" ref={pointer} style={{ left: `${gutter.value}px` }} role="img"
            aria-label={summary(props.label, run.value, picture.value)}>
            <Still stage={stage} />
            <Moving stage={stage} time={time} isMain={isMain} />
          </div>
        </div>
      </div>
      {hover.value && <Tip at={{ ...hover.value.at, ...size.value }}>{tell(hover.value.hit, run.value)}</Tip>}
    </div>
  );
}

function tell(hit: Hit, run: Run): string {
  switch (hit.is) {
    case "glyph": return hit.glyph.tells;
    case "wait": return hit.wait.tells;
    case "band": return hit.band.tells;
    case "network": return hit.tells;
    case "flight": return hit.flight < run.flightCount ? tellFlight(run.flight(hit.flight)) : "";
  }
}

/** The whole diagram in words; the log is the full text. */
function summary(label: string, run: Run, picture: ReturnType<typeof pictureOf>): string {
  const { slots, views, waits } = picture;
  const changes = views.filter((view) => view.isChanging).length;
  const answered = waits.filter((wait) => wait.outcome === "answered").length;
  return `${label}: a lane for the clients and for each of ${run.header.nodes} nodes, ${run.flightCount} messages in ${timeText(run.endTime)}. `
    + `${slots.length} slots, ${changes} view changes, ${answered} of ${waits.length} requests answered. The log tells all of it as text.`;
}

// ---- Canvases -----------------------------------------------------------------------

function Still({ stage }: { stage: ReadonlySignal<Stage> }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const drawn = stage.value;
    if (ref.current && drawn.width > 0) paintStill(clear(ref.current, drawn.width, drawn.lanes.total), drawn);
  });
  return <canvas class="fill" ref={ref} />;
}

function Moving({ stage, time, isMain }: { stage: ReadonlySignal<Stage>; time: ReadonlySignal<number>; isMain: boolean }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const drawn = stage.value;
    const [over, chosen] = isMain ? [hovered.value, selected.value] : [null, null];
    const moment = {
      time: time.value,
      hovered: over && "flight" in over ? over.flight : null,
      selected: chosen && "flight" in chosen ? chosen.flight : null,
      node: over && "node" in over ? over.node : chosen && "node" in chosen ? chosen.node : null,
    };
    if (ref.current && drawn.width > 0) paintMoving(clear(ref.current, drawn.width, drawn.lanes.total), drawn, moment);
  });
  return <canvas class="fill" ref={ref} />;
}

interface HeadCanvasProps {
  stage: ReadonlySignal<Stage>;
  time: ReadonlySignal<number>;
  head: ReadonlySignal<Head>;
  left: ReadonlySignal<number>;
  onSeek: (time: number) => void;
}

function HeadCanvas({ stage, time, head, left, onSeek }: HeadCanvasProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const drawn = stage.value;
    const rows = head.value;
    const now = time.value;
    if (ref.current && drawn.width > 0) paintHead(clear(ref.current, drawn.width, heightOf(rows)), drawn, rows, now);
  });
  const seek = (event: PointerEvent) => {
    if (event.buttons === 0) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    onSeek(timeAt(stage.peek(), event.clientX - ref.current!.getBoundingClientRect().left));
  };
  return (
    <canvas class="timeline-axis" ref={ref} style={{ left: `${left.value}px`, width: `${stage.value.width}px`, height: `${heightOf(head.value)}px` }}
      aria-hidden="true" onPointerDown={seek} onPointerMove={seek} />
  );
}

// ---- Names --------------------------------------------------------------------------

function HeadNames({ picture, width }: { picture: ReturnType<typeof pictureOf>; width: number }) {
  if (width < GUTTER_WIDE) return null;
  return (
    <div class="head-names" style={{ width: `${width}px` }} aria-hidden="true">
      <span>time</span>{picture.views.length > 0 && <span class="low">view</span>}<span>slots and phases</span>
    </div>
  );
}

interface LaneNamesProps {
  run: Signal<Run>;
  lanes: Lanes;
  step: ReadonlySignal<number>;
  width: number;
  collapsed: Signal<ReadonlySet<number>>;
}

function LaneNames({ run, lanes, step, width, collapsed }: LaneNamesProps) {
  const names = useComputed(() => {
    const { nodes } = run.value.header;
    return Array.from({ length: nodes }, (_, node) => roleOf(run.value, node, step.value)).join("|");
  });
  const roles = names.value.split("|");
  const toggle = (id: number) => {
    const next = new Set(collapsed.peek());
    if (!next.delete(id)) next.add(id);
    collapsed.value = next;
  };
  return (
    <div class="lane-names" style={{ width: `${width}px` }}>
      {lanes.ids.map((id, at) => {
        const role = id === CLIENTS ? "" : roles[id]!;
        const isOpen = !lanes.collapsed.has(id);
        const name = id === CLIENTS ? "clients" : String(id);
        return (
          <button key={id} class="lane-name" data-role={role} aria-expanded={isOpen}
            aria-label={`Lane of ${id === CLIENTS ? "the clients" : `node ${id}, ${role}`}`}
            title={isOpen ? "Collapse this lane" : "Open this lane"}
            style={{ top: `${lanes.tops[at]}px`, height: `${lanes.heights[at]}px` }}
            onClick={() => toggle(id)}
            onPointerEnter={() => { if (id !== CLIENTS) hovered.value = { node: id }; }}
            onPointerLeave={() => (hovered.value = null)}>
            {isOpen && <><b>{name}</b>{role && role !== "replica" && <span>{width < GUTTER_WIDE ? (role === "commander" ? "◎" : "✳") : role}</span>}</>}
          </button>
        );
      })}
    </div>
  );
}

// ---- The pointer --------------------------------------------------------------------

interface Gestures {
  stage: ReadonlySignal<Stage>;
  span: Signal<Span>;
  limits: ReadonlySignal<Span>;
  onSeek: (time: number) => void;
  onHover: (hit: Hit | null, at: Point) => void;
  onChoose: (hit: Hit) => void;
}

/** One finger or button seeks, two fingers zoom and pan, the wheel zooms, and pans sideways. */
function usePointer(gestures: Gestures) {
  const ref = useRef<HTMLDivElement>(null);
  const latest = useRef(gestures);
  latest.current = gestures;
  useEffect(() => listen(ref.current!, () => latest.current), []);
  return ref;
}

function listen(element: HTMLElement, gestures: () => Gestures): () => void {
  const down = new Map<number, Point>();
  let start: Point | null = null;
  const at = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const seek = (point: Point) => {
    const { stage, onSeek } = gestures();
    playing.value = false;
    onSeek(timeAt(stage.peek(), point.x));
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    start = down.size === 1 ? at(event) : null;
    gestures().onHover(null, at(event));
  };
  const onMove = (event: PointerEvent) => {
    const point = at(event);
    const before = down.get(event.pointerId);
    if (!before) {
      const { stage, onHover } = gestures();
      onHover(hitAt(stage.peek(), point.x, point.y, 5), point);
      return;
    }
    if (down.size === 2) pinch(gestures(), down, event.pointerId, point);
    else if (start && Math.hypot(point.x - start.x, point.y - start.y) > 3) {
      start = null;
      seek(point);
    } else if (!start) seek(point);
    down.set(event.pointerId, point);
  };
  const onUp = (event: PointerEvent) => {
    const point = at(event);
    if (down.delete(event.pointerId) && start && event.type === "pointerup") {
      seek(point);
      const reach = event.pointerType === "touch" ? 14 : 5;
      const hit = hitAt(gestures().stage.peek(), point.x, point.y, reach);
      if (hit) gestures().onChoose(hit);
      if (event.pointerType === "touch") gestures().onHover(hit, point);
    }
    start = null;
  };
  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const { stage, span, limits } = gestures();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      const { from, to } = span.peek();
      span.value = panned(span.peek(), (sideways * unit * (to - from)) / stage.peek().width, limits.peek());
    } else {
      span.value = zoomed(span.peek(), placeAt(stage.peek(), at(event).x), 1.0016 ** (event.deltaY * unit), limits.peek());
    }
  };
  const onLeave = (event: PointerEvent) => gestures().onHover(null, at(event));
  element.addEventListener("pointerdown", onDown);
  element.addEventListener("pointermove", onMove);
  element.addEventListener("pointerup", onUp);
  element.addEventListener("pointercancel", onUp);
  element.addEventListener("pointerleave", onLeave);
  element.addEventListener("wheel", onWheel, { passive: false });
  // The listeners go with the element.
  return () => down.clear();
}

function pinch({ stage, span, limits }: Gestures, down: Map<number, Point>, moving: number, to: Point): void {
  const other = [...down].find(([id]) => id !== moving)?.[1];
  const before = down.get(moving);
  if (!other || !before) return;
  const { from, to: until } = span.peek();
  const factor = Math.max(Math.abs(before.x - other.x), 10) / Math.max(Math.abs(to.x - other.x), 10);
  const shift = (((before.x - to.x) / 2) * (until - from)) / stage.peek().width;
  const middle = placeAt(stage.peek(), (to.x + other.x) / 2);
  span.value = panned(zoomed(span.peek(), middle, factor, limits.peek()), shift, limits.peek());
}
