// The page: named places, and what is in them.

import { effect } from "@preact/signals";
import { Compare } from "./compare";
import { Controls } from "./controls";
import { Form } from "./form";
import { Graph } from "./graph";
import { Header } from "./header";
import { Help } from "./keys";
import { lesson } from "./lesson";
import { Lessons, Task } from "./lessons";
import { Log } from "./log";
import { Spacetime } from "./spacetime";
import { State } from "./state";
import { openPart, isComparing, notice, part, side, theme, type Part } from "./store";

const PARTS: [Part, string][] = [
  ["graph", "Graph"], ["spacetime", "Time"], ["log", "Log"], ["state", "State"], ["form", "Set up"], ["lessons", "Lessons"],
];

effect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
});

export function App() {
  return (
    <div class="page" data-part={part.value} data-side={side.value} data-lesson={lesson.value !== null && side.value === "lessons"}>
      <Header />
      {notice.value && (
        <p class="notice" role="alert">
          {notice.value} <button onClick={() => (notice.value = null)}>Close</button>
        </p>
      )}
      <section class="place controls" aria-label="Time"><Controls /></section>
      <nav class="tabs" aria-label="Parts of the page">
        {PARTS.map(([name, label]) => (
          <button aria-current={part.value === name} onClick={() => openPart(name)}>{label}</button>
        ))}
      </nav>
      <aside class="place side" aria-label={side.value === "form" ? "Set up" : "Lessons"}>
        <div class="side-tabs">
          {(["lessons", "form"] as const).map((name) => (
            <button aria-current={side.value === name} onClick={() => openPart(name)}>{name === "form" ? "Set up" : "Lessons"}</button>
          ))}
        </div>
        {side.value === "form" ? <><Task /><Form /></> : <Lessons />}
      </aside>
      <section class="place graph" aria-label="Message graph"><Graph /></section>
      {isComparing.value
        ? <section class="place spacetime compare" aria-label="Two runs"><Compare /></section>
        : <section class="place spacetime" aria-label="Space-time diagram"><Spacetime /></section>}
      <section class="place state" aria-label="State of the replicas"><State /></section>
      <section class="place log" aria-label="Log"><Log /></section>
      <Help />
    </div>
  );
}
