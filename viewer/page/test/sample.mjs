// A small trace in the form of the format, made without the module: PBFT with `nodes` replicas
// that keep the rules, `slots` slots, each message a millisecond on its way.

const MS = 1_000_000;

export function sample({ nodes = 4, slots = 2, html = false } = {}) {
  const f = Math.floor((nodes - 1) / 3);
  const quorum = Math.ceil((nodes + f + 1) / 2);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const lines = [];
  const definitions = [];
  let copy = 0, contents = 0;
  const send = (t, from, kind, seq, recipients, body) => {
    definitions.push({ is: "content", id: contents, body });
    lines.push({
      is: "message", t, from, kind, content: contents++, view: 0, seq, value: seq - 1, bytes: 200, copy,
      to: recipients.map((to, at) => [to, [t + MS + at * 1000]]),
    });
    copy += recipients.length;
  };
  const others = (node) => all.filter((other) => other !== node);
  for (const node of all) lines.push({ is: "state", t: 0, node, recovering: false, diverged: false, last_executed: 0, in_flight: 0, view: 0, changing_view: false, commander: 0, stable_checkpoint: 0 });
  for (let seq = 1; seq <= slots; seq++) {
    const t = seq * 10 * MS;
    const value = seq - 1;
    definitions.push({ is: "value", id: value, digest: `${seq}f`.repeat(32) });
    lines.push({ is: "request", t, request: seq - 1, gateway: 1, asks: html ? "<img src=x onerror=alert(1)>" : { Deposit: { account: "a", amount: 5 } } });
    lines.push({ is: "mark", t, node: 0, mark: "proposed", view: 0, seq, value, requests: 1 });
    send(t, 0, "pre-prepare", seq, others(0), { PrePrepare: { seq, text: html ? "<img src=x onerror=alert(1)>" : "deposit" } });
    for (const node of others(0)) {
      lines.push({ is: "vote", t: t + 2 * MS, node, author: 0, phase: "pre-prepare", seq, value });
      lines.push({ is: "mark", t: t + 2 * MS, node, mark: "accepted", seq, value });
      lines.push({ is: "mark", t: t + 2 * MS, node, mark: "voted", phase: "prepare", view: 0, seq, value });
      send(t + 2 * MS, node, "prepare", seq, others(node), { Prepare: { seq } });
    }
    for (const node of all) {
      for (const author of others(node).filter((author) => author !== 0)) lines.push({ is: "vote", t: t + 4 * MS, node, author, phase: "prepare", seq, value });
      lines.push({ is: "mark", t: t + 4 * MS, node, mark: "voted", phase: "commit", view: 0, seq, value });
      send(t + 4 * MS, node, "commit", seq, others(node), { Commit: { seq } });
    }
    for (const node of all) {
      for (const author of others(node)) lines.push({ is: "vote", t: t + 6 * MS, node, author, phase: "commit", seq, value });
      lines.push({ is: "mark", t: t + 6 * MS, node, mark: "committed", view: 0, seq, value, path: "two-phase" });
      lines.push({ is: "mark", t: t + 6 * MS, node, mark: "executed", seq, value, requests: 1, chain: "ab" });
      lines.push({ is: "state", t: t + 6 * MS, node, last_executed: seq });
      lines.push({ is: "app", t: t + 6 * MS, node, as_of: seq, set: { a: String(5 * seq), [`slot ${seq}`]: "1" } });
      if (node !== 1) send(t + 6 * MS, node, "reply", seq, [1], { Reply: { result: 5 * seq } });
    }
    lines.push({ is: "answer", t: t + 8 * MS, request: seq - 1, seq, view: 0, result: 5 * seq });
  }
  lines.sort((a, b) => a.t - b.t);
  const header = { format: "bft-trace", version: 1, protocol: "pbft", app: "bank", nodes, f, quorum, clock: "virtual", title: "a sample" };
  const end = { end: true, lines: lines.length + definitions.length, t: (slots * 10 + 9) * MS };
  return [header, ...definitions, ...lines, end].map((line) => JSON.stringify(line)).join("\n") + "\n";
}
