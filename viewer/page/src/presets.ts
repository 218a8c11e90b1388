// What a run can be compared with: the same scenario, changed in one way.

import type { Scenario } from "./scenario";

export interface Preset {
  name: string;
  label: (scenario: Scenario) => string;
  /** The other scenario; null where it would be the same. */
  apply: (scenario: Scenario) => Scenario | null;
}

function without<K extends keyof Scenario>(scenario: Scenario, ...fields: K[]): Omit<Scenario, K> {
  const rest: Partial<Scenario> = { ...scenario };
  for (const field of fields) delete rest[field];
  return rest as Omit<Scenario, K>;
}

/** Nothing that somebody did to one run: another run has other messages. */
function plain(scenario: Scenario): Scenario {
  return without(scenario, "edits") as Scenario;
}

function hasFaults({ faults = {} }: Scenario): boolean {
  return Object.values(faults).some((list) => list.length > 0);
}

function faultyCommander(scenario: Scenario, fault: string): Scenario | null {
  return hasFaults(scenario) || scenario.protocol === "broadcast" ? null : { ...plain(scenario), faults: { 0: [fault] } };
}

const otherOf = (scenario: Scenario) => (scenario.protocol === "pbft" ? "ccro" : "pbft");

export const PRESETS: Preset[] = [
  {
    name: "protocol", label: (scenario) => `the other protocol, ${otherOf(scenario)}`,
    apply: (scenario) => ({ ...plain(scenario), protocol: otherOf(scenario) }),
  },
  {
    name: "paper", label: () => "CCRO as published (ccro-paper)",
    apply: (scenario) => (scenario.protocol === "ccro-paper" || scenario.nodes < 3 ? null : { ...plain(scenario), protocol: "ccro-paper" }),
  },
  {
    name: "broadcast", label: () => "without consensus (broadcast)",
    apply: (scenario) => (scenario.protocol === "broadcast" || scenario.app === "kv" ? null : { ...plain(scenario), protocol: "broadcast" }),
  },
  {
    name: "edits", label: () => "without the edits",
    apply: (scenario) => ((scenario.edits ?? []).length > 0 ? plain(scenario) : null),
  },
  {
    name: "faults", label: () => "without the faults",
    apply: (scenario) => (hasFaults(scenario) ? plain(without(scenario, "faults") as Scenario) : null),
  },
  { name: "offline", label: () => "with the commander offline", apply: (scenario) => faultyCommander(scenario, "offline") },
  { name: "equivocate", label: () => "with an equivocating commander", apply: (scenario) => faultyCommander(scenario, "equivocate") },
  {
    name: "malicious", label: () => "with as many malicious nodes as it withstands",
    apply: (scenario) => {
      const f = Math.floor((scenario.nodes - 1) / 3);
      if (f < 1 || hasFaults(scenario)) return null;
      const last = Array.from({ length: f }, (_, at) => scenario.nodes - 1 - at);
      return { ...plain(scenario), faults: Object.fromEntries(last.map((node) => [node, ["malicious"]])) };
    },
  },
  {
    name: "nodes", label: (scenario) => `with ${scenario.nodes + 3} nodes`,
    apply: (scenario) => (scenario.nodes + 3 <= 100 ? { ...plain(scenario), nodes: scenario.nodes + 3 } : null),
  },
  {
    name: "network", label: (scenario) => (scenario.network === "wan" ? "in a local network (lan)" : "in a wide area network (wan)"),
    apply: (scenario) => ({ ...plain(scenario), network: scenario.network === "wan" ? "lan" : "wan" }),
  },
  {
    name: "seed", label: () => "with other chances (another seed)",
    apply: (scenario) => ({ ...plain(scenario), seed: (scenario.seed ?? 1) + 1 }),
  },
];

/** The preset that makes one scenario of another; null if none does. */
export function presetOf(scenario: Scenario, second: Scenario): Preset | null {
  const wanted = canonical(second);
  return PRESETS.find(({ apply }) => {
    const made = apply(scenario);
    return made !== null && canonical(made) === wanted;
  }) ?? null;
}

/** The same text for equal scenarios, in whatever order their fields are. */
function canonical(scenario: Scenario): string {
  return JSON.stringify(Object.entries(scenario).sort(([a], [b]) => (a < b ? -1 : 1)));
}
