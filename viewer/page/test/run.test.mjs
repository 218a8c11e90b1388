import assert from "node:assert/strict";
import test from "node:test";
import { Run } from "../src/run";
import { parseTrace } from "../src/trace";
import { holdings, otherQuorum, slots } from "../src/agreement";
import { sample } from "./sample.mjs";

const MS = 1_000_000;
const made = (options) => new Run(parseTrace(sample(options)));
/** The same by going through all steps up to one: what a history must agree with. */
const upTo = (run, step) => Array.from({ length: step + 1 }, (_, index) => run.at(index));

test("steps are in the order of time, and nothing arrives before it leaves", () => {
  const run = made({ nodes: 7, slots: 3 });
  const steps = upTo(run, run.length - 1);
  for (let i = 1; i < steps.length; i++) assert.ok(steps[i].t >= steps[i - 1].t);
  const left = new Set();
  for (const step of steps) {
    if (step.is === "departure") for (const flight of run.flightsOf(step.index)) left.add(flight.index);
    if (step.is === "arrival") assert.ok(left.has(step.flight.index));
  }
  assert.equal(left.size, run.flightCount);
});

test("a moment's state is the same however one gets there", () => {
  const run = made({ slots: 150 });
  for (const step of [run.length - 1, 3000, -1, 0, 17, 200, 5000, 5001, 4999, run.length - 1]) {
    const seen = upTo(run, step);
    for (let node = 0; node < 4; node++) {
      const executed = seen.filter(({ line }) => line.is === "state" && line.node === node && line.last_executed !== undefined);
      assert.equal(run.replica(node, step).lastExecuted, executed.at(-1)?.line.last_executed ?? 0);
      const changes = seen.filter(({ line }) => line.is === "app" && line.node === node);
      assert.deepEqual(Object.fromEntries(run.app(node, step)), Object.assign({}, ...changes.map(({ line }) => line.set)));
    }
  }
});

test("who the commander is, is known before the first step", () => {
  const run = made();
  for (let node = 0; node < 4; node++) assert.equal(run.replica(node, -1).commander, 0);
});

test("the votes of a node itself and of the commander's proposal count", () => {
  const run = made();
  const [counter] = run.counters(2, run.length - 1).filter(({ phase, seq }) => phase === "prepare" && seq === 1);
  assert.deepEqual(run.voters(counter, run.length - 1).toSorted(), [0, 1, 2, 3]);
  assert.equal(run.voters(counter, counter.filledAt).length, 3);
  assert.equal(run.voters(counter, counter.filledAt - 1).length, 2);
});

test("what is on its way at a time is what has left and not arrived", () => {
  const run = made({ nodes: 10, slots: 3 });
  for (const time of [0, 10 * MS, 10.5 * MS, 11.005 * MS, 14.5 * MS, 25 * MS]) {
    const wanted = [];
    for (let i = 0; i < run.flightCount; i++) {
      const flight = run.flight(i);
      if (flight.departs <= time && flight.ends > time) wanted.push(i);
    }
    assert.deepEqual(run.flightsAt(time).map(({ index }) => index), wanted);
  }
});

test("back undoes next, whatever the distance", () => {
  const run = made({ slots: 3 });
  for (const by of ["event", "message", "phase", "slot"]) {
    const stops = [];
    for (let at = run.next(-1, by); at > (stops.at(-1) ?? -1); at = run.next(at, by)) stops.push(at);
    assert.ok(stops.length > 2, by);
    for (let i = 1; i < stops.length - 1; i++) assert.equal(run.back(stops[i], by), stops[i - 1], by);
    assert.equal(run.back(stops[0], by), -1);
  }
});

test("a run without a step can be asked as well", () => {
  const text = sample({ slots: 0 }).split("\n").filter((line) => line.includes("bft-trace") || line.includes('"end"'));
  const run = new Run(parseTrace(text.join("\n")));
  assert.equal(run.length, 0);
  assert.equal(run.next(-1, "message"), -1);
  assert.deepEqual(run.totals(-1), { messages: 0, bytes: 0, lost: 0 });
  assert.equal(run.replica(0, -1).up, true);
});

test("a copy is found by its ordinal", () => {
  const run = made({ slots: 2 });
  for (const index of [0, 4, run.flightCount - 1]) assert.equal(run.copy(run.flight(index).copy).index, index);
  assert.equal(run.copy(1_000_000), null);
});

test("two quorums share as many as the text says, and the faulty first", () => {
  assert.deepEqual(otherQuorum(4, 3, [0, 1, 2], (node) => node === 2, 0), [0, 2, 3]);
  for (let n = 1; n <= 31; n++) {
    const f = Math.floor((n - 1) / 3), quorum = Math.ceil((n + f + 1) / 2);
    const voters = Array.from({ length: quorum }, (_, node) => node);
    const other = otherQuorum(n, quorum, voters, () => false, 3);
    assert.equal(new Set(other).size, quorum);
    assert.equal(other.filter((node) => voters.includes(node)).length, 2 * quorum - n);
    assert.ok(2 * quorum - n > f);
  }
});

test("different values in one slot are seen, and a replica that is behind is not", () => {
  const text = sample({ slots: 2 }).replace('"node":3,"mark":"executed","seq":2,"value":1', '"node":3,"mark":"executed","seq":2,"value":0');
  const run = new Run(parseTrace(text));
  const [second, first] = slots(run, run.length - 1, 6);
  assert.deepEqual([second.differs, first.differs], [true, false]);
  const before = run.find(({ line }) => line.is === "state" && line.last_executed === 1);
  const replicas = [0, 1, 2, 3].map((node) => run.replica(node, before));
  assert.deepEqual(holdings(run, before, replicas).behind, [1, 2, 3]);
});
