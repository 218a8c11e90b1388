// The top of the page: what run this is, files, the second run, the link, colours, help.

import { useRef } from "preact/hooks";
import { toggleCompare } from "./compare";
import { openFile, save, type SaveAs } from "./files";
import { address } from "./link";
import { countText, timeText } from "./looks";
import { busy, errors, file, helpOpen, isComparing, notice, run, theme, type Theme } from "./store";

const SAVE: [SaveAs, string][] = [
  ["page", "This page with the run in it (HTML)"], ["trace", "Trace"], ["svg", "Sequence chart (SVG)"],
  ["msc", "Sequence chart (msc-generator)"], ["mermaid", "Sequence chart (Mermaid)"], ["chrome", "Chrome trace events (JSON)"],
];
const THEMES: [Theme, string][] = [["auto", "Colours: as the system"], ["light", "Light"], ["dark", "Dark"]];

export function Header() {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <header class="top">
      <h1>Consensus, message by message</h1>
      <Summary />
      <div class="tools">
        <input ref={picker} type="file" hidden onChange={(event) => {
          const chosen = event.currentTarget.files?.[0];
          if (chosen) void openFile(chosen);
          event.currentTarget.value = "";
        }} />
        <button onClick={() => picker.current?.click()}>Open …</button>
        <details class="drop">
          <summary>Save</summary>
          <div class="drop-body right">
            {SAVE.map(([as, label]) => <button onClick={(event) => { event.currentTarget.closest("details")!.open = false; void save(as); }}>{label}</button>)}
          </div>
        </details>
        <button aria-pressed={isComparing.value} onClick={toggleCompare}>Compare</button>
        <button disabled={file.value !== null} title={file.value === null ? "Copy the address of this moment" : "A file is in no link; save the page instead"} onClick={copyLink}>Link</button>
        <select aria-label="Colours" value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
          {THEMES.map(([name, label]) => <option value={name}>{label}</option>)}
        </select>
        <button aria-label="Keys and signs" title="Keys and signs (?)" onClick={() => (helpOpen.value = true)}>?</button>
      </div>
    </header>
  );
}

async function copyLink(): Promise<void> {
  const text = await address();
  try {
    await navigator.clipboard.writeText(text);
    notice.value = "The link to this moment is copied.";
  } catch {
    location.hash = text.split("#")[1] ?? "";
    notice.value = "The browser does not let a page copy here. The address bar has the link to this moment.";
  }
}

function Summary() {
  const now = run.value;
  if (!now) return <p class="summary">{errors.value.length > 0 ? `The form has errors: ${errors.value.map(({ problem }) => problem).join("; ")}` : "Playing …"}</p>;
  const { header, trace: { end } } = now;
  const lasted = now.timeOf(now.length - 1);
  const answers = now.answers;
  const { messages } = now.totals(now.length - 1);
  const stale = errors.value.length > 0 ? " The form has errors: this is the last run without." : "";
  return (
    <p class="summary" aria-live="polite" data-busy={busy.value}>
      <b>{file.value ?? header.protocol}</b> {header.nodes} nodes, f = {header.f}, quorum {header.quorum} · {answers.given} of {answers.asked} requests answered · {countText(messages)} messages · {timeText(lasted)}{header.clock === "real" ? ", real nodes" : ""}
      {end.violation && <strong class="violation" role="alert"> Promise broken: {end.violation}</strong>}
      {stale && <strong class="problem">{stale}</strong>}
    </p>
  );
}
