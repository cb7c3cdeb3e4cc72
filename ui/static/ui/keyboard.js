// One key is one step: through rows, to the filter, to another page. The help is in the page as links and words;
// this file reads it, so that what it lists and what works cannot differ.
(() => {
  "use strict";
  const JUMP_WITHIN_MS = 1500;
  const ROWS = "main tbody tr, main article.cause, main [data-row]";
  let jumpsUntil = 0;
  let isOn = true;
  try {
    isOn = localStorage.getItem("single-keys") !== "off";
  } catch {
    // A browser that keeps nothing starts with the keys on.
  }

  const isSeen = (element) => element.checkVisibility();
  const openerOf = (row) =>
    [...row.querySelectorAll("[data-open]"), ...row.querySelectorAll("th a[href]"), ...row.querySelectorAll("a[href], summary")].find(isSeen);
  const rowOf = (element) => element.closest(ROWS);

  function say(words) {
    const said = document.getElementById("said");
    if (said) said.textContent = words;
  }

  // The focus itself moves, from link to link: Enter, the screen reader and the eye all agree where one is.
  function step(by) {
    const rows = [...document.querySelectorAll(ROWS)].filter((row) => isSeen(row) && openerOf(row));
    if (!rows.length) return say("There is no list on this page.");
    const here = rows.indexOf(rowOf(document.activeElement));
    const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : here + by;
    if (next < 0 || next >= rows.length) return say(by > 0 ? "This is the last row." : "This is the first row.");
    const opener = openerOf(rows[next]);
    opener.focus({ preventScroll: true });
    (rows[next].matches("tr") ? opener : rows[next]).scrollIntoView({ block: "nearest" });
  }

  function toFilter() {
    const field = [...document.querySelectorAll("main input[type=search], main form.filters :is(input, select)")].find(isSeen);
    if (!field) return say("There is no filter on this page.");
    field.focus();
    field.select?.();
  }

  // Only what asks before it acts may be reached by one key.
  function approve() {
    const row = rowOf(document.activeElement);
    const button = row?.querySelector("[data-approve], button[name=only]");
    if (button?.matches("[hx-confirm], [data-confirm]") && isSeen(button)) button.click();
    else say(row ? "There is nothing to approve here." : "Go to a cause first: j and k.");
  }

  function select() {
    const box = rowOf(document.activeElement)?.querySelector("input[type=checkbox]");
    if (!box) return say("There is nothing to select here.");
    box.click();
    say(box.checked ? "Selected." : "Not selected.");
  }

  function help() {
    const dialog = document.getElementById("keyboard-help");
    if (dialog) dialog.showModal();
    return dialog !== null;
  }

  function jump(key) {
    const link = document.querySelector(`[data-jump="${CSS.escape(key)}"]`);
    if (link) link.click();
    else say(`No page has the key ${key}.`);
  }

  const STEPS = {
    j: () => step(1),
    k: () => step(-1),
    "/": toFilter,
    a: approve,
    x: select,
    "?": help,
    g: () => (jumpsUntil = Date.now() + JUMP_WITHIN_MS),
  };

  function isElsewhere(event) {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return true;
    if (document.querySelector("dialog[open]")) return true;
    return event.target.closest?.("input, textarea, select, [contenteditable]") !== null;
  }

  document.addEventListener("keydown", (event) => {
    if (!isOn || event.key.length !== 1 || isElsewhere(event)) return;
    if (Date.now() < jumpsUntil) {
      jumpsUntil = 0;
      event.preventDefault();
      jump(event.key);
    } else if (Object.hasOwn(STEPS, event.key) && (!event.repeat || "jk".includes(event.key))) {
      event.preventDefault();
      STEPS[event.key]();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest("[data-keyboard-help]")) return;
    if (help()) event.preventDefault();
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-keys-on]")) return;
    isOn = event.target.checked;
    try {
      localStorage.setItem("single-keys", isOn ? "on" : "off");
    } catch {
      // Then the choice lasts as long as this page.
    }
    say(isOn ? "Single keys are shortcuts again." : "Single keys do nothing now.");
  });

  document.addEventListener("DOMContentLoaded", () => {
    for (const label of document.querySelectorAll("[data-keys-switch]")) {
      label.hidden = false;
      label.querySelector("[data-keys-on]").checked = isOn;
    }
  });
})();
