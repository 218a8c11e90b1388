"use strict";
// The page reads without this script; with it, values come up beside the pointer,
// tables sort, and figures can be saved.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  // The browser's own hints would come up beside ours.
  for (const title of document.querySelectorAll(".panels title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.parentNode.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const show = (event) => {
    // All that lies there: marks cover each other.
    const under = document.elementsFromPoint(event.clientX, event.clientY);
    const marked = new Set(under.map((element) => element.closest("[data-tip]")).filter(Boolean));
    tip.hidden = marked.size === 0;
    if (tip.hidden) return;
    tip.textContent = [...marked].map((mark) => mark.dataset.tip).join("\n");
    const room = 14;
    const left = Math.min(event.clientX + room, innerWidth - tip.offsetWidth - 6);
    const below = event.clientY + room + tip.offsetHeight < innerHeight;
    tip.style.left = Math.max(6, left) + "px";
    tip.style.top = (below ? event.clientY + room : event.clientY - room - tip.offsetHeight) + "px";
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const SVG = "http://www.w3.org/2000/svg";
  // All panels of a figure in one picture, with the style that they have here.
  const picture = (figure) => {
    const panels = [...figure.querySelectorAll(".panels svg")];
    const columns = Math.min(3, panels.length), gap = 16;
    const whole = document.createElementNS(SVG, "svg");
    const style = document.createElementNS(SVG, "style");
    style.textContent = document.getElementById("figure-style").textContent;
    whole.append(style, document.getElementById("patterns").cloneNode(true));
    const back = document.createElementNS(SVG, "rect");
    back.setAttribute("class", "paper-bg");
    whole.append(back);
    const heading = document.createElementNS(SVG, "text");
    heading.setAttribute("class", "h");
    heading.setAttribute("x", gap);
    heading.setAttribute("y", 24);
    heading.textContent = figure.querySelector("h3").textContent;
    whole.append(heading);
    let y = 40, tallest = 0;
    panels.forEach((panel, place) => {
      const copy = panel.cloneNode(true);
      const { width, height } = panel.viewBox.baseVal;
      for (const marked of copy.querySelectorAll("[data-tip]")) {
        const title = document.createElementNS(SVG, "title");
        title.textContent = marked.dataset.tip;
        marked.prepend(title);
        delete marked.dataset.tip;
      }
      if (place > 0 && place % columns === 0) { y += tallest + gap; tallest = 0; }
      copy.setAttribute("x", gap + (place % columns) * (width + gap));
      copy.setAttribute("y", y);
      copy.setAttribute("width", width);
      copy.setAttribute("height", height);
      tallest = Math.max(tallest, height);
      whole.append(copy);
    });
    const width = gap + columns * (400 + gap), height = y + tallest + gap;
    back.setAttribute("width", width);
    back.setAttribute("height", height);
    whole.setAttribute("class", "fig");
    whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    return new XMLSerializer().serializeToString(whole);
  };
  for (const figure of document.querySelectorAll("figure")) {
    for (const button of figure.querySelectorAll("button[data-save]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        if (button.dataset.save === "svg") save(figure.id + ".svg", "image/svg+xml", picture(figure));
        else save(figure.id + ".csv", "text/csv", figure.querySelector("pre").textContent);
      });
    }
  }

  const value = (row, column) => {
    const cell = row.cells[column], sort = cell.dataset.v;
    return sort === undefined ? cell.textContent.trim() : sort === "" ? NaN : Number(sort);
  };
  // Cells without a number come last, whichever way the others go.
  const compare = (a, b, falling) => {
    const sign = falling ? -1 : 1;
    if (typeof a === "string") return sign * a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };
  for (const table of document.querySelectorAll("table.sorts")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(value(a, column), value(b, column), falling));
        rows.forEach((row) => row.classList.remove("first"));
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
