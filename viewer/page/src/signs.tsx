// What the signs of the drawings mean.

import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { clear, colours } from "./canvas";
import { paintSign } from "./glyphs";
import { KindSign, VoteRing } from "./graph";
import type { Glyph } from "./picture";
import { run } from "./store";

type Sign = Pick<Glyph, "sort" | "label" | "kind">;

const SIGNS: [sign: Sign, means: string][] = [
  [{ sort: "quorum", label: "", kind: "prepare" }, "a quorum is full: the last vote that it needed has come"],
  [{ sort: "certificate", label: "" }, "the communication node sends a certificate"],
  [{ sort: "executed", label: "3" }, "slot 3 is executed"],
  [{ sort: "stable", label: "" }, "a checkpoint is stable"],
  [{ sort: "rejected", label: "" }, "a message is refused, or lost on its way"],
  [{ sort: "contradiction", label: "" }, "somebody votes twice, for different values"],
  [{ sort: "diverged", label: "" }, "its state is not the one that a quorum vouches for"],
  [{ sort: "leaves", label: "" }, "votes to leave for the next view; striped until that begins"],
  [{ sort: "fallback", label: "" }, "falls back: its votes go to all nodes"],
  [{ sort: "rotation", label: "" }, "another communication node will be named"],
  [{ sort: "crash", label: "" }, "crashes"],
  [{ sort: "restart", label: "" }, "starts again, or has recovered"],
  [{ sort: "adopted", label: "" }, "takes over the state of the others"],
  [{ sort: "change", label: "faulty" }, "becomes faulty, or is healed"],
];

/** The kinds of messages of this run, and the signs of the space-time diagram. */
export function Signs() {
  return (
    <>
      <h3>Messages of this run</h3>
      <ul class="signs">{(run.value?.kinds ?? []).map((kind) => <li key={kind}><KindSign kind={kind} />{kind}</li>)}</ul>
      <h3>In the message graph</h3>
      <ul class="signs">
        <li><NodeSign><VoteRing at={{ x: 10, y: 9 }} radius={5} votes={{ phase: "prepare", share: 0.67 }} /></NodeSign>the votes that it counts, of those that it needs; a full ring is a quorum</li>
        <li><NodeSign><circle class="role-ring" cx="10" cy="9" r="8.6" /></NodeSign>a second ring: the commander; with rays: the communication node</li>
      </ul>
      <h3>In the space-time diagram</h3>
      <ul class="signs">{SIGNS.map(([sign, means]) => <li key={sign.sort}><GlyphSign sign={sign} />{means}</li>)}</ul>
    </>
  );
}

function NodeSign({ children }: { children: ComponentChildren }) {
  return <svg viewBox="0 0 20 18" aria-hidden="true"><circle class="node-shape honest" cx="10" cy="9" r="7" />{children}</svg>;
}

function GlyphSign({ sign }: { sign: Sign }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const palette = colours.value;
    if (ref.current) paintSign(clear(ref.current, 20, 18), sign, { x: 10, y: 9, size: 5.5 }, palette);
  });
  return <canvas class="glyph-sign" ref={ref} aria-hidden="true" />;
}
