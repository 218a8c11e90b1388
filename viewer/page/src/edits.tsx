// What was done to the run from some moment on: a list, to undo, redo and remove.

import { Icon } from "./icons";
import { timeText } from "./looks";
import { Problems } from "./problems";
import type { Run } from "./run";
import type { Edit } from "./scenario";
import { canRedo, canUndo, edits, goToTime, redoEdit, removeEdit, run, undoEdit } from "./store";

/** An edit in words; a copy is named by its message if the run has it. */
export function editText(edit: Edit, shown: Run | null): string {
  const name = (ordinal: number) => {
    const copy = shown?.copy(ordinal);
    return copy ? `${copy.line.kind} ${copy.from} → ${copy.to}` : `copy ${ordinal}`;
  };
  switch (edit.edit) {
    case "behave": return edit.faults.length === 0 ? `node ${edit.node} keeps the rules` : `node ${edit.node}: ${edit.faults.join(", ")}`;
    case "crash": return `node ${edit.node} crashes`;
    case "restart": return `node ${edit.node} starts again`;
    case "network": return `network: ${typeof edit.network === "string" ? edit.network : "of your own"}`;
    case "lose": return `${name(edit.copy)} is lost`;
    case "duplicate": return `${name(edit.copy)} arrives twice`;
    case "delay": return `${name(edit.copy)} is ${timeText(edit.by_us * 1000)} late`;
  }
}

export function Edits() {
  return (
    <fieldset class="edits">
      <legend>From some moment on</legend>
      {edits.value.length === 0 && <p class="hint">Click a node or a message in the graph to change what happens from then on.</p>}
      <ol>
        {edits.value.map((edit, at) => (
          <li>
            {"at_us" in edit && <button class="link num" title="Go to this moment" onClick={() => goToTime(edit.at_us * 1000)}>{timeText(edit.at_us * 1000)}</button>}
            <span>{editText(edit, run.value)}</span>
            <button class="plain" aria-label={`Remove: ${editText(edit, run.value)}`} title="Remove" onClick={() => removeEdit(at)}><Icon name="remove" /></button>
          </li>
        ))}
      </ol>
      <div class="pair">
        <button disabled={!canUndo.value} onClick={undoEdit}><Icon name="undo" /> Undo</button>
        <button disabled={!canRedo.value} onClick={redoEdit}><Icon name="redo" /> Redo</button>
      </div>
      <Problems name="edits" />
    </fieldset>
  );
}
