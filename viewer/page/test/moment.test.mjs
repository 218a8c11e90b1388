import assert from "node:assert/strict";
import test from "node:test";
import { findMoment } from "../src/moment";
import { Run } from "../src/run";
import { parseTrace } from "../src/trace";
import { sample } from "./sample.mjs";

const run = new Run(parseTrace(sample({ slots: 2 })));

test("moments are found by what happens", () => {
  const proposed = findMoment(run, { mark: "proposed", seq: 2 }, -1);
  assert.deepEqual([run.at(proposed).line.mark, run.at(proposed).line.seq], ["proposed", 2]);
  const arrival = findMoment(run, { is: "arrival", kind: "commit", from: 2, to: 3 }, proposed);
  assert.deepEqual([run.at(arrival).flight.from, run.at(arrival).flight.to, run.at(arrival).line.seq], [2, 3, 2]);
  const full = findMoment(run, { is: "quorum", node: 1, phase: "commit" }, -1);
  assert.deepEqual([run.at(full).is, run.at(full).node], ["vote", 1]);
  assert.equal(findMoment(run, { end: true }, -1), run.length - 1);
});

test("the nth is counted from the moment before", () => {
  const [first, second] = [1, 2].map((nth) => findMoment(run, { mark: "executed", node: 0, nth }, -1));
  assert.equal(findMoment(run, { mark: "executed", node: 0 }, first), second);
  assert.equal(findMoment(run, { mark: "executed", node: 0, nth: 3 }, -1), -1);
});
