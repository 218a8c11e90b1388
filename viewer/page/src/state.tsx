// The state of every replica, and where they differ.

import { commonest, holdings, slots, type Cell } from "./agreement";
import { healthOf, roleOf, valueName } from "./looks";
import { Quorums } from "./quorums";
import type { Replica, Run } from "./run";
import { run, selected, step } from "./store";
import type { Protocol } from "./trace";

const MOST_SLOTS = 6;
const MOST_ENTRIES = 40;

export function State() {
  const now = run.value;
  if (!now) return <p class="empty">No run yet.</p>;
  const replicas = Array.from({ length: now.header.nodes }, (_, node) => now.replica(node, step.value));
  return (
    <div class="state-body" tabIndex={0}>
      <Quorums />
      <Replicas now={now} replicas={replicas} />
      <Slots now={now} replicas={replicas} />
      <Application now={now} replicas={replicas} />
    </div>
  );
}

type Column = [name: string, title: string, value: (replica: Replica) => string];
const COLUMNS: Column[] = [
  ["view", "the view it is in; … while it changes it", ({ view, changingView }) => (view === null ? "–" : `${view}${changingView ? "…" : ""}`)],
  ["done", "the last slot that it executed", ({ lastExecuted }) => String(lastExecuted)],
  ["chk", "its last stable checkpoint", ({ stableCheckpoint }) => String(stableCheckpoint ?? "–")],
  ["trust", "how far it trusts itself after the last round: 1 to 10", ({ trust }) => (trust === null ? "–" : trust.toFixed(2))],
  ["cert", "the certificate that it got last", ({ certificate }) => (certificate ? `${certificate.kind} ${certificate.seq}` : "–")],
];

/** Columns that say nothing of a protocol. */
const MISSING: { [protocol in Protocol]: string[] } = {
  "pbft": ["trust"], "pbft-mac": ["trust", "cert"], "pbft-mac-requests": ["trust", "cert"], "ccro": ["trust"], "ccro-aggregate": ["trust"], "ccro-paper": ["view", "chk"], "broadcast": ["view", "chk", "trust", "cert"],
};

/** A node is marked on a click, here and in the graph. */
function choose(node: number): void {
  const before = selected.peek();
  selected.value = before && "node" in before && before.node === node ? null : { node };
}

function Replicas({ now, replicas }: { now: Run; replicas: Replica[] }) {
  const missing = MISSING[now.header.protocol];
  const columns = COLUMNS.filter(([name]) => !missing.includes(name));
  const common = columns.map(([, , value]) => commonest(replicas.filter((replica) => replica.up).map(value)));
  const selection = selected.value;
  return (
    <section aria-label="Replicas">
      <h3>Replicas</h3>
      <table class="replicas">
        <thead><tr><th scope="col">node</th><th scope="col">is</th>{columns.map(([name, title]) => <th scope="col" title={title}>{name}</th>)}</tr></thead>
        <tbody>
          {replicas.map((replica, node) => (
            <tr data-chosen={selection !== null && "node" in selection && selection.node === node} data-health={healthOf(replica)}>
              <th scope="row"><button class="link" onClick={() => choose(node)}>{node}</button></th>
              <td title={replica.faults.join(", ")}><Is now={now} node={node} replica={replica} /></td>
              {columns.map(([name, , value], place) => {
                const text = value(replica);
                return text === common[place] || name === "trust" || name === "cert" ? <td>{text}</td> : <td class="differs" title={`most have ${common[place]}`}>≠ {text}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const SIGNS = { honest: "●", faulty: "◆", down: "✕", recovering: "◌" } as const;

function Is({ now, node, replica }: { now: Run; node: number; replica: Replica }) {
  const role = roleOf(now, node, step.value);
  const health = healthOf(replica);
  const short = role === "communication node" ? "comm. node" : role;
  return (
    <>
      <span class={`sign ${health}`} aria-hidden="true">{SIGNS[health]}</span> {short}
      {health !== "honest" && <span class={`word ${health}`}> {health}</span>}
      {replica.diverged && <span class="word faulty"> diverged</span>}
    </>
  );
}

const PROGRESS_SIGNS = { accepted: "◔", prepared: "◑", committed: "◕", executed: "●" } as const;

function Slots({ now, replicas }: { now: Run; replicas: Replica[] }) {
  const list = slots(now, step.value, MOST_SLOTS);
  if (list.length === 0) return null;
  const isWide = replicas.length > 16;
  const cell = (cell: Cell | null, common: number | undefined) => {
    if (!cell) return <td class="num">·</td>;
    const differs = cell.value !== common;
    return (
      <td class={differs ? "differs" : ""} title={`${cell.progress} ${valueName(cell.value)}`}>
        {differs && !isWide ? "≠" : ""}{PROGRESS_SIGNS[cell.progress]}{isWide ? "" : valueName(cell.value)}
      </td>
    );
  };
  return (
    <section aria-label="Slots">
      <h3>Slots</h3>
      <div class="scroll">
        <table class="slots">
          <thead><tr><th scope="col">slot</th>{replicas.map((_, node) => <th scope="col">{node}</th>)}</tr></thead>
          <tbody>
            {list.map((slot) => {
              const common = commonest(slot.cells.flatMap((cell) => (cell ? [cell.value] : [])));
              return <tr data-differs={slot.differs}><th scope="row">{slot.seq}</th>{slot.cells.map((it) => cell(it, common))}</tr>;
            })}
          </tbody>
        </table>
      </div>
      <p class="hint">◔ accepted ◑ prepared ◕ decided ● executed; a letter is a value</p>
      {list.filter((slot) => slot.differs).map((slot) => (
        <p class="problem">≠ In slot {slot.seq}, replicas have decided different values{isHonest(replicas, slot.cells) ? ", and honest ones are among them: this is a disagreement" : ", but only one by those that keep the rules"}.</p>
      ))}
    </section>
  );
}

/** Whether honest replicas have decided more than one value. */
function isHonest(replicas: Replica[], cells: (Cell | null)[]): boolean {
  const decided = cells.filter((cell, node) => cell && replicas[node]!.faults.length === 0 && (cell.progress === "committed" || cell.progress === "executed"));
  return new Set(decided.map((cell) => cell!.value)).size > 1;
}

const APP_NAMES = { bank: "Balances", kv: "Keys and values", orswot: "Members of the set", opaque: "The log of texts" } as const;

function Application({ now, replicas }: { now: Run; replicas: Replica[] }) {
  const { entries, behind } = holdings(now, step.value, replicas);
  const shown = entries.slice(0, MOST_ENTRIES);
  return (
    <section aria-label="Application">
      <h3>{APP_NAMES[now.header.app]}</h3>
      {entries.length === 0 && <p class="hint">Nothing yet.</p>}
      <table class="entries">
        <tbody>
          {shown.map(({ key, groups }) => (
            <tr>
              <th scope="row">{key}</th>
              <td>
                {groups.map(({ value, nodes }, at) => {
                  const isBehind = nodes.every((node) => behind.includes(node));
                  const nobody = value === null ? "none" : value;
                  if (groups.length === 1) return <span>{nobody}</span>;
                  return (
                    <span class={at === 0 ? "group" : isBehind ? "group behind" : "group differs"}>
                      {at > 0 && !isBehind && "≠ "}{nobody} <small>({nodes.length > 6 ? `${nodes.length} nodes` : nodes.join(", ")}{isBehind && at > 0 ? ", behind" : ""})</small>
                    </span>
                  );
                })}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {entries.length > shown.length && <p class="hint">and {entries.length - shown.length} more</p>}
    </section>
  );
}
