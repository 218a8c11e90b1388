// Plays every lesson with the module: each of its moments must be there, and its scenarios
// must be playable.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { findMoment } from "../src/moment";
import { Run } from "../src/run";
import { parseTrace } from "../src/trace";

const { instance } = await WebAssembly.instantiate(readFileSync(process.env["VIEWER_MODULE"]), {});
const { memory, alloc, call, release } = instance.exports;

function ask(question) {
  const input = new TextEncoder().encode(JSON.stringify(question));
  const at = alloc(input.length);
  new Uint8Array(memory.buffer).set(input, at);
  const packed = BigInt.asUintN(64, call(at, input.length));
  const [pointer, length] = [Number(packed >> 32n), Number(packed & 0xffff_ffffn)];
  const answer = new TextDecoder().decode(new Uint8Array(memory.buffer, pointer, length));
  release(pointer, length);
  return JSON.parse(answer);
}

function play(scenario) {
  const { trace, errors } = ask({ do: "play", scenario });
  assert.equal(errors, undefined, JSON.stringify(errors));
  return new Run(parseTrace(trace));
}

const { lessons } = ask({ do: "lessons" });

test("there are nine lessons", () => assert.equal(lessons.length, 9));

for (const lesson of lessons) {
  test(`every moment of ${lesson.name} is in its run`, () => {
    let run = play(lesson.scenario), at = -1;
    for (const [place, step] of lesson.steps.entries()) {
      if (step.scenario) [run, at] = [play(step.scenario), -1];
      if (!step.at) continue;
      const found = findMoment(run, step.at, at);
      assert.ok(found >= 0, `step ${place + 1}: ${JSON.stringify(step.at)}`);
      at = found;
    }
    if (lesson.compare) play(lesson.compare);
    if (lesson.try.scenario) play(lesson.try.scenario);
  });
}
