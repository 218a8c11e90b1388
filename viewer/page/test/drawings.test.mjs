import assert from "node:assert/strict";
import test from "node:test";
import { panned, sayTime, showing, tickStep, ticks, whole, zoomed } from "../src/axis";
import { CLIENTS, along, arrange, progress, way } from "../src/circle";
import { timeAt, xOf } from "../src/stage";
import { STRAIGHT, foldOf } from "../src/fold";
import { hitAt } from "../src/hits";
import { roleOf } from "../src/looks";
import { laneAt, layLanes, middleOf } from "../src/lanes";
import { arrowsBetween, pictureOf, putInRows } from "../src/picture";
import { PRESETS, presetOf } from "../src/presets";
import { Run } from "../src/run";
import { NO_FILTERS } from "../src/store";
import { ratio, tallyAt } from "../src/tally";
import { synthetic } from "./synthetic";

const made = (wish) => new Run(synthetic({ nodes: 4, requests: 3, ...wish }));
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

// ---- The message graph ----

test("a commander that is down is none any more once others have begun a later view", () => {
  const run = made({ crashAfter: 1 });
  const commanders = (step) => [0, 1, 2, 3].filter((node) => roleOf(run, node, step) === "commander");
  assert.deepEqual(commanders(-1), [0]);
  assert.deepEqual(commanders(run.length - 1), [1]);
  for (let step = -1; step < run.length; step++) assert.ok(commanders(step).length <= 1, `step ${step}: ${commanders(step)}`);
});

test("nodes do not cover each other, and lie in the box with what is written beside them", () => {
  for (const count of [1, 2, 4, 7, 10, 31, 100]) {
    for (const [width, height] of [[360, 420], [480, 300], [900, 700]]) {
      const { nodes, radius } = arrange(count, width, height);
      for (const [at, node] of nodes.entries()) {
        assert.ok(node.x > radius && node.x < width - radius && node.y > radius && node.y < height - radius, `${count} ${width}`);
        for (const other of nodes.slice(at + 1)) assert.ok(distance(node, other) >= 2 * radius, `${count} nodes in ${width}`);
      }
    }
  }
});

test("in a wide box, neighbours are as far from each other everywhere", () => {
  const { nodes } = arrange(31, 800, 300);
  const gaps = nodes.map((node, at) => distance(node, nodes[(at + 1) % nodes.length]));
  assert.ok(Math.max(...gaps) < Math.min(...gaps) * 1.1);
});

test("a node that was dragged stays there, and never leaves the box", () => {
  const moved = new Map([[1, { x: 0.25, y: 0.75 }], [2, { x: 7, y: -3 }], [CLIENTS, { x: 0.5, y: 0.5 }]]);
  const { nodes, clients, radius } = arrange(4, 400, 200, moved);
  assert.deepEqual(nodes[1], { x: 100, y: 150 });
  assert.deepEqual(nodes[2], { x: 400 - radius, y: radius });
  assert.deepEqual(clients, { x: 200, y: 100 });
});

test("messages there and back go beside each other, from border to border", () => {
  const layout = arrange(7, 500, 500);
  const [there, back] = [way(layout, 1, 4), way(layout, 4, 1)];
  assert.ok(distance(along(there, 0.5), along(back, 0.5)) > 10);
  assert.ok(distance(there.start, layout.nodes[1]) > layout.radius);
  assert.ok(distance(there.end, layout.nodes[4]) > layout.radius);
  const loop = way(layout, 2, 2);
  assert.ok(distance(along(loop, 0.5), layout.nodes[2]) > layout.radius);
});

test("a message is as far on its way as its time has passed", () => {
  const flight = { departs: 100, arrives: [200, 500], lost: false };
  assert.deepEqual(progress(flight, 150, 100), [0.5, 0.125]);
  assert.deepEqual(progress(flight, 300, 100), [0.5]);
  assert.deepEqual(progress(flight, 99, 100), []);
  const lost = { departs: 0, arrives: [], lost: true };
  assert.deepEqual(progress(lost, 50, 100), [0.3]);
  assert.deepEqual(progress(lost, 5000, 100), [0.6]);
});

// ---- The axis ----

test("zooming keeps the place under the pointer, and never leaves the limits", () => {
  const limits = whole(1_000_000, 20_000);
  const span = zoomed(limits, 400_000, 0.5, limits);
  const part = (span, place) => (place - span.from) / (span.to - span.from);
  assert.ok(Math.abs(part(span, 400_000) - part(limits, 400_000)) < 1e-9);
  assert.deepEqual(zoomed(span, 400_000, 100, limits), limits);
  const end = panned(span, 1e9, limits);
  assert.equal(end.to, limits.to);
  assert.ok(Math.abs(end.to - end.from - (span.to - span.from)) < 1e-6);
  assert.ok(zoomed(span, 400_000, 1e-9, limits).to - zoomed(span, 400_000, 1e-9, limits).from >= 999);
});

test("the window follows the moment only when it leaves", () => {
  const limits = { from: 0, to: 1000 };
  const span = { from: 0, to: 100 };
  assert.equal(showing(span, 50, limits), span);
  const moved = showing(span, 500, limits);
  assert.ok(moved.from < 500 && moved.to > 500);
});

test("ticks are round, apart, and not inside gaps", () => {
  const step = tickStep({ from: 0, to: 1_000_000 }, 1000, 90);
  assert.equal(step, 100_000);
  assert.deepEqual(ticks({ from: -20, to: 400_000 }, step), [0, 100_000, 200_000, 300_000, 400_000]);
  assert.deepEqual(ticks({ from: 0, to: 400_000 }, step, [{ from: 150_000, to: 350_000 }]), [0, 100_000, 400_000]);
});

test("times are said so exactly that ticks differ", () => {
  assert.equal(sayTime(1_000_000, 500_000), "1.0 ms");
  assert.equal(sayTime(1_500_000, 500_000), "1.5 ms");
  assert.equal(sayTime(0, 1), "0");
  assert.notEqual(sayTime(1_000_000_000, 500_000), sayTime(1_000_500_000, 500_000));
});

test("idle time is short on the axis, and every place stands for one time", () => {
  const run = made({ requests: 3, crashAfter: 1 });
  const fold = foldOf([pictureOf(run)], run.endTime * 3, run.usualFlight);
  assert.ok(fold.gaps.length > 0);
  assert.ok(fold.place(run.endTime * 3) < run.endTime * 3);
  let before = -Infinity;
  for (let t = 0; t <= run.endTime * 3; t += run.endTime / 997) {
    assert.ok(fold.place(t) > before);
    before = fold.place(t);
    assert.ok(Math.abs(fold.time(fold.place(t)) - t) < 1);
  }
  // Nothing happens inside of a gap.
  for (let i = 0; i < run.length; i++) {
    const { t, is } = run.at(i);
    if (is === "departure" || is === "arrival" || is === "mark") assert.ok(!fold.gaps.some(({ from, to }) => t > from && t < to));
  }
});

// ---- The space-time diagram ----

test("there is an arrow for each arrival and for each copy that is lost, and each is found in its time", () => {
  const run = made({ nodes: 7, loseEvery: 9 });
  const { arrows } = pictureOf(run);
  assert.equal(arrows.count, run.flightCount);
  const lost = arrows.lost.reduce((sum, lost) => sum + lost, 0);
  assert.equal(lost, run.totals(run.length - 1).lost);
  for (const [from, to] of [[0, 50_000], [200_000, 260_000], [-5, run.endTime + 5]]) {
    const [first, end] = arrowsBetween(arrows, from, to);
    for (let at = 0; at < arrows.count; at++) {
      if (arrows.departs[at] <= to && arrows.ends[at] >= from) assert.ok(at >= first && at < end, `${at} in ${from} to ${to}`);
    }
  }
});

test("a crash is a band, and a view change one at every other node", () => {
  const run = made({ crashAfter: 1 });
  const { bands, views } = pictureOf(run);
  const down = bands.filter(({ sort }) => sort === "down");
  assert.deepEqual(down.map(({ node, to }) => [node, to]), [[0, run.endTime]]);
  assert.deepEqual(bands.filter(({ sort }) => sort === "changing").map(({ node }) => node).sort(), [1, 2, 3]);
  assert.deepEqual(views.map(({ view, isChanging }) => [view, isChanging]), [[0, false], [1, true], [1, false]]);
  assert.deepEqual(bands.filter(({ sort }) => sort === "faulty").map(({ node, label }) => [node, label]), [[3, "malicious"]]);
});

test("a quorum is marked at the vote that fills it, and says whose votes it has", () => {
  const run = made();
  const quorums = pictureOf(run).glyphs.filter(({ sort }) => sort === "quorum");
  // In each of three slots every node has a quorum of prepares and one of commits.
  assert.equal(quorums.length, 3 * 4 * 2);
  for (const { step, node, t } of quorums) {
    assert.equal(run.at(step).node, node);
    assert.equal(run.timeOf(step), t);
  }
  assert.match(quorums[0].tells, /has a quorum\. It holds 3 prepare votes for value B in slot 1, from nodes \d, \d and \d\./);
});

test("slots are drawn in the order of their phases, and share a row if they follow each other", () => {
  const { slots, slotRows } = pictureOf(made({ pause: 10_000 }));
  // The last replies of a slot come while the next one begins.
  assert.ok(slots[0].to > slots[1].from);
  assert.equal(slotRows, 1);
  for (const { phases } of slots) {
    assert.deepEqual([...new Set(phases.map(({ kind }) => kind))], ["pre-prepare", "prepare", "commit", "reply"]);
    for (let at = 1; at < phases.length; at++) assert.ok(phases[at].from >= phases[at - 1].to);
  }
  const bars = [{ from: 0, to: 5, row: 0 }, { from: 3, to: 8, row: 0 }, { from: 5, to: 9, row: 0 }];
  assert.equal(putInRows(bars, ({ to }) => to), 2);
  assert.deepEqual(bars.map(({ row }) => row), [0, 1, 0]);
});

test("lanes fill the height, and are never lower than can be read", () => {
  const lanes = layLanes(4, 300, new Set());
  assert.equal(lanes.ids[0], CLIENTS);
  assert.ok(lanes.total <= 300 && lanes.total > 250);
  for (const id of lanes.ids) assert.equal(laneAt(lanes, middleOf(lanes, id)), id);
  assert.ok(layLanes(100, 300, new Set()).heights.every((height) => height >= 14));
  const half = layLanes(4, 300, new Set([1, 2]));
  assert.ok(half.heights[2] < 10 && half.heights[1] > lanes.heights[1] - 1);
});

test("what is under the pointer is what is drawn there", () => {
  const run = made();
  const picture = pictureOf(run);
  const stage = {
    run, picture, fold: STRAIGHT, span: { from: 0, to: run.endTime }, seen: { from: 0, to: run.endTime },
    lanes: layLanes(4, 300, new Set()), width: 4000, colours: {}, filters: NO_FILTERS,
  };
  assert.ok(Math.abs(timeAt(stage, xOf(stage, 123_456)) - 123_456) < 1);
  const flight = run.flight(1);
  const at = (part) => [
    xOf(stage, flight.departs + (flight.ends - flight.departs) * part),
    middleOf(stage.lanes, flight.from) * (1 - part) + middleOf(stage.lanes, flight.to) * part,
  ];
  assert.deepEqual(hitAt(stage, ...at(0.31), 3), { is: "flight", flight: 1 });
  const executed = picture.glyphs.find(({ sort }) => sort === "executed");
  const hit = hitAt(stage, xOf(stage, executed.t), middleOf(stage.lanes, executed.node) + 11, 3);
  assert.equal(hit.glyph, executed);
  assert.equal(hitAt(stage, 3999, 2, 3), null);
  const hidden = { ...stage, filters: { ...NO_FILTERS, hidden: new Set([flight.line.kind]) } };
  assert.notDeepEqual(hitAt(hidden, ...at(0.31), 3), { is: "flight", flight: 1 });
});

// ---- Two runs ----

test("a preset changes one thing, and is known again by its scenario", () => {
  const plain = { protocol: "pbft", nodes: 7, app: "kv", network: "lan", seed: 3 };
  const full = { ...plain, faults: { 2: ["malicious"] }, edits: [{ edit: "crash", at_us: 5, node: 1 }] };
  for (const scenario of [plain, full]) {
    for (const preset of PRESETS) {
      const second = preset.apply(scenario);
      if (!second) continue;
      assert.notDeepEqual(second, scenario);
      const reordered = Object.fromEntries(Object.entries(second).reverse());
      assert.equal(presetOf(scenario, reordered)?.name, preset.name);
    }
  }
  assert.equal(PRESETS.find(({ name }) => name === "faults").apply(full).faults, undefined);
  assert.equal(PRESETS.find(({ name }) => name === "faults").apply(plain), null);
  assert.deepEqual(Object.keys(PRESETS.find(({ name }) => name === "malicious").apply(plain).faults), ["5", "6"]);
});

test("a tally counts what has been by a moment", () => {
  const run = made();
  assert.deepEqual(tallyAt(run, 0), { messages: 0, bytes: 0, decided: 0, asked: 0, meanWait: null });
  const end = tallyAt(run, run.endTime);
  assert.equal(end.messages, run.flightCount);
  assert.equal(end.decided, 3);
  const { waits } = pictureOf(run);
  assert.equal(end.meanWait, waits.reduce((sum, { from, to }) => sum + to - from, 0) / 3);
  assert.equal(tallyAt(run, waits[0].to).decided, 1);
  assert.equal(tallyAt(run, waits[0].to - 1).decided, 0);
  assert.equal(ratio(4, 10), "2.50×");
  assert.equal(ratio(0, 10), "–");
  assert.equal(ratio(null, 10), "–");
});
