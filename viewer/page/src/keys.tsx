// The keyboard: what each key does, and the list of them.

import { useEffect, useRef } from "preact/hooks";
import { changeSpeed, togglePlay } from "./controls";
import { GRANULARITIES } from "./run";
import { Signs } from "./signs";
import { goBack, goNext, goTo, granularity, helpOpen, notice, redoEdit, run, selected, undoEdit } from "./store";

const KEYS: [keys: string, does: string][] = [
  ["→ ←", "next and back, as far as “by” says"],
  ["Space", "play, pause"],
  ["Home End", "before the first step, the last step"],
  ["1 … 5", "go by event, message, phase, slot, view"],
  ["+ −", "faster, slower"],
  ["Ctrl Z, Ctrl Shift Z", "undo an edit, redo it"],
  ["Esc", "nothing selected"],
  ["↑ ↓", "in the log: the line before, the next line"],
  ["Tab", "to the next part"],
  ["?", "this list"],
];

/** Keys do nothing of their own where somebody types or chooses. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=range]):not([type=checkbox]):not([type=radio]), select, textarea");
}

export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || helpOpen.peek() || isTyping(event.target)) return;
    if (act(event)) event.preventDefault();
  });
}

/** A menu closes when one clicks beside it. */
export function closeMenus(): void {
  addEventListener("pointerdown", ({ target }) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.drop[open]")) {
      if (!(target instanceof Node && menu.contains(target))) menu.open = false;
    }
  });
}

/** Says whether the key was one of the page's. */
function act(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z") return false;
    if (event.shiftKey) redoEdit();
    else undoEdit();
    return true;
  }
  const by = GRANULARITIES[Number(event.key) - 1];
  if (by) {
    granularity.value = by;
    return true;
  }
  switch (event.key) {
    case "ArrowRight": goNext(); return true;
    case "ArrowLeft": goBack(); return true;
    case " ":
      // On a button, the space bar presses it.
      if (event.target instanceof HTMLElement && event.target.closest("button, summary, a, [role=button]")) return false;
      togglePlay();
      return true;
    case "Home": goTo(-1); return true;
    case "End": goTo((run.peek()?.length ?? 0) - 1); return true;
    case "+": case "=": changeSpeed(1); return true;
    case "-": changeSpeed(-1); return true;
    case "?": helpOpen.value = true; return true;
    case "Escape":
      selected.value = null;
      notice.value = null;
      for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.drop[open]")) menu.open = false;
      return true;
    default: return false;
  }
}

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helpOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [helpOpen.value]);
  return (
    <dialog ref={dialog} onClose={() => (helpOpen.value = false)} aria-labelledby="help-title">
      <div class="section-head">
        <h2 id="help-title">Keys</h2>
        <button autofocus onClick={() => (helpOpen.value = false)}>Close</button>
      </div>
      <dl>{KEYS.map(([keys, does]) => <><dt>{keys.split(" ").map((key) => <kbd>{key}</kbd>)}</dt><dd>{does}</dd></>)}</dl>
      <h2>Signs</h2>
      <dl>
        <dt>●</dt><dd>a node that keeps the rules</dd>
        <dt>◆</dt><dd>a faulty node</dd>
        <dt>✕</dt><dd>a node that is down</dd>
        <dt>◌</dt><dd>a node that learns what it missed</dd>
        <dt>≠</dt><dd>not as with most replicas</dd>
        <dt>A, B …</dt><dd>values that votes are for: batches of requests</dd>
      </dl>
      {helpOpen.value && <Signs />}
    </dialog>
  );
}
