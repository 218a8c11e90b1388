import assert from "node:assert/strict";
import test from "node:test";
import { FAULT_KINDS, faultOf, partsOf } from "../src/faults";
import { isScenario, notWhole } from "../src/scenario";

test("a fault that is taken apart and put together is the same", () => {
  for (const fault of ["malicious", "drop=0.5[seq=1..3][to=1;2]", "equivocate=victim;0;1", "gateway-last=300ms;1;2[after=2s]", "bad-state=bit"]) {
    assert.equal(faultOf(partsOf(fault)), fault);
  }
  assert.equal(new Set(FAULT_KINDS.map(({ kind }) => kind)).size, 21);
});

test("what is no scenario is told apart", () => {
  const good = { protocol: "pbft", nodes: 4, app: "bank" };
  assert.ok(isScenario(good) && isScenario({ ...good, faults: { 0: ["malicious"] }, edits: [{ edit: "lose", copy: 1 }] }));
  assert.ok(isScenario({ ...good, network: { delay: { uniform_us: [1, 2] }, partition: [{ groups: [[0]], from_us: 0, until_us: 1 }] } }));
  for (const bad of [null, 1, [], {}, { ...good, nodes: "4" }, { ...good, faults: { 0: "malicious" } }, { ...good, operations: [1] }, { ...good, edits: [null] }, { ...good, edits: [{ edit: "behave", at_us: 1, node: 0 }] }, { ...good, network: null }, { ...good, network: { delay: null } }, { ...good, network: { partition: [{}] } }]) {
    assert.ok(!isScenario(bad), JSON.stringify(bad));
  }
});

test("numbers that are not whole are named", () => {
  const scenario = { protocol: "pbft", nodes: 4.5, app: "bank", seed: -1, requests: 3 };
  assert.deepEqual(notWhole(scenario).map(({ field }) => field), ["nodes", "seed"]);
});
