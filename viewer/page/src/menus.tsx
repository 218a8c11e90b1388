// What can be done to a node or a message from this moment on. Every choice is an edit of the
// scenario, which is then played again.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { FaultEditor } from "./fault-editor";
import { timeText } from "./looks";
import type { Flight, Replica } from "./run";
import type { Edit } from "./scenario";
import { addEdit, canEdit, editTime } from "./store";
import { subject } from "./words";

interface Frame { title: string; onClose: () => void; children: ComponentChildren }

/** A small window that takes the focus and gives it back; Escape closes it. */
function Menu({ title, onClose, children }: Frame) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.querySelector<HTMLElement>(".deeds-row button:enabled, [tabindex]")?.focus();
    const outside = (event: PointerEvent) => {
      if (!ref.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener("pointerdown", outside, true);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      if (before instanceof HTMLElement || before instanceof SVGElement) before.focus();
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    // The page's own keys, such as the arrows, do not count in here.
    event.stopPropagation();
    if (event.key === "Escape") onClose();
  };
  return (
    <div class="deeds" role="dialog" aria-label={title} ref={ref} onKeyDown={onKeyDown}
      onClick={(event) => event.stopPropagation()} onPointerMove={(event) => event.stopPropagation()}>
      <div class="deeds-title">{title}<button class="plain" aria-label="Close" onClick={onClose}>×</button></div>
      {canEdit.value ? children : (
        <p class="deeds-note" tabIndex={-1}>This run was recorded, so it cannot go on in another way. Runs that are made from “Set up” can.</p>
      )}
    </div>
  );
}

export interface NodeMenuProps { node: number; replica: Replica; time: number; onClose: () => void }

export function NodeMenu({ node, replica, time, onClose }: NodeMenuProps) {
  const faults = useSignal(replica.faults.length > 0 ? replica.faults : ["malicious"]);
  const edit = (edit: Edit) => {
    addEdit(edit);
    onClose();
  };
  const at_us = editTime();
  return (
    <Menu title={`Node ${node}`} onClose={onClose}>
      <p class="deeds-note">From this moment on ({timeText(time)}):</p>
      <div class="deeds-row">
        {replica.up
          ? <button onClick={() => edit({ edit: "crash", at_us, node })}>Crash</button>
          : <button onClick={() => edit({ edit: "restart", at_us, node })}>Restart and recover</button>}
        {replica.faults.length > 0 && (
          <button onClick={() => edit({ edit: "behave", at_us, node, faults: [] })}>Heal</button>
        )}
      </div>
      {faults.value.map((fault, at) => (
        <FaultEditor key={at} fault={fault} label={`Node ${node}, fault ${at + 1}`}
          onChange={(changed) => (faults.value = faults.value.map((before, other) => (other === at ? changed : before)))}
          onRemove={() => (faults.value = faults.value.filter((_, other) => other !== at))} />
      ))}
      <div class="deeds-row">
        <button class="main" disabled={faults.value.length === 0}
          onClick={() => edit({ edit: "behave", at_us, node, faults: faults.value })}>Make it faulty</button>
        <button class="link" onClick={() => (faults.value = [...faults.value, "delay"])}>and another fault</button>
      </div>
    </Menu>
  );
}

export function MessageMenu({ flight, onClose }: { flight: Flight; onClose: () => void }) {
  const { copy } = flight;
  const late = useSignal("10");
  const late_us = Math.round(Number(late.value) * 1000);
  const isTime = Number.isFinite(late_us) && late_us > 0;
  const edit = (edit: Edit) => {
    addEdit(edit);
    onClose();
  };
  return (
    <Menu title={`${subject(flight.line)}: ${flight.from} → ${flight.to}`} onClose={onClose}>
      <div class="deeds-row">
        <button disabled={flight.lost} onClick={() => edit({ edit: "lose", copy })}>Lose it</button>
        <button onClick={() => edit({ edit: "duplicate", copy })}>Deliver it twice</button>
      </div>
      <div class="deeds-row">
        <button disabled={!isTime} onClick={() => edit({ edit: "delay", copy, by_us: late_us })}>Delay it</button>
        <label class="inline">by <input type="number" min="0.001" step="any" value={late.value} aria-invalid={!isTime}
          onInput={(event) => (late.value = event.currentTarget.value)} /> ms</label>
      </div>
    </Menu>
  );
}
