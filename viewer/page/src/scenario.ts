// What is played: the form's content, which the link holds and the module takes.

import type { App, Protocol } from "./trace";

/** A description of a network, with the fields of `sim::Network`. */
export interface Network {
  name?: string;
  delay?: Delay;
  loss?: number;
  duplication?: number;
  reordering?: number;
  reordering_us?: number;
  bandwidth_mbit_s?: number;
  regions?: string[];
  jitter?: number;
  link?: LinkRule[];
  partition?: Partition[];
}
export type Delay =
  | { constant_us: number }
  | { uniform_us: [number, number] }
  | { log_normal: { median_us: number; sigma: number } };
export interface LinkRule {
  from?: number[];
  to?: number[];
  delay?: Delay;
  loss?: number;
  duplication?: number;
  bandwidth_mbit_s?: number;
}
export interface Partition { groups: number[][]; from_us: number; until_us: number }

/** Something that somebody does during the run; all before it stays as it was. */
export type Edit =
  | { edit: "behave"; at_us: number; node: number; faults: string[] }
  | { edit: "crash" | "restart"; at_us: number; node: number }
  | { edit: "network"; at_us: number; network: string | Network }
  | { edit: "lose" | "duplicate"; copy: number }
  | { edit: "delay"; copy: number; by_us: number };

export interface Scenario {
  protocol: Protocol;
  nodes: number;
  app: App;
  requests?: number;
  operations?: string[];
  clients?: number;
  gateway?: number;
  faults?: { [node: string]: string[] };
  network?: string | Network;
  seed?: number;
  checkpoint_interval?: number;
  batch?: number;
  request_timer_ms?: number;
  communication?: string;
  fast_path?: boolean;
  limit_ms?: number;
  edits?: Edit[];
}

/** What is wrong with a field, as the module says it. */
export interface Problem { field: string; problem: string }

export const FIRST_SCENARIO: Scenario = { protocol: "pbft", nodes: 4, app: "bank", requests: 3, gateway: 1, network: "lan", seed: 1 };

/** Fields that hold a whole number. */
const NUMBERS = [
  "nodes", "requests", "clients", "gateway", "seed", "checkpoint_interval", "batch", "request_timer_ms", "limit_ms",
] as const;
/** What can be written for each at most. */
const MOST: { [name in NumberName]: number } = {
  nodes: 100, requests: 1_000_000, clients: 1_000_000, gateway: 99, seed: Number.MAX_SAFE_INTEGER,
  checkpoint_interval: 1_000_000, batch: 1_000_000, request_timer_ms: 3_600_000, limit_ms: 3_600_000,
};
const LEAST: { [name in NumberName]?: number } = { nodes: 1 };
export type NumberName = (typeof NUMBERS)[number];

/** Numbers that are not whole, below 0 or beyond all measure: the module does not read these at all. */
export function notWhole(scenario: Scenario): Problem[] {
  return NUMBERS.flatMap((field) => {
    const value = scenario[field];
    const isGood = value === undefined || Number.isInteger(value) && value >= (LEAST[field] ?? 0) && value <= MOST[field];
    return isGood ? [] : [{ field, problem: `${value} cannot be meant; give a whole number from ${LEAST[field] ?? 0} to ${MOST[field]}` }];
  });
}

/** Whether a value from outside has the form of a scenario, so that the page can show it; the
 * module judges the rest. */
export function isScenario(value: unknown): value is Scenario {
  if (!isRecord(value)) return false;
  const { protocol, nodes, app, faults = {}, operations = [], edits = [], network = "lan" } = value;
  return typeof protocol === "string" && typeof nodes === "number" && typeof app === "string"
    && isListOf(isString, operations) && isListOf(isEdit, edits) && isNetwork(network)
    && isRecord(faults) && Object.values(faults).every((list) => isListOf(isString, list));
}

function isNetwork(value: unknown): boolean {
  if (typeof value === "string") return true;
  if (!isRecord(value)) return false;
  const { delay = { constant_us: 0 }, regions = [], partition = [] } = value;
  return isDelay(delay) && isListOf(isString, regions)
    && isListOf((item) => isRecord(item) && isListOf(Array.isArray, item["groups"]), partition);
}

function isDelay(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { constant_us, uniform_us, log_normal } = value;
  return typeof constant_us === "number" || Array.isArray(uniform_us) || isRecord(log_normal);
}

function isEdit(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { edit, at_us, node, faults, network, copy, by_us } = value;
  const isNumber = (...items: unknown[]) => items.every((item) => typeof item === "number");
  switch (edit) {
    case "behave": return isNumber(at_us, node) && isListOf(isString, faults);
    case "crash": case "restart": return isNumber(at_us, node);
    case "network": return isNumber(at_us) && isNetwork(network);
    case "lose": case "duplicate": return isNumber(copy);
    case "delay": return isNumber(copy, by_us);
    default: return false;
  }
}

function isRecord(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): boolean {
  return typeof value === "string";
}

function isListOf(is: (item: unknown) => boolean, list: unknown): boolean {
  return Array.isArray(list) && list.every(is);
}
