// The network of the form: one that has a name, or one of your own.

import { useState } from "preact/hooks";
import { Icon } from "./icons";
import type { Delay, Network, Partition } from "./scenario";

const NAMED: [string, string][] = [
  ["localhost", "20 to 40 µs"], ["lan", "around 150 µs"], ["wan", "around 20 ms"], ["lossy", "a LAN that loses 5 %"],
  ["five-continents", "nodes on five continents"], ["world", "nodes in ten regions"],
];
const REGIONS = ["dallas", "toronto", "washington", "frankfurt", "london", "madrid", "osaka", "sydney", "tokyo", "sao-paulo"];
const OWN: Network = { delay: { uniform_us: [80, 120] } };

type Value = string | Network;
interface Props { value: Value; onChange: (value: Value) => void }

export function NetworkForm({ value, onChange }: Props) {
  return (
    <>
      <label class="field">
        <span>Network</span>
        <select value={typeof value === "string" ? value : "own"}
          onChange={(event) => onChange(event.currentTarget.value === "own" ? OWN : event.currentTarget.value)}>
          {NAMED.map(([name, says]) => <option value={name}>{name}: {says}</option>)}
          <option value="own">of your own …</option>
        </select>
      </label>
      {typeof value !== "string" && <Own value={value} onChange={onChange} />}
    </>
  );
}

function Own({ value, onChange }: { value: Network; onChange: (value: Network) => void }) {
  const set = (news: { [K in keyof Network]?: Network[K] | undefined }) => {
    const entries = Object.entries({ ...value, ...news }).filter(([, item]) => item !== undefined);
    onChange(Object.fromEntries(entries));
  };
  const number = (key: "loss" | "duplication" | "reordering" | "jitter" | "bandwidth_mbit_s" | "reordering_us", label: string, hint: string) => (
    <label class="field">
      <span>{label}</span>
      <input type="number" step="any" min={0} value={value[key] ?? ""} placeholder={hint}
        onInput={(event) => set({ [key]: event.currentTarget.value === "" ? undefined : Number(event.currentTarget.value) })} />
    </label>
  );
  const regions = value.regions ?? [];
  return (
    <div class="own">
      {regions.length === 0 && <DelayForm value={value.delay ?? { constant_us: 100 }} onChange={(delay) => set({ delay })} />}
      {number("loss", "Loss", "0 to 1")}
      {number("duplication", "Duplication", "0 to 1")}
      {number("reordering", "Held back", "0 to 1")}
      {number("reordering_us", "by at most, µs", "10000")}
      {number("bandwidth_mbit_s", "Bandwidth, Mbit/s", "no limit")}
      <details open={regions.length > 0}>
        <summary>Regions{regions.length > 0 ? `: ${regions.join(", ")}` : ""}</summary>
        <p class="hint">Nodes are placed in turn in the regions chosen; delays are measured ones.</p>
        <div class="checks">
          {REGIONS.map((name) => (
            <label class="check">
              <input type="checkbox" checked={regions.includes(name)} onChange={() => {
                const next = regions.includes(name) ? regions.filter((region) => region !== name) : [...regions, name];
                set({ regions: next.length > 0 ? next : undefined });
              }} /> {name}
            </label>
          ))}
        </div>
        {number("jitter", "Jitter (sigma)", "0")}
      </details>
      <Partitions value={value.partition ?? []} onChange={(list) => set({ partition: list.length > 0 ? list : undefined })} />
      <Raw value={value} onChange={onChange} />
    </div>
  );
}

function DelayForm({ value, onChange }: { value: Delay; onChange: (value: Delay) => void }) {
  const kind = Object.keys(value)[0] ?? "constant_us";
  const input = (label: string, number: number, set: (number: number) => void) => (
    <input type="number" step="any" min={0} aria-label={label} title={label} value={number} onInput={(event) => set(Number(event.currentTarget.value))} />
  );
  return (
    <div class="field">
      <span>Delay, µs</span>
      <select aria-label="Kind of delay" value={kind} onChange={(event) => {
        const kinds: { [kind: string]: Delay } = {
          constant_us: { constant_us: 100 }, uniform_us: { uniform_us: [80, 120] }, log_normal: { log_normal: { median_us: 150, sigma: 0.3 } },
        };
        onChange(kinds[event.currentTarget.value]!);
      }}>
        <option value="constant_us">always</option>
        <option value="uniform_us">from … to</option>
        <option value="log_normal">log-normal</option>
      </select>
      <div class="pair">
        {"constant_us" in value && input("delay", value.constant_us, (constant_us) => onChange({ constant_us }))}
        {"uniform_us" in value && input("shortest", value.uniform_us[0], (least) => onChange({ uniform_us: [least, value.uniform_us[1]] }))}
        {"uniform_us" in value && input("longest", value.uniform_us[1], (most) => onChange({ uniform_us: [value.uniform_us[0], most] }))}
        {"log_normal" in value && input("median", value.log_normal.median_us, (median_us) => onChange({ log_normal: { ...value.log_normal, median_us } }))}
        {"log_normal" in value && input("sigma", value.log_normal.sigma, (sigma) => onChange({ log_normal: { ...value.log_normal, sigma } }))}
      </div>
    </div>
  );
}

/** `0 1 | 2 3` stands for two groups. */
function groupsText(groups: number[][]): string {
  return groups.map((group) => group.join(" ")).join(" | ");
}

function Partitions({ value, onChange }: { value: Partition[]; onChange: (value: Partition[]) => void }) {
  const set = (at: number, news: Partial<Partition>) => onChange(value.map((item, place) => (place === at ? { ...item, ...news } : item)));
  return (
    <div class="partitions">
      {value.map((item, at) => (
        <fieldset>
          <legend>Partition {at + 1}</legend>
          <label class="field">
            <span>Groups</span>
            <input defaultValue={groupsText(item.groups)} placeholder="0 1 | 2 3" onChange={(event) => set(at, {
              groups: event.currentTarget.value.split("|").map((group) => group.split(/[\s,;]+/).filter(Boolean).map(Number)),
            })} />
          </label>
          <label class="field"><span>from, ms</span><input type="number" min={0} step="any" value={item.from_us / 1000} onInput={(event) => set(at, { from_us: Math.round(Number(event.currentTarget.value) * 1000) })} /></label>
          <label class="field"><span>until, ms</span><input type="number" min={0} step="any" value={item.until_us / 1000} onInput={(event) => set(at, { until_us: Math.round(Number(event.currentTarget.value) * 1000) })} /></label>
          <button class="plain" aria-label={`Remove partition ${at + 1}`} onClick={() => onChange(value.filter((_, place) => place !== at))}><Icon name="remove" /> Remove</button>
        </fieldset>
      ))}
      <button onClick={() => onChange([...value, { groups: [[0]], from_us: 0, until_us: 10_000 }])}>Add a partition</button>
    </div>
  );
}

/** All fields, also those that have no place in the form, such as single links. */
function Raw({ value, onChange }: { value: Network; onChange: (value: Network) => void }) {
  const [problem, setProblem] = useState("");
  return (
    <details>
      <summary>As JSON, with single links</summary>
      <p class="hint">A link: {'"link": [{"from": [0], "to": [2, 3], "delay": {"constant_us": 40000}, "loss": 0.5}]'}</p>
      <textarea rows={6} aria-label="The network as JSON" aria-invalid={problem !== ""} defaultValue={JSON.stringify(value, null, 1)} onChange={(event) => {
        try {
          onChange(JSON.parse(event.currentTarget.value) as Network);
          setProblem("");
        } catch (error) {
          setProblem(`This is no JSON: ${error instanceof Error ? error.message : ""}. The network stays as it was.`);
        }
      }} />
      {problem && <p class="problem" role="alert">{problem}</p>}
    </details>
  );
}
