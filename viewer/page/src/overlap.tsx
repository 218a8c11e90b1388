// Why a quorum suffices: these very voters, and the other quorum that shares fewest of them.

import { useState } from "preact/hooks";
import { otherQuorum } from "./agreement";
import { valueName } from "./looks";
import type { Counter, Run } from "./run";

const MOST_DRAWN = 31;

export function Overlap({ run, counter, voters, step }: { run: Run; counter: Counter; voters: number[]; step: number }) {
  const [turn, setTurn] = useState(0);
  const { nodes, quorum, f } = run.header;
  const isFaulty = (node: number) => run.replica(node, step).faults.length > 0;
  const faulty = Array.from({ length: nodes }, (_, node) => node).filter(isFaulty).length;
  const first = voters.slice(0, quorum);
  const isFull = first.length >= quorum;
  const other = otherQuorum(nodes, quorum, first, isFaulty, turn);
  const shared = other.filter((node) => first.includes(node));
  const least = 2 * quorum - nodes;
  if (run.header.protocol === "ccro-paper") return <Published />;
  return (
    <div class="overlap">
      <h4>Why {quorum} of {nodes} suffice</h4>
      {nodes <= MOST_DRAWN && <Drawing nodes={nodes} first={first} other={isFull ? other : []} isFaulty={isFaulty} />}
      {!isFull && <p>{first.length} of the {quorum} votes that are needed for {valueName(counter.value)} have come.</p>}
      {isFull && (
        <p>
          The {quorum} voters for {valueName(counter.value)} are above the line, and another {quorum} of the {nodes} below it.
          They share {list(shared)}. Whichever other {quorum} one takes, at least {quorum} + {quorum} − {nodes} = <b>{least}</b> {are(least)} in both.
        </p>
      )}
      <p>
        {faulty <= f
          ? <>At most f = {f} of them {f === 1 ? "is" : "are"} faulty, so at least {least} − {f} = <b>{least - f}</b> {least - f === 1 ? "is" : "are"} honest. An honest node votes for one value only in a slot and view. So no second value can have {quorum} votes here.</>
          : <>Here <b>{faulty}</b> nodes are faulty, and {quorum} votes are made for f = {f}. The {least} that two quorums share can all be faulty, and vote for both values: the argument does not hold any more.</>}
      </p>
      <p class="hint">
        {quorum > 1 && <>With {quorum - 1} votes, two groups {sharedWithFewer(2 * (quorum - 1) - nodes, f)}. </>}
        With more than {quorum} votes, {f === 0 ? "a node that is slow would hold up all" : `${f} silent node${f === 1 ? "" : "s"} could stop every decision, for only ${nodes} − ${f} = ${nodes - f} are sure to answer`}.
      </p>
      {isFull && quorum < nodes && shared.length > 1 && <button onClick={() => setTurn(turn + 1)}>Another quorum</button>}
    </div>
  );
}

/** In the published flow no two quorums have to meet. */
function Published() {
  return (
    <div class="overlap">
      <h4>Who counts the votes</h4>
      <p>
        In CCRO as published, only the communication node counts votes. The others believe its COMMIT, which contains none.
        So nothing forces the groups of voters for two values to share a node: what it tells one replica it need not tell another.
      </p>
    </div>
  );
}

/** What two groups with one vote fewer than a quorum have in common at least, and what follows. */
function sharedWithFewer(least: number, f: number): string {
  if (least <= 0) return "need not have any node in common: two values could be decided";
  const nodes = least === 1 ? "1 node" : `${least} nodes`;
  if (least > f) return `would still share at least ${nodes}`;
  return `might share only ${nodes}, and ${least === 1 ? "it may be faulty" : "all of them may be faulty"}: two values could be decided`;
}

function are(count: number): string {
  return count === 1 ? "node is" : "nodes are";
}

function list(nodes: number[]): string {
  if (nodes.length === 1) return `node ${nodes[0]}`;
  return `nodes ${nodes.slice(0, -1).join(", ")} and ${nodes.at(-1)}`;
}

/** Nodes in a row; a bracket above those of one quorum, one below those of the other. */
function Drawing(props: { nodes: number; first: number[]; other: number[]; isFaulty: (node: number) => boolean }) {
  const { nodes, first, other, isFaulty } = props;
  const gap = nodes > 16 ? 22 : 34;
  const x = (node: number) => 14 + gap / 2 + node * gap;
  const both = first.filter((node) => other.includes(node)).length;
  const label = `Votes of nodes ${first.join(", ")}${other.length > 0 ? `; another quorum: nodes ${other.join(", ")}; ${both} in both` : ""}`;
  return (
    <svg class="overlap-drawing" viewBox={`0 0 ${28 + nodes * gap} 76`} role="img" aria-label={label} style={{ maxWidth: `${28 + nodes * gap}px` }}>
      {Array.from({ length: nodes }, (_, node) => {
        const isFirst = first.includes(node), isOther = other.includes(node);
        return (
          <g transform={`translate(${x(node)} 38)`}>
            {isFirst && <rect x={-gap / 2} y={-30} width={gap} height={12} class="band-first" />}
            {isOther && <rect x={-gap / 2} y={18} width={gap} height={12} class="band-other" />}
            {isFirst && isOther && <rect x={-gap / 2 + 2} y={-18} width={gap - 4} height={36} class="band-both" />}
            {isFaulty(node)
              ? <rect x={-9} y={-9} width={18} height={18} transform="rotate(45)" class="dot faulty" />
              : <circle r={10} class="dot" />}
            <text dy="4" text-anchor="middle">{node}</text>
          </g>
        );
      })}
    </svg>
  );
}
