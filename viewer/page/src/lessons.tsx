// Lessons: a list, and the steps of the one that is open.

import { useEffect, useRef } from "preact/hooks";
import { closeLesson, goToLessonStep, lesson, lessonStep, lessons, missing, openLesson, tryIt, type Lesson } from "./lesson";
import { openPart } from "./store";

export function Lessons() {
  const open = lesson.value;
  return <div class="lessons">{open ? <Open open={open} /> : <List />}</div>;
}

function List() {
  return (
    <>
      <p class="hint">A few minutes each. Every step shows a moment of a run, and at the end there is something to try. A lesson of your own, a
        .toml file, is opened with “Open …” or dropped on the page.</p>
      {lessons.value.length === 0 && <p class="empty">There are no lessons in this page.</p>}
      <ol class="lesson-list">
        {lessons.value.map((it) => (
          <li><button onClick={() => openLesson(it)}><b>{it.title}</b>{it.isOwn && <small>from {it.name}.toml</small>}<span>{it.summary}</span></button></li>
        ))}
      </ol>
    </>
  );
}

function Open({ open }: { open: Lesson }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const at = lessonStep.value;
  const isLast = at >= open.steps.length;
  useEffect(() => heading.current?.focus({ preventScroll: true }), [open]);
  return (
    <article class="lesson">
      <button class="plain" onClick={closeLesson}>← All lessons</button>
      <h2 ref={heading} tabIndex={-1}>{open.title}</h2>
      <ol class="progress" aria-label="Steps">
        {[...open.steps, null].map((_, place) => (
          <li><button aria-label={place < open.steps.length ? `Step ${place + 1}` : "Try it"} aria-current={place === at ? "step" : undefined} onClick={() => goToLessonStep(place)} /></li>
        ))}
      </ol>
      <div class="lesson-text" aria-live="polite">
        <h3>{isLast ? "Now you" : `${at + 1} of ${open.steps.length}`}</h3>
        <Paragraphs text={isLast ? open.try.text : open.steps[at]!.text} />
        {missing.value && <p class="problem" role="alert">{missing.value}</p>}
      </div>
      <div class="pair">
        <button disabled={at === 0} onClick={() => goToLessonStep(at - 1)}>Back</button>
        {isLast ? <button class="main" onClick={tryIt}>Try it</button> : <button class="main" onClick={() => goToLessonStep(at + 1)}>Next</button>}
      </div>
    </article>
  );
}

/** What the open lesson asks to try, above the form in which one does it. */
export function Task() {
  const open = lesson.value;
  if (!open || lessonStep.value < open.steps.length) return null;
  return (
    <div class="task">
      <Paragraphs text={open.try.text} />
      <button class="plain" onClick={() => openPart("lessons")}>← Back to the lesson</button>
    </div>
  );
}

/** An empty line begins a paragraph; what stands between backticks is code. */
function Paragraphs({ text }: { text: string }) {
  return (
    <>
      {text.trim().split(/\n\s*\n/).map((paragraph) => (
        <p>{paragraph.split("`").map((piece, at) => (at % 2 === 1 ? <code>{piece}</code> : piece))}</p>
      ))}
    </>
  );
}
