// Ways to misbehave, as `--fault` takes them: what they are called, what they take, and what
// they do. The module judges them; here they are only taken apart and put together.

export type ArgumentForm =
  | { form: "none" }
  | { form: "text"; example: string; means: string }
  | { form: "choice"; choices: string[]; means: string }
  /** A choice, a time or both, and ids: `victim;0;1`. */
  | { form: "choice-and-text"; choices: string[]; example: string; means: string };

export interface FaultKind { kind: string; does: string; takes: ArgumentForm }

const none: ArgumentForm = { form: "none" };
const time = (example: string, means: string): ArgumentForm => ({ form: "text", example, means });
const chance = (example: string, means: string): ArgumentForm => ({ form: "text", example, means });
const ids = (means: string): ArgumentForm => ({ form: "text", example: "1;2", means });

export const FAULT_KINDS: FaultKind[] = [
  { kind: "offline", does: "receives nothing and sends nothing", takes: none },
  { kind: "malicious", does: "votes, certificates and replies carry a wrong value, signed with its own key", takes: none },
  {
    kind: "equivocate", does: "tells some nodes one value and the others another",
    takes: { form: "choice-and-text", choices: ["", "halves", "victim"], example: "0;1", means: "who gets the other value (the odd nodes, or one victim), and nodes that act together" },
  },
  { kind: "withhold", does: "takes part but never votes; as communication node it collects votes and sends nothing", takes: none },
  { kind: "partial", does: "as commander or communication node, serves only some nodes", takes: ids("the nodes that are served; the odd ones if empty") },
  { kind: "ignore-gateway", does: "ignores the requests that some nodes pass on", takes: ids("those nodes; the odd ones if empty") },
  { kind: "gateway-last", does: "as commander, proposes the requests of some nodes late", takes: { form: "text", example: "300ms;1;2", means: "how much later, and whose requests" } },
  { kind: "small-batches", does: "as commander, proposes one bundle of requests at a time", takes: none },
  { kind: "delay", does: "every message leaves late", takes: time("5ms", "how late") },
  { kind: "drop", does: "messages are lost", takes: chance("0.1", "probability, 0 to 1") },
  { kind: "duplicate", does: "messages are sent twice", takes: chance("0.5", "probability, 0 to 1") },
  { kind: "reorder", does: "messages overtake each other", takes: time("10ms", "held back by at most") },
  { kind: "replay", does: "old messages are sent again", takes: chance("0.1", "probability, 0 to 1") },
  { kind: "forge", does: "messages are counterfeit", takes: { form: "choice", choices: ["", "signature", "name", "short", "repeated", "mixed"], means: "in which way; by turns if empty" } },
  { kind: "amnesia", does: "forgets everything once, after a vote", takes: none },
  { kind: "twins", does: "two copies act under its name", takes: ids("the nodes that the second copy talks to; the odd ones if empty") },
  { kind: "view-change-spam", does: "asks for view changes without cause", takes: time("50ms", "how often") },
  { kind: "mac-attack", does: "hands over requests that are authentic for the commander alone (PBFT with authenticators on requests)", takes: time("100ms", "how often") },
  { kind: "bad-state", does: "serves a wrong state to replicas that were left behind", takes: { form: "choice", choices: ["", "bit", "extent", "short", "silence"], means: "in which way; by turns if empty" } },
  { kind: "diverge", does: "a bit of its own state flips, once", takes: none },
  { kind: "flood", does: "sends useless messages", takes: { form: "text", example: "1000", means: "messages a second" } },
];

export interface Condition { name: string; example: string; means: string }
export const CONDITIONS: Condition[] = [
  { name: "after", example: "2ms", means: "not before this time" },
  { name: "until", example: "5ms", means: "only before this time" },
  { name: "view", example: "0", means: "only in this view, or these: 1..3 (without 3)" },
  { name: "seq", example: "1..3", means: "only messages about these slots (without the last)" },
  { name: "to", example: "1;2", means: "only what passes between it and these nodes" },
  { name: "kind", example: "prepare;commit", means: "only messages of these kinds" },
];

/** A fault in its parts. */
export interface FaultParts {
  kind: string;
  argument: string;
  conditions: { [name: string]: string };
}

/** Takes a fault such as `drop=0.5[seq=1..3]` apart. */
export function partsOf(fault: string): FaultParts {
  const bracket = fault.indexOf("[");
  const act = bracket < 0 ? fault : fault.slice(0, bracket);
  const [kind = "", ...rest] = act.split("=");
  const conditions: { [name: string]: string } = {};
  for (const [, name, value] of (bracket < 0 ? "" : fault.slice(bracket)).matchAll(/\[([^=\]]*)=?([^\]]*)\]/g)) {
    conditions[name!] = value!;
  }
  return { kind, argument: rest.join("="), conditions };
}

/** Puts a fault together. Conditions that are empty are left out. */
export function faultOf({ kind, argument, conditions }: FaultParts): string {
  const brackets = Object.entries(conditions).filter(([, value]) => value !== "");
  return kind + (argument === "" ? "" : `=${argument}`) + brackets.map(([name, value]) => `[${name}=${value}]`).join("");
}
