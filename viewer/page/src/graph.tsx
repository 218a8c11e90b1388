// The message graph: the clients and the replicas, and the messages of the moment on their ways.

import { signal, useComputed, useSignal, useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useBox } from "./box";
import { clear, colours } from "./canvas";
import { CLIENTS, arrange, placeOf, type Layout, type Point } from "./circle";
import { Ways, paint, sceneOf, sizeFor, spotAt, type Scene } from "./flights";
import { outline, signOf } from "./letters";
import { healthOf, lookOf, roleOf, type Health, type Role } from "./looks";
import { MessageMenu, NodeMenu } from "./menus";
import type { Flight, Run } from "./run";
import { filters, hovered, playing, run, selected, step, time } from "./store";
import { Beside, Tip } from "./tip";
import { latestCounter, tellFlight, tellNode } from "./words";

/** Where nodes were dragged to, as fractions of the box; kept from run to run. */
const moved = signal<ReadonlyMap<number, Point>>(new Map());

type Opened = { node: number } | { flight: Flight };

export function Graph() {
  const shown = run.value;
  if (!shown) return <p class="empty">No run yet: the messages are drawn here as soon as there is one.</p>;
  return <GraphOf run={shown} />;
}

function GraphOf({ run }: { run: Run }) {
  const [box, size] = useBox<HTMLDivElement>();
  const current = useSignal(run);
  current.value = run;
  const layout = useComputed(() =>
    arrange(current.value.header.nodes, size.value.width, size.value.height, moved.value));
  const ways = useComputed(() => new Ways(layout.value));
  const scene = useComputed(() => visible(sceneOf(current.value, step.value, time.value, ways.value)));
  const opened = useSignal<(Opened & { at: Point }) | null>(null);
  const pointer = useSignal<Point | null>(null);

  useSignalEffect(() => {
    // What was opened is not in another run.
    void current.value;
    opened.value = null;
  });

  const open = (what: Opened, at: Point) => {
    playing.value = false;
    selected.value = "node" in what ? { node: what.node } : { flight: what.flight.index };
    pointer.value = null;
    opened.value = { ...what, at };
  };
  const pointAt = (event: MouseEvent): Point => {
    const { left, top } = box.current!.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const reach = (event: MouseEvent) =>
    sizeFor(layout.value, scene.value.spots.length) + ((event as PointerEvent).pointerType === "touch" ? 16 : 8);
  const onPointerMove = (event: PointerEvent) => {
    const at = pointAt(event);
    const spot = spotAt(scene.value, at, reach(event));
    const node = nodeAt(layout.value, at);
    pointer.value = spot || node !== null ? at : null;
    hovered.value = node !== null ? { node } : spot ? { flight: spot.flight.index } : null;
  };
  const onLeave = () => {
    hovered.value = null;
    pointer.value = null;
  };
  const onClick = (event: MouseEvent) => {
    const at = pointAt(event);
    const spot = spotAt(scene.value, at, reach(event));
    if (spot && nodeAt(layout.value, at) === null) open({ flight: spot.flight }, at);
    else if (nodeAt(layout.value, at) === null) selected.value = null;
  };

  return (
    <div class="graph-frame">
      <div class="graph-box" ref={box} onPointerMove={onPointerMove} onPointerLeave={onLeave} onClick={onClick}>
        <Messages layout={layout} ways={ways} scene={scene} />
        <Nodes run={current} layout={layout} onOpen={open} pointAt={pointAt} />
        <Hint run={current} pointer={pointer} layout={layout} quiet={opened.value !== null} />
        {opened.value && (
          <Beside at={{ ...opened.value.at, ...size.value }} gap={8}>
            <OpenMenu run={run} what={opened.value} onClose={() => (opened.value = null)} />
          </Beside>
        )}
        {moved.value.size > 0 && (
          <button class="plain graph-reset" onClick={(event) => {
            event.stopPropagation();
            moved.value = new Map();
          }}>Put the nodes back</button>
        )}
      </div>
      <OnTheWay scene={scene} layout={layout} ways={ways} onOpen={open} />
    </div>
  );
}

function OpenMenu({ run, what, onClose }: { run: Run; what: Opened; onClose: () => void }) {
  return "node" in what
    ? <NodeMenu node={what.node} replica={run.replica(what.node, step.value)} time={time.value} onClose={onClose} />
    : <MessageMenu flight={what.flight} onClose={onClose} />;
}

/** Leaves out the kinds that the filters hide. */
function visible(scene: Scene): Scene {
  const { hidden } = filters.value;
  if (hidden.size === 0) return scene;
  const isSeen = ({ line }: Flight) => !hidden.has(line.kind);
  const arrived = scene.arrived && isSeen(scene.arrived) ? scene.arrived : null;
  return { ...scene, arrived, spots: scene.spots.filter(({ flight }) => isSeen(flight)) };
}

function nodeAt(layout: Layout, { x, y }: Point): number | null {
  const near = layout.nodes.findIndex((at) => Math.hypot(at.x - x, at.y - y) <= layout.radius + 2);
  return near < 0 ? null : near;
}

interface MessagesProps { layout: ReadonlySignal<Layout>; ways: ReadonlySignal<Ways>; scene: ReadonlySignal<Scene> }

function Messages({ layout, ways, scene }: MessagesProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const { width, height } = layout.value;
    const emphasis = { hovered: flightOf(hovered.value), selected: flightOf(selected.value) };
    const drawn = scene.value;
    const palette = colours.value;
    if (!ref.current || width === 0) return;
    paint(clear(ref.current, width, height), layout.value, ways.value, drawn, palette, emphasis);
  });
  return <canvas class="fill" ref={ref} aria-hidden="true" />;
}

function flightOf(selection: typeof selected.value): number | null {
  return selection && "flight" in selection ? selection.flight : null;
}

function nodeOf(selection: typeof selected.value): number | null {
  return selection && "node" in selection ? selection.node : null;
}

// ---- Nodes --------------------------------------------------------------------------

interface NodesProps {
  run: Signal<Run>;
  layout: ReadonlySignal<Layout>;
  onOpen: (what: Opened, at: Point) => void;
  pointAt: (event: MouseEvent) => Point;
}

/** How a node looks. */
interface NodeLook {
  health: Health;
  role: Role;
  isDiverged: boolean;
  isChanging: boolean;
  /** The votes that it counts at present: in which phase, and how many of those that it needs. */
  votes: { phase: string; share: number } | null;
}

/** Where there are more nodes, votes are not drawn at each. */
const MOST_WITH_VOTES = 16;

function lookOfNode(run: Run, node: number, step: number): NodeLook {
  const replica = run.replica(node, step);
  return {
    health: healthOf(replica), role: roleOf(run, node, step), isDiverged: replica.diverged, isChanging: replica.changingView,
    votes: run.header.nodes <= MOST_WITH_VOTES && replica.up ? votesAt(run, node, step) : null,
  };
}

function votesAt(run: Run, node: number, step: number): NodeLook["votes"] {
  const counter = latestCounter(run, node, step);
  return counter && { phase: counter.phase, share: Math.min(1, run.voters(counter, step).length / run.header.quorum) };
}

function Nodes({ run, layout, onOpen, pointAt }: NodesProps) {
  // Equal texts look alike, so that nothing is drawn again in vain.
  const looks = useComputed(() => JSON.stringify(
    Array.from({ length: run.value.header.nodes }, (_, node) => lookOfNode(run.value, node, step.value)),
  ));
  const { width, height, nodes, clients, radius } = layout.value;
  if (width === 0) return null;
  return (
    <svg class="fill" width={width} height={height} role="group" aria-label={`${nodes.length} replicas and their clients`}>
      <defs>
        <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="5" height="5" fill="var(--panel)" /><rect width="1.6" height="5" fill="var(--faulty)" />
        </pattern>
      </defs>
      <Movable id={CLIENTS} layout={layout} onTap={() => {}} pointAt={pointAt} label="The clients">
        <rect class="clients" x={clients.x - 27} y={clients.y - 12} width="54" height="24" rx="12" />
        <text class="node-name" x={clients.x} y={clients.y + 4} font-size="12">clients</text>
      </Movable>
      {(JSON.parse(looks.value) as NodeLook[]).map((look, node) => (
        <Movable key={node} id={node} layout={layout} pointAt={pointAt} label={tellNode(run.peek(), node, step.peek())}
          onTap={() => onOpen({ node }, { x: nodes[node]!.x + radius, y: nodes[node]!.y })}>
          <NodeMark node={node} at={nodes[node]!} look={look} layout={layout.value} />
        </Movable>
      ))}
    </svg>
  );
}

interface MovableProps {
  id: number;
  layout: ReadonlySignal<Layout>;
  label: string;
  onTap: () => void;
  pointAt: (event: MouseEvent) => Point;
  children: preact.ComponentChildren;
}

/** Something that is dragged, or opened by a click or Enter. */
function Movable({ id, layout, label, onTap, pointAt, children }: MovableProps) {
  const drag = useRef<{ from: Point; offset: Point; isMoved: boolean } | null>(null);
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const from = pointAt(event);
    const at = placeOf(layout.peek(), id);
    drag.current = { from, offset: { x: at.x - from.x, y: at.y - from.y }, isMoved: false };
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent) => {
    if (!drag.current) return;
    const { from, offset } = drag.current;
    const now = pointAt(event);
    if (!drag.current.isMoved && Math.hypot(now.x - from.x, now.y - from.y) < 5) return;
    drag.current.isMoved = true;
    const { width, height } = layout.peek();
    moved.value = new Map(moved.peek()).set(id, { x: (now.x + offset.x) / width, y: (now.y + offset.y) / height });
  };
  const onClick = (event: MouseEvent) => {
    event.stopPropagation();
    const wasMoved = drag.current?.isMoved;
    drag.current = null;
    if (!wasMoved) onTap();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    onTap();
  };
  const isNode = id !== CLIENTS;
  return (
    <g class="node" tabIndex={isNode ? 0 : -1} role={isNode ? "button" : "img"} aria-label={label}
      {...(isNode ? { "aria-haspopup": "dialog" as const } : {})}
      onPointerDown={onPointerDown} onPointerMove={onPointerMove} onPointerCancel={() => (drag.current = null)}
      onClick={onClick} onKeyDown={onKeyDown} onFocus={() => { if (isNode) hovered.value = { node: id }; }}
      onBlur={() => (hovered.value = null)}>
      {children}
    </g>
  );
}

function NodeMark({ node, at, look, layout }: { node: number; at: Point; look: NodeLook; layout: Layout }) {
  const { health, role, isDiverged, isChanging, votes } = look;
  const { radius } = layout;
  const isNamedInside = radius >= 8.5;
  const isChosen = nodeOf(selected.value) === node;
  return (
    <>
      {isChosen && <circle class="node-chosen" cx={at.x} cy={at.y} r={radius + 7} />}
      {role !== "replica" && <RoleMark at={at} radius={radius} role={role} />}
      {health === "faulty"
        ? <path class="node-shape faulty" d={diamond(at, radius * 1.2)} />
        : <circle class={`node-shape ${health}`} cx={at.x} cy={at.y} r={radius} />}
      {isNamedInside && health === "faulty" && <circle class="node-plate" cx={at.x} cy={at.y} r={radius * 0.56} />}
      {votes && radius >= 11 && <VoteRing at={at} radius={health === "faulty" ? radius * 0.6 : radius - 5} votes={votes} />}
      {health === "down" && <CrossedOut at={at} size={radius * 0.85} />}
      {isNamedInside
        ? <text class="node-name" x={at.x} y={at.y + radius * 0.28} font-size={Math.max(9, radius * 0.8)}>{node}</text>
        : (node % layout.numberedEvery === 0 || health !== "honest") && <Outside layout={layout} at={at} away={radius + 8} text={String(node)} />}
      {role !== "replica" && <RoleName layout={layout} at={at} role={role} away={isNamedInside ? radius + 8 : radius + 22} />}
      {(isDiverged || isChanging) && radius >= 8.5 && (
        <text class="node-badge" x={at.x + radius * 0.9} y={at.y - radius * 0.7}>{isDiverged ? "≠" : "↷"}</text>
      )}
    </>
  );
}

function diamond({ x, y }: Point, size: number): string {
  return `M${x} ${y - size}L${x + size} ${y}L${x} ${y + size}L${x - size} ${y}z`;
}

/** Two rings for the commander, a ring with four rays for the communication node. */
function RoleMark({ at, radius, role }: { at: Point; radius: number; role: string }) {
  const ring = radius + Math.max(2.5, radius * 0.18);
  if (role === "commander") return <circle class="role-ring" cx={at.x} cy={at.y} r={ring} />;
  const rays = [45, 135, 225, 315].map((degrees) => {
    const [dx, dy] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    return `M${at.x + dx * ring} ${at.y + dy * ring}l${dx * 5} ${dy * 5}`;
  });
  return <path class="role-ring" d={`M${at.x + ring} ${at.y}A${ring} ${ring} 0 1 1 ${at.x - ring} ${at.y}A${ring} ${ring} 0 1 1 ${at.x + ring} ${at.y}${rays.join("")}`} />;
}

/** A ring that fills with votes, and is closed when a quorum is full. */
export function VoteRing({ at: { x, y }, radius, votes: { phase, share } }: { at: Point; radius: number; votes: NonNullable<NodeLook["votes"]> }) {
  const colour = lookOf(phase).colour;
  if (share >= 1) return <circle class="vote-ring" cx={x} cy={y} r={radius} stroke={colour} />;
  const angle = 2 * Math.PI * share - Math.PI / 2;
  const end = `${x + radius * Math.cos(angle)} ${y + radius * Math.sin(angle)}`;
  return <path class="vote-ring" stroke={colour} d={`M${x} ${y - radius}A${radius} ${radius} 0 ${share > 0.5 ? 1 : 0} 1 ${end}`} />;
}

function CrossedOut({ at, size }: { at: Point; size: number }) {
  return <path class="crossed-out" d={`M${at.x - size} ${at.y - size}L${at.x + size} ${at.y + size}M${at.x + size} ${at.y - size}L${at.x - size} ${at.y + size}`} />;
}

/** A short text on the side of a node that is away from the centre. */
function Outside({ layout, at, away, text }: { layout: Layout; at: Point; away: number; text: string }) {
  const angle = Math.atan2(at.y - layout.centre.y, at.x - layout.centre.x);
  return (
    <text class="node-outside" x={at.x + Math.cos(angle) * away} y={at.y + Math.sin(angle) * away + 3} text-anchor="middle">{text}</text>
  );
}

/** The name of a role: beside the node where there is room outside of the circle, else below or above it. */
function RoleName({ layout, at, role, away }: { layout: Layout; at: Point; role: string; away: number }) {
  const width = role.length * 8.5;
  const isRight = at.x >= layout.centre.x;
  const isAtSide = Math.abs(at.x - layout.centre.x) > Math.abs(at.y - layout.centre.y) * 0.6;
  const edge = isRight ? at.x + away + width : at.x - away - width;
  if (isAtSide && edge > 0 && edge < layout.width) {
    return <text class="role-name" x={at.x + (isRight ? away : -away)} y={at.y + 4} text-anchor={isRight ? "start" : "end"}>{role}</text>;
  }
  const isUpper = at.y < layout.centre.y;
  // Away from the centre, so that it covers no other node.
  const outwards = Math.max(-width / 2, Math.min(width / 2, at.x - layout.centre.x));
  const x = Math.max(width / 2 + 2, Math.min(layout.width - width / 2 - 2, at.x + outwards));
  const y = isUpper ? Math.max(10, at.y - away - 2) : Math.min(layout.height - 3, at.y + away + 10);
  return <text class="role-name" x={x} y={y} text-anchor="middle">{role}</text>;
}

// ---- In words -----------------------------------------------------------------------

interface HintProps { run: Signal<Run>; pointer: Signal<Point | null>; layout: ReadonlySignal<Layout>; quiet: boolean }

/** What is under the pointer, in words. */
function Hint({ run, pointer, layout, quiet }: HintProps) {
  const at = pointer.value;
  const over = hovered.value;
  if (!at || !over || quiet) return null;
  const { width, height } = layout.value;
  const words = "node" in over
    ? tellNode(run.value, over.node, step.value)
    : over.flight < run.value.flightCount ? tellFlight(run.value.flight(over.flight)) : null;
  return words ? <Tip at={{ ...at, width, height }}>{words}</Tip> : null;
}

interface OnTheWayProps extends MessagesProps { onOpen: (what: Opened, at: Point) => void }
const MOST_LISTED = 40;

/** The messages of the moment as buttons: for the keyboard, and to tell which sign is which. */
function OnTheWay({ scene, layout, ways, onOpen }: OnTheWayProps) {
  const list = useComputed(() => {
    const flights = new Map(scene.value.spots.map(({ flight }) => [flight.index, flight]));
    return [...flights.values()];
  });
  // While playing, the list is drawn again only when other messages are on their way.
  const key = useComputed(() => list.value.map((flight) => flight.index).join(" "));
  return <Listed ids={key.value} flights={list.peek()} onOpen={(flight) => {
    const spot = scene.peek().spots.find((spot) => spot.flight.index === flight.index);
    onOpen({ flight }, spot?.at ?? ways.peek().of(flight.from, flight.to).bend ?? layout.peek().centre);
  }} />;
}

interface ListedProps { ids: string; flights: Flight[]; onOpen: (flight: Flight) => void }

function Listed({ flights, onOpen }: ListedProps) {
  const most = playing.value ? 8 : MOST_LISTED;
  return (
    <ul class="on-the-way" aria-label={`${flights.length} messages on their way`}>
      {flights.length === 0 && <li class="deeds-note">Nothing is on its way.</li>}
      {flights.slice(0, most).map((flight) => (
        <li key={flight.index}>
          <button class="plain flight" aria-haspopup="dialog" aria-label={tellFlight(flight)} onClick={() => onOpen(flight)}
            onFocus={() => (hovered.value = { flight: flight.index })} onBlur={() => (hovered.value = null)}
            onPointerEnter={() => (hovered.value = { flight: flight.index })} onPointerLeave={() => (hovered.value = null)}>
            <KindSign kind={flight.line.kind} />{flight.line.kind} {flight.from} → {flight.to}{flight.lost ? " (lost)" : ""}
          </button>
        </li>
      ))}
      {flights.length > most && <li class="deeds-note">and {flights.length - most} more</li>}
    </ul>
  );
}

/** The sign of a kind of message, as the drawings show it. */
export function KindSign({ kind }: { kind: string }) {
  const { letter, shape } = signOf(kind);
  return (
    <svg class="kind-sign" width="20" height="18" viewBox="-10 -9 20 18" aria-hidden="true">
      <path d={pathOf(shape)} fill={lookOf(kind).colour} />
      <text y={shape === "triangle" ? 5 : shape === "pennant" ? 1.5 : 3} font-size={letter.length > 1 ? 7 : 8.5}>{letter}</text>
    </svg>
  );
}

const paths = new Map<string, string>();

/** The outline of a shape as the data of an SVG path. */
function pathOf(shape: Parameters<typeof outline>[1]): string {
  let data = paths.get(shape);
  if (data === undefined) {
    const parts: string[] = [];
    outline({
      moveTo: (x: number, y: number) => parts.push(`M${x} ${y}`),
      lineTo: (x: number, y: number) => parts.push(`L${x} ${y}`),
      rect: (x: number, y: number, w: number, h: number) => parts.push(`M${x} ${y}h${w}v${h}h${-w}z`),
      arc: (x: number, y: number, r: number) => parts.push(`A${r} ${r} 0 1 1 ${x - r} ${y}A${r} ${r} 0 1 1 ${x + r} ${y}`),
      closePath: () => parts.push("z"),
    } as unknown as CanvasPath, shape, 0, 0, 7);
    data = parts.join("");
    paths.set(shape, data);
  }
  return data;
}

