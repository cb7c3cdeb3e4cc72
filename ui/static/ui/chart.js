// Says the values of a chart under the pointer, or at the arrow keys' place. They are read from the chart's own table.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const JUMP = 10;
  const chosen = new Map(); // chart id -> the row that the keyboard is at; it survives a refresh of the page's part
  const idle = new WeakMap(); // readout -> what it says while nobody points

  const rowsOf = (frame) => [...frame.parentElement.querySelectorAll("tbody[data-readings] > tr")];
  const frameOf = (event) => (event.target instanceof Element ? event.target.closest(".chart-frame") : null);

  function shape(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  function say(frame, row) {
    const readout = frame.parentElement.querySelector(".chart-readout");
    if (!idle.has(readout)) idle.set(readout, [...readout.childNodes]);
    const names = [...frame.parentElement.querySelectorAll("thead")][0].querySelectorAll("th");
    const parts = [...row.cells].map((cell, i) => {
      const part = document.createElement("span");
      part.append(i === 0 ? cell.textContent : `${names[i].textContent} `);
      if (i > 0) part.append(Object.assign(document.createElement("b"), { textContent: cell.textContent }));
      return part;
    });
    if (row.dataset.note) parts.push(Object.assign(document.createElement("span"), { textContent: row.dataset.note }));
    readout.replaceChildren(...parts.flatMap((part) => [part, " "]));
  }

  function show(frame, row) {
    const height = frame.querySelector(".chart-area").getAttribute("height");
    const x = `${row.dataset.x}%`;
    const dots = (row.dataset.y || "").split(" ").filter(Boolean);
    frame
      .querySelector(".chart-cross")
      .replaceChildren(
        shape("line", { x1: x, x2: x, y1: 0, y2: height }),
        ...dots.map((y) => shape("circle", { cx: x, cy: y, r: 4 })),
      );
    say(frame, row);
  }

  function hide(frame) {
    frame.querySelector(".chart-cross").replaceChildren();
    const readout = frame.parentElement.querySelector(".chart-readout");
    if (idle.has(readout)) readout.replaceChildren(...idle.get(readout));
  }

  function nearest(frame, clientX) {
    const area = frame.querySelector(".chart-area").getBoundingClientRect();
    const x = ((clientX - area.left) / area.width) * 100;
    const distance = (row) => Math.abs(Number(row.dataset.x) - x);
    return rowsOf(frame).reduce((best, row) => (distance(row) < distance(best) ? row : best));
  }

  function showChosen(frame) {
    const rows = rowsOf(frame);
    const index = Math.min(chosen.get(frame.id) ?? rows.length - 1, rows.length - 1);
    show(frame, rows[index]);
  }

  for (const kind of ["pointermove", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      const frame = frameOf(event);
      if (frame) show(frame, nearest(frame, event.clientX));
    });
  }

  document.addEventListener("pointerout", (event) => {
    const frame = frameOf(event);
    if (!frame || frame.contains(event.relatedTarget)) return;
    if (document.activeElement === frame) showChosen(frame);
    else hide(frame);
  });

  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(".chart-frame:focus-visible")) showChosen(event.target);
  });

  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.(".chart-frame")) hide(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const frame = event.target;
    if (!frame.matches?.(".chart-frame") || event.altKey || event.ctrlKey || event.metaKey) return;
    const last = rowsOf(frame).length - 1;
    const now = Math.min(chosen.get(frame.id) ?? last, last);
    const next = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      PageDown: now + JUMP,
      PageUp: now - JUMP,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape") hide(frame);
    if (next === undefined) return;
    event.preventDefault();
    chosen.set(frame.id, Math.max(0, Math.min(next, last)));
    showChosen(frame);
  });
})();
