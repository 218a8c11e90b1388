// Quorum counters: votes as they come, for one slot, at every replica or at the one that is selected.

import { signal } from "@preact/signals";
import { lookOf, valueName } from "./looks";
import { Overlap } from "./overlap";
import { type Counter, hasCertificates, type Run } from "./run";
import { run, selected, step } from "./store";
import { slotOf } from "./sentences";

/** The slot that is shown: the one of the moment if null. */
const pinned = signal<number | null>(null);
/** The counter whose overlap is shown, by its key; the latest one if none. */
const opened = signal<string | null>(null);

const MOST_NODES = 10;

export function Quorums() {
  const now = run.value;
  if (!now) return null;
  const at = step.value;
  const seq = pinned.value ?? slotAt(now, at);
  if (seq === null) return <p class="empty">No votes yet.</p>;
  // Secure broadcast has one round of votes.
  const isOneRound = now.header.protocol === "broadcast";
  const phases = isOneRound ? ["prepare"] as const : ["prepare", "commit"] as const;
  const selection = selected.value;
  const chosen = selection && "node" in selection ? selection.node : null;
  const nodes = chosen !== null ? [chosen] : Array.from({ length: Math.min(now.header.nodes, MOST_NODES) }, (_, node) => node);
  const counters = nodes.flatMap((node) => now.counters(node, at).filter((counter) => counter.seq === seq));
  const latest = counters.filter((counter) => counter.filledAt >= 0 && counter.filledAt <= at).sort((a, b) => b.filledAt - a.filledAt)[0];
  const shown = counters.find((counter) => keyOf(counter) === opened.value) ?? latest ?? counters[0];
  return (
    <section class="quorums" aria-label="Quorum counters">
      <div class="section-head">
        <h3>Votes for slot {seq}</h3>
        <label class="check"><input type="checkbox" checked={pinned.value !== null} onChange={() => (pinned.value = pinned.value === null ? seq : null)} /> stay at this slot</label>
      </div>
      <table class="counters">
        <thead><tr><th scope="col">at</th>{phases.map((phase) => <th scope="col">{isOneRound ? "validated" : phase}</th>)}</tr></thead>
        <tbody>
          {nodes.map((node) => (
            <tr>
              <th scope="row">{node}</th>
              {phases.map((phase) => (
                <td>
                  <div class="meters">
                    {counters.filter((counter) => counter.node === node && counter.phase === phase)
                      .map((counter) => <Meter run={now} counter={counter} isOpen={counter === shown} />)}
                  </div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {hasCertificates(now.header.protocol) && <p class="hint">All {now.header.nodes} prepare votes decide at once (the fast path); {now.header.quorum} need a second phase.</p>}
      {chosen === null && now.header.nodes > MOST_NODES && <p class="hint">Nodes 0 to {MOST_NODES - 1}; select another one in the graph to see its votes.</p>}
      {shown && <Overlap run={now} counter={shown} voters={now.voters(shown, at)} step={at} />}
    </section>
  );
}

function keyOf({ node, view, seq, phase, value }: Counter): string {
  return `${node} ${view} ${seq} ${phase} ${value}`;
}

/** The slot of the last step that is about one. */
function slotAt(now: Run, step: number): number | null {
  for (let i = step; i >= Math.max(0, step - 2000); i--) {
    const at = now.at(i);
    if (at.is === "vote" || at.is === "mark" || at.is === "departure" || at.is === "arrival") {
      const seq = slotOf(at);
      if (seq !== null && seq > 0) return seq;
    }
  }
  return null;
}

function Meter({ run: now, counter, isOpen }: { run: Run; counter: Counter; isOpen: boolean }) {
  const { nodes, quorum } = now.header;
  const voters = now.voters(counter, step.value);
  const isFull = voters.length >= quorum;
  const text = `${voters.length}/${nodes}, needs ${quorum}`;
  const width = nodes <= 4 ? nodes * 14 : nodes <= 16 ? 52 : 46;
  const each = width / nodes;
  return (
    <button class="meter" data-full={isFull} aria-pressed={isOpen} onClick={() => (opened.value = keyOf(counter))}
      title={`For ${valueName(counter.value)}${counter.view === null ? "" : ` in view ${counter.view}`}: votes of ${voters.join(", ")}`}>
      <b>{valueName(counter.value)}</b>
      <svg width={width} height="14" viewBox={`0 0 ${width} 14`} aria-hidden="true">
        {Array.from({ length: nodes }, (_, place) => {
          const voter = voters[place];
          return (
            <g transform={`translate(${place * each} 0)`}>
              <rect x="0.5" y="0.5" width={Math.max(each - 1.5, 1)} height="13" class={voter === undefined ? "pip" : "pip full"} style={voter === undefined ? {} : { fill: lookOf(counter.phase).colour }} />
              {voter !== undefined && each >= 11 && <text x={each / 2 - 0.5} y="10.5" text-anchor="middle">{voter}</text>}
            </g>
          );
        })}
        <line x1={quorum * each - 0.5} x2={quorum * each - 0.5} y1="-1" y2="15" class="needs" />
      </svg>
      <span>{text}{isFull ? " ✓" : ""}</span>
    </button>
  );
}
