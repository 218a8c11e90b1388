// Traces made up for tests: the votes of PBFT, without its rules.

import type { Line, MessageLine, Trace, VotePhase } from "../src/trace";

export interface Wish {
  nodes: number;
  requests: number;
  /** After this many requests node 0 crashes, and node 1 is the commander of view 1. */
  crashAfter?: number;
  /** One copy of each so many is lost. */
  loseEvery?: number;
  /** From the last execution of a slot to the next proposal, nanoseconds. */
  pause?: number;
}

/** A number from 0 to 1 that looks drawn. */
function drawn(seed: number): number {
  const x = Math.sin(seed * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}

class Maker {
  readonly lines: Line[] = [];
  private copy = 0;
  constructor(readonly wish: Wish) {}

  /** Sends a message to nodes, and says when it arrives at each. */
  send(t: number, from: number, kind: string, view: number, seq: number, to: number[]): Map<number, number> {
    const arrives = new Map<number, number>();
    const line: MessageLine = {
      is: "message", t, from, kind, content: 0, view, seq, value: seq, bytes: 200 + kind.length, copy: this.copy, to: [],
    };
    for (const node of to) {
      const at = Math.round(t + 80_000 + 60_000 * drawn(this.copy));
      const isLost = this.wish.loseEvery !== undefined && this.copy % this.wish.loseEvery === this.wish.loseEvery - 1;
      line.to.push([node, isLost ? [] : [at]]);
      if (!isLost) arrives.set(node, at);
      this.copy += 1;
    }
    this.lines.push(line);
    return arrives;
  }

  /** Everybody in `up` votes at a time of its own; returns when each has heard a quorum. */
  votes(cast: Map<number, number>, phase: VotePhase, view: number, seq: number, quorum: number): Map<number, number> {
    const heard = new Map<number, number[]>();
    for (const [author, t] of cast) {
      this.lines.push({ is: "mark", t, node: author, mark: "voted", phase, view, seq, value: seq });
      heard.set(author, [...(heard.get(author) ?? []), t]);
      for (const [node, at] of this.send(t, author, phase, view, seq, [...cast.keys()].filter((node) => node !== author))) {
        this.lines.push({ is: "vote", t: at, node, author, phase, seq, value: seq });
        heard.set(node, [...(heard.get(node) ?? []), at]);
      }
    }
    const full = new Map<number, number>();
    for (const [node, times] of heard) {
      const at = times.sort((a, b) => a - b)[quorum - 1];
      if (at !== undefined) full.set(node, at);
    }
    return full;
  }
}

export function synthetic(wish: Wish): Trace {
  const { nodes, requests, crashAfter, pause = 200_000 } = wish;
  const f = Math.floor((nodes - 1) / 3);
  const quorum = Math.ceil((nodes + f + 1) / 2);
  const maker = new Maker(wish);
  const { lines } = maker;
  const everybody = Array.from({ length: nodes }, (_, node) => node);
  for (const node of everybody) lines.push({ is: "state", t: 0, node, view: 0, commander: 0, last_executed: 0 });
  let t = 10_000, view = 0;
  let up = everybody;
  for (let seq = 1; seq <= requests; seq++) {
    lines.push({ is: "request", t, request: seq - 1, gateway: 1 % nodes, asks: `request ${seq}` });
    if (crashAfter === seq - 1 && nodes > 1) {
      lines.push({ is: "node", t: t + 1000, node: 0, change: "crashed" });
      up = everybody.filter((node) => node !== 0);
      for (const node of up) lines.push({ is: "mark", t: t + 400_000 + node * 5000, node, mark: "left-for", view: 1 });
      const began = maker.send(t + 600_000, 1, "new-view", 1, seq, up.filter((node) => node !== 1));
      for (const [node, at] of began.set(1, t + 600_000)) {
        lines.push({ is: "mark", t: at, node, mark: "view-began", view: 1 }, { is: "state", t: at, node, view: 1, commander: 1 });
      }
      view = 1;
      t += 900_000;
    }
    const commander = view;
    lines.push({ is: "mark", t, node: commander, mark: "proposed", view, seq, value: seq, requests: 1 });
    const proposed = maker.send(t, commander, "pre-prepare", view, seq, up.filter((node) => node !== commander));
    const prepared = maker.votes(proposed.set(commander, t), "prepare", view, seq, quorum);
    const committed = maker.votes(prepared, "commit", view, seq, quorum);
    let answers = 0;
    for (const [node, at] of [...committed].sort((a, b) => a[1] - b[1])) {
      lines.push({ is: "mark", t: at, node, mark: "executed", seq, value: seq, requests: 1, chain: "00" });
      lines.push({ is: "state", t: at, node, last_executed: seq });
      const arrives = [...maker.send(at, node, "reply", view, seq, [1 % nodes]).values()][0];
      answers += 1;
      if (answers === f + 1) lines.push({ is: "answer", t: arrives ?? at, request: seq - 1, seq, view, result: "ok" });
    }
    t = Math.max(...committed.values()) + pause;
  }
  lines.sort((a, b) => a.t - b.t);
  const values = Array.from({ length: requests + 1 }, (_, value) => value.toString(16).padStart(8, "0"));
  return {
    header: {
      format: "bft-trace", version: 1, protocol: "pbft", app: "opaque", nodes, f, quorum, clock: "virtual",
      title: "made up", scenario: {}, ...(nodes > 3 ? { faults: { [nodes - 1]: ["malicious"] } } : {}),
    },
    lines, values, contents: [null], end: { end: true, lines: lines.length, t },
  };
}
