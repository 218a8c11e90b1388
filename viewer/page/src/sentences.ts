// Steps of a run in words.

import { lookOf, valueName } from "./looks";
import type { Step } from "./run";
import type { Json, MarkLine, NodeLine } from "./trace";

/** What happens at a step, in a sentence without its full stop. */
export function sentence(step: Step): string {
  const { line } = step;
  switch (step.is) {
    case "departure": {
      const { from, kind, to } = step.line;
      const lost = to.filter(([, times]) => times.length === 0).length;
      return `Replica ${from} sends ${kind}${about(step.line)} to ${nodes(to.map(([node]) => node))}${lost > 0 ? `; ${lost} of ${to.length} will not arrive` : ""}`;
    }
    case "arrival":
      return `Replica ${step.flight.to} receives ${step.line.kind}${about(step.line)} from replica ${step.flight.from}`;
    default:
  }
  switch (line.is) {
    case "vote":
      return `Replica ${line.node} counts the ${line.phase} vote of replica ${line.author} for ${valueName(line.value)} in slot ${line.seq}${line.contradicts ? ", which contradicts an earlier vote" : ""}`;
    case "mark": return `Replica ${line.node} ${deed(line)}`;
    case "state": return `Replica ${line.node} has another state`;
    case "app": return line.as_of === 0 ? `The application of replica ${line.node} as it is at first` : `The application of replica ${line.node} changes in slot ${line.as_of}`;
    case "rejected": return `Replica ${line.node} refuses a message of replica ${line.from}: ${line.reason}`;
    case "node": return nodeSentence(line);
    case "network": return `The network changes: ${line.change}`;
    case "request": return `A client asks replica ${line.gateway}: ${brief(line.asks)}`;
    case "answer": return `The client accepts the answer to request ${line.request}: ${brief(line.result)}`;
    case "timed-out": return `The client has waited too long for request ${line.request}`;
    default: return "";
  }
}

function requestsText(count: number): string {
  return count === 1 ? "1 request" : `${count} requests`;
}

function about({ seq, value }: { seq?: number; value?: number }): string {
  const slot = seq === undefined ? "" : ` for slot ${seq}`;
  return value === undefined ? slot : `${slot} (${valueName(value)})`;
}

function nodes(list: number[]): string {
  if (list.length === 1) return `replica ${list[0]}`;
  if (list.length > 5) return `${list.length} replicas`;
  return `replicas ${list.slice(0, -1).join(", ")} and ${list.at(-1)}`;
}

function deed(line: MarkLine): string {
  switch (line.mark) {
    case "proposed": return `proposes ${valueName(line.value)} for slot ${line.seq} (${requestsText(line.requests)})`;
    case "accepted": return `accepts the proposal ${valueName(line.value)} for slot ${line.seq}`;
    case "voted": return `votes ${line.phase} for ${valueName(line.value)} in slot ${line.seq}`;
    case "committed": return `knows that ${valueName(line.value)} is decided in slot ${line.seq} (${line.path})`;
    case "executed": return `executes ${valueName(line.value)} in slot ${line.seq} (${requestsText(line.requests)})`;
    case "applied": return `carries out request ${line.counter} of gateway ${line.gateway}`;
    case "state-adopted": return `takes over the state of the others up to slot ${line.seq}`;
    case "diverged": return `sees that its state is not that of the others in slot ${line.seq}`;
    case "recovered": return "has learnt what it missed and votes again";
    case "certified": return `holds a certificate (${line.certificate}) for slot ${line.seq}`;
    case "fell-back": return `gives up on communication node ${line.communication_node} for slot ${line.seq} and sends to all`;
    case "rotated": return `takes replica ${line.to} instead of ${line.from} as communication node`;
    case "trusted": return `computes trust after round ${line.seq}: commander ${line.commander}, communication node ${line.communication_node}`;
    case "stable": return `has a stable checkpoint at slot ${line.seq}`;
    case "left-for": return `gives up its view and asks for view ${line.view}`;
    case "reported": return "reports to the next commander what it has prepared";
    case "view-began": return `begins view ${line.view}`;
    case "generation-began": return `begins generation ${line.number}, with members ${line.members.join(", ")}`;
    case "generation-adopted": return `takes over the state that generation ${line.number} began with`;
  }
}

function nodeSentence(line: NodeLine): string {
  if (line.change !== "behaves") return `Replica ${line.node} ${line.change === "crashed" ? "crashes and loses what it knew" : "starts again without what it knew"}`;
  if (line.faults.length === 0) return `Replica ${line.node} keeps the rules from now on`;
  return `Replica ${line.node} misbehaves from now on: ${line.faults.join(", ")}`;
}

/** JSON in a line of at most 80 letters. */
export function brief(value: Json): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** The word for a step in the log's column of kinds. */
export function kindOf(step: Step): string {
  if (step.is === "departure" || step.is === "arrival") return step.line.kind;
  return step.line.is === "mark" ? step.line.mark : step.is;
}

/** A colour for that word. */
export function colourOf(step: Step): string {
  if (step.is === "departure" || step.is === "arrival") return lookOf(step.line.kind).colour;
  if (step.line.is === "vote") return lookOf(step.line.phase).colour;
  if (step.line.is === "rejected" || step.line.is === "timed-out") return "var(--bad)";
  return step.line.is === "answer" ? "var(--good)" : "var(--k6)";
}

/** The slot that a step is about. */
export function slotOf({ line }: Step): number | null {
  if ("seq" in line && line.seq !== undefined) return line.seq;
  return line.is === "app" ? line.as_of : null;
}

/** The view that a step is about. */
export function viewOf({ line }: Step): number | null {
  return "view" in line && line.view !== undefined ? line.view : null;
}
