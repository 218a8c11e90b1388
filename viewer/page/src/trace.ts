// The trace format: the types of its lines, and its parser. The Rust crate `trace`
// defines the format and says what is wrong with a text; what comes here has passed
// its check, so that error sentences have one source.

export type Protocol = "pbft" | "pbft-mac" | "pbft-mac-requests" | "ccro" | "ccro-aggregate" | "ccro-paper" | "broadcast";
export type App = "opaque" | "kv" | "bank" | "orswot";
export type VotePhase = "pre-prepare" | "prepare" | "commit";
/** Whatever JSON holds. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The first line: what ran. */
export interface Header {
  format: "bft-trace";
  version: number;
  protocol: Protocol;
  app: App;
  nodes: number;
  /** Faulty nodes that the protocol tolerates. */
  f: number;
  /** Votes that decide. */
  quorum: number;
  clock: "virtual" | "real";
  title: string;
  /** Nodes that misbehave from the start, and how. */
  faults?: { [node: string]: string[] };
  /** What plays the same run again; none for a run of real nodes. */
  scenario?: Json;
}

// All times `t` are nanoseconds since the beginning of the run.

/** A message leaves its sender, in one copy for each recipient. */
export interface MessageLine {
  is: "message";
  t: number;
  from: number;
  /** Such as `prepare`. */
  kind: string;
  /** The number of its content; see `Trace.contents`. */
  content: number;
  view?: number;
  seq?: number;
  /** See `Trace.values`. */
  value?: number;
  bytes: number;
  /** The ordinal of its first copy in the run; those that follow have the next ones. */
  copy: number;
  /** For each copy: to whom, and when it arrives: never if it is lost, twice if it is duplicated. */
  to: [node: number, arrivals: number[]][];
}

/** A vote of another node counts at `node`. */
export interface VoteLine {
  is: "vote";
  t: number;
  node: number;
  author: number;
  phase: VotePhase;
  seq: number;
  value: number;
  /** It contradicts an earlier vote of its author. */
  contradicts?: boolean;
}

/** What a mark says beside its name. */
export type MarkRecord =
  | { mark: "proposed"; view?: number; seq: number; value: number; requests: number; communication_node?: number }
  | { mark: "accepted"; seq: number; value: number }
  | { mark: "voted"; phase: VotePhase; view?: number; seq: number; value: number }
  | { mark: "committed"; view?: number; seq: number; value: number; path: string }
  | { mark: "executed"; seq: number; value: number; requests: number; chain: string }
  | { mark: "applied"; seq?: number; gateway: number; session: number; counter: number }
  | { mark: "state-adopted"; seq: number; chain: string }
  | { mark: "diverged"; seq: number }
  | { mark: "recovered"; view?: number }
  | { mark: "certified"; seq: number; certificate: string }
  | { mark: "fell-back"; seq: number; communication_node: number }
  | { mark: "rotated"; from: number; to: number }
  | { mark: "trusted"; seq: number; commander: number; communication_node: number; trust_milli: number[] }
  | { mark: "stable"; seq: number }
  | { mark: "left-for"; view: number }
  | { mark: "reported"; stable: number; prepared: number[]; voted: number[] }
  | { mark: "view-began"; view: number }
  | { mark: "generation-began"; number: number; members: number[] }
  | { mark: "generation-adopted"; number: number };

/** A replica did something that is worth knowing. */
export type MarkLine = { is: "mark"; t: number; node: number } & MarkRecord;

/** What a replica says of itself. In a line, what has not changed is left out. */
export interface StateChange {
  recovering?: boolean;
  diverged?: boolean;
  last_executed?: number;
  in_flight?: number;
  view?: number;
  changing_view?: boolean;
  commander?: number;
  communication_node?: number;
  stable_checkpoint?: number;
}
export type StateLine = { is: "state"; t: number; node: number } & StateChange;

/** What has changed in the application of a replica. */
export interface AppLine {
  is: "app";
  t: number;
  node: number;
  /** The last slot executed in this state. */
  as_of: number;
  set?: { [key: string]: string };
  gone?: string[];
}

/** A replica refused a message. */
export interface RejectedLine {
  is: "rejected";
  t: number;
  node: number;
  from: number;
  seq?: number;
  reason: string;
  /** Only a faulty sender gives this reason. */
  offence?: boolean;
}

/** Somebody did something to a node. */
export type NodeLine = { is: "node"; t: number; node: number } & (
  | { change: "crashed" | "restarted" }
  | { change: "behaves"; faults: string[] }
);

export interface NetworkLine { is: "network"; t: number; change: string }
export interface RequestLine { is: "request"; t: number; request: number; gateway: number; asks: Json }
export interface AnswerLine { is: "answer"; t: number; request: number; seq: number; view: number; result: Json }
export interface TimedOutLine { is: "timed-out"; t: number; request: number }

/** A line with a time. */
export type Line =
  | MessageLine | VoteLine | MarkLine | StateLine | AppLine | RejectedLine | NodeLine
  | NetworkLine | RequestLine | AnswerLine | TimedOutLine;

/** The last line. */
export interface End {
  end: true;
  lines: number;
  t: number;
  digest?: string;
  /** How the honest nodes broke a promise, if they did. */
  violation?: string;
}

export interface Trace {
  header: Header;
  /** In the order of their times. */
  lines: Line[];
  /** Digests of the values that votes are for, in hexadecimal, by number. */
  values: string[];
  /** Contents of messages, by number. */
  contents: Json[];
  end: End;
}

/** Parses a text that has passed the check of the module. */
export function parseTrace(text: string): Trace {
  const rows = text.split("\n").filter((row) => row !== "").map((row) => JSON.parse(row));
  const header = rows.shift() as Header;
  const end = rows.pop() as End;
  const trace: Trace = { header, lines: [], values: [], contents: [], end };
  for (const row of rows) {
    if (row.is === "value") trace.values[row.id] = row.digest;
    else if (row.is === "content") trace.contents[row.id] = row.body;
    else trace.lines.push(row);
  }
  return trace;
}
