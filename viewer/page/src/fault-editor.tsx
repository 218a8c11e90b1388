// One fault of one node: its kind, its argument and its conditions. Also used for edits.

import { CONDITIONS, FAULT_KINDS, faultOf, partsOf, type ArgumentForm, type FaultParts } from "./faults";
import { Icon } from "./icons";

export function FaultEditor(props: { fault: string; label: string; onChange: (fault: string) => void; onRemove: () => void }) {
  const parts = partsOf(props.fault);
  const set = (news: Partial<FaultParts>) => props.onChange(faultOf({ ...parts, ...news }));
  const known = FAULT_KINDS.find(({ kind }) => kind === parts.kind);
  const used = Object.keys(parts.conditions).length;
  return (
    <div class="fault">
      <div class="fault-row">
        <select aria-label={`${props.label}: kind of fault`} value={parts.kind}
          onChange={(event) => props.onChange(faultOf({ kind: event.currentTarget.value, argument: "", conditions: parts.conditions }))}>
          {!known && <option value={parts.kind}>{parts.kind}</option>}
          {FAULT_KINDS.map(({ kind }) => <option value={kind}>{kind}</option>)}
        </select>
        <button class="plain" aria-label={`${props.label}: remove this fault`} title="Remove" onClick={props.onRemove}><Icon name="remove" /></button>
      </div>
      {known && <p class="hint">It {known.does}.</p>}
      {known && known.takes.form !== "none" && (
        <div class="fault-argument">
          <Argument takes={known.takes} label={props.label} value={parts.argument} onChange={(argument) => set({ argument })} />
          <small>{known.takes.means}</small>
        </div>
      )}
      <details class="conditions">
        <summary>{used === 0 ? "Always" : `With ${used} condition${used > 1 ? "s" : ""}`}</summary>
        {CONDITIONS.map(({ name, example, means }) => (
          <label class="field">
            <span>{name}</span>
            <input value={parts.conditions[name] ?? ""} placeholder={example}
              onInput={(event) => set({ conditions: { ...parts.conditions, [name]: event.currentTarget.value } })} />
            <small>{means}</small>
          </label>
        ))}
      </details>
    </div>
  );
}

function Argument(props: { takes: ArgumentForm; label: string; value: string; onChange: (value: string) => void }) {
  const { takes, value, onChange } = props;
  const label = `${props.label}: ${takes.form === "none" ? "" : takes.means}`;
  const text = (value: string, example: string, set: (text: string) => void) => (
    <input class="argument" aria-label={label} title={label} placeholder={example} value={value} onInput={(event) => set(event.currentTarget.value.trim())} />
  );
  const choice = (value: string, choices: string[], set: (text: string) => void) => (
    <select aria-label={label} title={label} value={value} onChange={(event) => set(event.currentTarget.value)}>
      {choices.map((name) => <option value={name}>{name === "" ? "—" : name}</option>)}
    </select>
  );
  switch (takes.form) {
    case "none": return null;
    case "text": return text(value, takes.example, onChange);
    case "choice": return choice(value, takes.choices, onChange);
    case "choice-and-text": {
      const [first = "", ...others] = value.split(";");
      const chosen = takes.choices.includes(first) ? first : "";
      const rest = chosen === "" ? value : others.join(";");
      const join = (chosen: string, rest: string) => onChange([chosen, rest].filter((part) => part !== "").join(";"));
      return (
        <>
          {choice(chosen, takes.choices, (chosen) => join(chosen, rest))}
          {text(rest, takes.example, (rest) => join(chosen, rest))}
        </>
      );
    }
  }
}
