// The form: what is played. The run follows while one types; what is wrong stands beside its field.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Edits } from "./edits";
import { FaultEditor } from "./fault-editor";
import { NetworkForm } from "./network-form";
import { Problems, root } from "./problems";
import { hasCertificates } from "./run";
import { busy, change, errors, file, scenario, take } from "./store";
import { FIRST_SCENARIO, type NumberName } from "./scenario";
import type { App, Protocol } from "./trace";

const PROTOCOLS: [Protocol, string][] = [
  ["pbft", "PBFT"], ["pbft-mac", "PBFT with authenticators"], ["pbft-mac-requests", "PBFT with authenticators, on requests too"], ["ccro", "CCRO, made safe"], ["ccro-aggregate", "CCRO with aggregate certificates"], ["ccro-paper", "CCRO as published"], ["broadcast", "Secure broadcast, no consensus"],
];
const APPS: [App, string, string][] = [
  ["bank", "a bank", "open A\ndeposit A 5\nwithdraw A 5\ntransfer A B 5\nbalance A"],
  ["kv", "a key-value store", "put KEY VALUE\nget KEY\ndelete KEY\ncas KEY OLD NEW"],
  ["orswot", "a set", "add apple\nremove apple\ncontains apple"],
  ["opaque", "a log of texts", "pay 5 to bob"],
];

/** Without consensus an account has an owner, a node. */
const OWNED = "open 0/a\nopen 1/b\ndeposit 0/a 5\ntransfer 0/a 1/b 5\nwithdraw 1/b 5";

export function Form() {
  const { protocol, app, edits: _, ...now } = scenario.value;
  const isOwned = protocol === "broadcast" && app === "bank";
  const forms = isOwned ? OWNED : APPS.find(([name]) => name === app)?.[2] ?? "";
  const isExplicit = now.operations !== undefined;
  return (
    <form class="form" onSubmit={(event) => event.preventDefault()} aria-busy={busy.value}>
      {file.value !== null && (
        <p class="hint">This run is from the file {file.value}. A change here plays a scenario instead.</p>
      )}
      <General />
      <Field name="protocol" label="Protocol">
        {(id) => (
          <select id={id} value={protocol} onChange={(event) => change({ protocol: event.currentTarget.value as Protocol })}>
            {PROTOCOLS.map(([name, label]) => <option value={name}>{label}</option>)}
          </select>
        )}
      </Field>
      <NumberField name="nodes" label="Nodes" min={1} max={100} />
      <Field name="app" label="They replicate">
        {(id) => (
          <select id={id} value={app} onChange={(event) => change({ app: event.currentTarget.value as App, operations: undefined })}>
            {APPS.map(([name, label]) => <option value={name}>{label}</option>)}
          </select>
        )}
      </Field>
      <div class="field">
        <span>Requests</span>
        <div class="pair" role="radiogroup" aria-label="Requests">
          <label class="check"><input type="radio" name="requests-kind" checked={!isExplicit} onChange={() => change({ operations: undefined })} /> made up</label>
          <label class="check"><input type="radio" name="requests-kind" checked={isExplicit} onChange={() => change({ operations: forms.split("\n"), requests: undefined, ...(isOwned ? { gateway: undefined } : {}) })} /> my own</label>
        </div>
      </div>
      {isExplicit ? (
        <Field name="operations" label="One in each line" hint={`Forms: ${forms.replaceAll("\n", "; ")}`}>
          {(id) => (
            <textarea id={id} rows={5} value={now.operations?.join("\n")}
              onInput={(event) => change({ operations: event.currentTarget.value.split("\n") })} />
          )}
        </Field>
      ) : <NumberField name="requests" label="How many" min={0} max={1000} placeholder="3" />}
      <Faults />
      <fieldset>
        <legend>Network and chance</legend>
        <NetworkForm value={now.network ?? "lan"} onChange={(network) => change({ network })} />
        <Problems name="network" />
        <NumberField name="seed" label="Seed" min={0} placeholder="1" hint="Another seed, other delays." />
      </fieldset>
      <More />
      <Edits />
      <button class="plain" onClick={() => take(FIRST_SCENARIO)}>Begin anew</button>
    </form>
  );
}

/** Problems of fields that the form does not show. */
function General() {
  const shown = ["protocol", "nodes", "app", "operations", "requests", "faults", "network", "seed", "edits", ...MORE.map(([name]) => name), "communication", "fast_path"];
  const others = errors.value.filter(({ field }) => !shown.includes(root(field)));
  return <>{others.map(({ field, problem }) => <p class="problem" role="alert">{field && <b>{field}: </b>}{problem}</p>)}</>;
}

function Field(props: { name: string; label: string; hint?: string | undefined; children: (id: string) => ComponentChildren }) {
  const id = useId();
  const isWrong = errors.value.some(({ field }) => root(field) === props.name);
  return (
    <div class="field" data-wrong={isWrong}>
      <label for={id}>{props.label}</label>
      {props.children(id)}
      {props.hint && <small>{props.hint}</small>}
      <Problems name={props.name} />
    </div>
  );
}

function NumberField(props: { name: NumberName; label: string; min?: number; max?: number; placeholder?: string | undefined; hint?: string | undefined }) {
  const { name } = props;
  return (
    <Field name={name} label={props.label} hint={props.hint}>
      {(id) => (
        <input id={id} type="number" min={props.min} max={props.max} placeholder={props.placeholder} value={scenario.value[name] ?? ""}
          onInput={(event) => {
            const { value } = event.currentTarget;
            if (value !== "") change({ [name]: Number(value) });
            // The number of nodes has no default: an empty field waits for the next digit.
            else if (name !== "nodes") change({ [name]: undefined });
          }} />
      )}
    </Field>
  );
}

function Faults() {
  const { protocol, nodes, faults = {} } = scenario.value;
  const set = (node: string, list: string[]) => {
    const next = Object.fromEntries(Object.entries({ ...faults, [node]: list }).filter(([, list]) => list.length > 0));
    change({ faults: Object.keys(next).length > 0 ? next : undefined });
  };
  const honest = Array.from({ length: Math.min(Math.max(nodes, 0), 100) }, (_, node) => String(node)).filter((node) => !faults[node]);
  const f = Math.max(0, Math.floor((nodes - (protocol === "ccro-paper" ? 3 : 1)) / 3));
  const count = Object.keys(faults).length;
  return (
    <fieldset>
      <legend>Faulty nodes</legend>
      <p class="hint">
        {count === 0 ? "All nodes keep the rules." : `${count} of ${nodes}.`} {nodes} node{nodes === 1 ? "" : "s"} tolerate{nodes === 1 ? "s" : ""} {f}.
        {count > f && count > 0 ? " With more, anything can happen: that is a legal experiment." : ""}
      </p>
      {Object.entries(faults).map(([node, list]) => (
        <div class="faulty-node" key={node}>
          <h4>Node {node}</h4>
          {list.map((fault, at) => (
            <FaultEditor fault={fault} label={`Node ${node}`} key={at}
              onChange={(fault) => set(node, list.map((old, place) => (place === at ? fault : old)))}
              onRemove={() => set(node, list.filter((_, place) => place !== at))} />
          ))}
          <button class="plain" onClick={() => set(node, [...list, "delay"])}>And another fault</button>
        </div>
      ))}
      {honest.length > 0 && (
        <label class="field">
          <span>Make faulty</span>
          <select value="" onChange={(event) => {
            const node = event.currentTarget.value;
            if (node !== "") set(node, ["malicious"]);
            event.currentTarget.value = "";
          }}>
            <option value="">choose a node …</option>
            {honest.map((node) => <option value={node}>node {node}</option>)}
          </select>
        </label>
      )}
      <Problems name="faults" />
    </fieldset>
  );
}

const MORE: [NumberName, string, string, string?][] = [
  ["clients", "Requests in flight", "1", "So many clients ask at once."],
  ["gateway", "Node asked", "an honest one"],
  ["checkpoint_interval", "Checkpoint every", "slots", "After so many slots replicas agree on their state, and forget what came before."],
  ["batch", "Batch at most", "requests"],
  ["request_timer_ms", "Request timer, ms", "from the network", "After so long without progress a replica asks for another commander."],
  ["limit_ms", "Ends after, ms", "when all is done"],
];

function More() {
  const { protocol, nodes, communication, fast_path } = scenario.value;
  return (
    <details class="more">
      <summary>More</summary>
      {MORE.map(([name, label, placeholder, hint]) => <NumberField name={name} label={label} min={0} placeholder={placeholder} hint={hint} />)}
      {hasCertificates(protocol) && (
        <Field name="fast_path" label="Fast path" hint="One phase where all nodes vote alike in time.">
          {(id) => <input id={id} type="checkbox" checked={fast_path ?? true} onChange={(event) => change({ fast_path: event.currentTarget.checked })} />}
        </Field>
      )}
      {hasCertificates(protocol) && (
        <Field name="communication" label="Communication node">
          {(id) => (
            <select id={id} value={communication ?? "separate"} onChange={(event) => change({ communication: event.currentTarget.value })}>
              <option value="separate">another node than the commander</option>
              <option value="collocated">the commander itself</option>
              <option value="trust">the most trusted one</option>
              {Array.from({ length: Math.min(Math.max(nodes, 0), 100) }, (_, node) => <option value={`fixed:${node}`}>always node {node}</option>)}
            </select>
          )}
        </Field>
      )}
    </details>
  );
}
