// Two runs on one time axis, and what each has cost by the moment.

import { signal, useComputed, useSignal, useSignalEffect, type ReadonlySignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { whole } from "./axis";
import { useBox } from "./box";
import { bytesText, countText, timeText } from "./looks";
import { pictureOf, type Wait } from "./picture";
import { open } from "./player";
import { PRESETS, presetOf, type Preset } from "./presets";
import type { Run } from "./run";
import type { Scenario } from "./scenario";
import {
  compareWith, canEdit, goToTime, notice, playing, run, scenario, secondErrors, secondFile, secondRun, secondScenario, step, take, time,
} from "./store";
import { isAnsweredBy, ratio, tallyAt, type Tally } from "./tally";
import { Timeline } from "./timeline";
import { FoldButton, Kinds, Overview, ZoomButtons, useFold, useSpan } from "./spacetime";

const collapsed = signal<ReadonlySet<number>>(new Set());

/** Begins to compare with the other protocol, or ends it. */
export function toggleCompare(): void {
  if (secondScenario.peek() || secondFile.peek() !== null) compareWith(null);
  else compareWith(PRESETS[0]!.apply(scenario.peek()));
}

export function Compare() {
  const first = run.value;
  const second = secondRun.value;
  return (
    <div class="spacetime-frame">
      <Choice />
      {first && second
        ? <Both first={first} second={second} />
        : <p class="empty">{secondErrors.value.length > 0 ? "The second run cannot be played; the sentence above says why." : "The second run is being played."}</p>}
    </div>
  );
}

// ---- What it is compared with ---------------------------------------------------------

/** The second run is made of the first one's scenario again whenever that changes, unless
 * somebody else, such as a lesson, has set it since. */
function Choice() {
  const picker = useRef<HTMLInputElement>(null);
  const chosen = useSignal<Preset | null>(null);
  const mine = useRef<Scenario | null>(null);
  const second = secondScenario.value;
  if (second && second !== mine.current) {
    mine.current = second;
    chosen.value = presetOf(scenario.peek(), second);
  }
  useSignalEffect(() => {
    const now = scenario.value;
    const made = chosen.peek()?.apply(now);
    if (!made || secondFile.peek() !== null || secondScenario.peek() !== mine.current) return;
    if (JSON.stringify(made) !== JSON.stringify(mine.current)) compareWith((mine.current = made));
  });
  const value = secondFile.value !== null ? "file" : chosen.value?.name ?? "own";
  const choose = (name: string) => {
    const preset = PRESETS.find((preset) => preset.name === name);
    const made = preset?.apply(scenario.peek());
    if (!preset || !made) return;
    chosen.value = preset;
    compareWith((mine.current = made));
  };
  const openSecond = async (file: File) => {
    const opened = await open(await file.text());
    if (typeof opened === "string") notice.value = `${file.name} cannot be compared: ${opened}.`;
    else compareWith(secondScenario.peek(), { name: file.name, run: opened });
  };
  return (
    <div class="toolbar">
      <label class="pick">
        <span>Compare with</span>
        <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
          {value === "own" && <option value="own">a scenario of its own</option>}
          {value === "file" && <option value="file">{secondFile.value}</option>}
          {PRESETS.map((preset) => preset.apply(scenario.value) && (
            <option key={preset.name} value={preset.name}>{preset.label(scenario.value)}</option>
          ))}
        </select>
      </label>
      <input ref={picker} type="file" hidden onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        if (file) void openSecond(file);
        event.currentTarget.value = "";
      }} />
      <button onClick={() => picker.current?.click()}>A file …</button>
      {canEdit.value && secondFile.value === null && second && (
        <button title="The second run becomes the one of the whole page" onClick={() => exchange()}>Exchange</button>
      )}
      <button onClick={() => compareWith(null)}>Close</button>
      {secondErrors.value.map(({ field, problem }) => <span key={field} class="problem">{field && `${field}: `}{problem}</span>)}
    </div>
  );
}

function exchange(): void {
  const [first, second] = [scenario.peek(), secondScenario.peek()];
  if (!second) return;
  take(second);
  compareWith(first);
}

// ---- Both ---------------------------------------------------------------------------

function Both({ first, second }: { first: Run; second: Run }) {
  const [box, size] = useBox<HTMLDivElement>();
  const runs = useSignal({ first, second });
  if (runs.peek().first !== first || runs.peek().second !== second) runs.value = { first, second };
  const both = useComputed(() => [runs.value.first, runs.value.second]);
  const fold = useFold(both);
  const limits = useComputed(() => whole(
    fold.value.place(Math.max(...both.value.map(({ endTime }) => endTime))), runs.value.first.usualFlight,
  ));
  const main = useComputed(() => runs.value.first);
  // A moment after the end of the first run, where only the second one goes on.
  const after = useSignal<number | null>(null);
  const now = useComputed(() => after.value ?? time.value);
  const secondStep = useComputed(() => runs.value.second.stepAt(now.value));
  const place = useComputed(() => fold.value.place(now.value));
  const span = useSpan(main, limits, place);
  useSignalEffect(() => {
    void time.value;
    after.value = null;
  });
  const seek = (wanted: number) => {
    playing.value = false;
    goToTime(wanted);
    after.value = wanted > main.peek().endTime ? Math.min(wanted, runs.peek().second.endTime) : null;
  };
  const isWide = size.value.width >= 720;
  const kinds = [...new Set([...first.kinds, ...second.kinds])];
  return (
    <>
      <div class="both" data-wide={isWide} ref={box}>
        <div class="both-runs">
          <Timeline run={first} span={span} fold={fold} limits={limits} time={now} step={step} onSeek={seek} isMain collapsed={collapsed} label="First run" title={<RunTitle run={first} mark="1" />} />
          <Timeline run={second} span={span} fold={fold} limits={limits} time={now} step={secondStep} onSeek={seek} isMain={false} collapsed={collapsed} label="Second run" title={<RunTitle run={second} mark="2" />} hasAxis={false} />
          <div class="both-foot"><ZoomButtons span={span} limits={limits} place={place} /><FoldButton runs={both.value} /><Kinds kinds={kinds} /></div>
          <Overview runs={both.value} span={span} fold={fold} limits={limits} place={place} />
        </div>
        <Counts first={first} second={second} now={now} />
      </div>
    </>
  );
}

function RunTitle({ run, mark }: { run: Run; mark: string }) {
  const { protocol, nodes, title } = run.header;
  return <p class="run-title" title={title}><b class="run-mark">{mark}</b><b>{protocol}</b><span>{nodes} nodes</span></p>;
}

const ROWS: [label: string, value: (tally: Tally) => number | null, text: (value: number) => string][] = [
  ["messages", (tally) => tally.messages, countText],
  ["bytes", (tally) => tally.bytes, bytesText],
  ["requests decided", (tally) => tally.decided, countText],
  ["messages per decision", (tally) => (tally.decided > 0 ? tally.messages / tally.decided : null), (value) => value.toFixed(1)],
  ["mean time to decide", (tally) => tally.meanWait, timeText],
];

/** What both have cost by the moment, and in the end. */
function Counts({ first, second, now }: { first: Run; second: Run; now: ReadonlySignal<number> }) {
  const tallies = [tallyAt(first, now.value), tallyAt(second, now.value)] as const;
  const say = (value: number | null, text: (value: number) => string) => (value === null ? "–" : text(value));
  return (
    <div class="counts">
      <table>
        <caption>By {timeText(now.value)}</caption>
        <thead><tr><th></th>{[first, second].map((run, at) => <th key={at} scope="col"><b class="run-mark">{at + 1}</b>{run.header.protocol}</th>)}<th scope="col">2 ÷ 1</th></tr></thead>
        <tbody>
          {ROWS.map(([label, value, text]) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td>{say(value(tallies[0]), text)}</td>
              <td>{say(value(tallies[1]), text)}</td>
              <td class="ratio">{ratio(value(tallies[0]), value(tallies[1]))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Decisions first={first} second={second} now={now} />
    </div>
  );
}

const MOST_REQUESTS = 200;

/** How long each request took in both runs. Drawn again only when another one has ended. */
function Decisions({ first, second, now }: { first: Run; second: Run; now: ReadonlySignal<number> }) {
  const waits = [pictureOf(first).waits, pictureOf(second).waits];
  const ended = useComputed(() => waits.map((list) => list.filter(({ to }) => to <= now.value).length).join(" "));
  void ended.value;
  const rows = Math.min(Math.max(...waits.map(({ length }) => length)), MOST_REQUESTS);
  return (
    <table>
      <caption>Time to decide</caption>
      <tbody>
        {Array.from({ length: rows }, (_, request) => <Decision key={request} request={request} both={waits.map((list) => list[request])} now={now.peek()} />)}
      </tbody>
    </table>
  );
}

function Decision({ request, both, now }: { request: number; both: (Wait | undefined)[]; now: number }) {
  const [first = null, second = null] = both.map((wait) => (wait && isAnsweredBy(wait, now) ? wait.to - wait.from : null));
  return (
    <tr class={first === null && second === null ? "to-come" : ""}>
      <th scope="row">request {request}</th>
      {[first, second].map((time, at) => (
        <td key={at}>{time !== null ? timeText(time) : both[at]?.outcome === "timed out" && both[at]!.to <= now ? "given up" : "…"}</td>
      ))}
      <td class="ratio">{ratio(first, second)}</td>
    </tr>
  );
}
