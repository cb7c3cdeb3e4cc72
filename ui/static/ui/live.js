// Regions with data-live refresh themselves by htmx polling. This file decides when not to, and says how old they are;
// it also refreshes them at once when the books have changed, but for those that say data-live="slow".
(() => {
  "use strict";
  const STALE_AFTER_MS = 20000;
  const AGES = "time[data-age], time[data-until]";
  const lastHtml = new Map(); // region id -> the HTML that is shown
  const refreshedAt = new Map(); // region id -> when the server last answered
  const loadedAt = Date.now();
  const failedFor = new Map(); // region id -> why its last refresh failed
  let paused = false;
  try {
    paused = sessionStorage.getItem("paused") === "yes";
  } catch {
    // A browser that keeps nothing starts unpaused.
  }

  const isPoll = (detail) => detail.elt.hasAttribute("data-live") && !detail.requestConfig.triggeringEvent;

  // htmx gives focus back to an element with an id; anything else that has the focus would lose it in a swap.
  function isBusy(region) {
    const focused = document.activeElement;
    const losesFocus = region.contains(focused) && (!focused.id || focused.matches("input, select, textarea"));
    const selection = document.getSelection();
    const isSelecting = selection?.type === "Range" && region.contains(selection.anchorNode);
    return losesFocus || isSelecting || document.querySelector("dialog[open]") !== null;
  }

  // Several questions may be under way for one region. What was asked last decides, whichever answer comes first: an
  // older answer would put its rows or its address over the newer ones. A poll waits for everything else.
  const asked = new Map(); // region id -> the request that was sent last, until it is answered

  document.addEventListener("htmx:beforeRequest", (event) => {
    const { target: region, xhr } = event.detail;
    if (!region.hasAttribute("data-live")) return;
    if (isPoll(event.detail) && (asked.has(region.id) || paused || document.hidden || isBusy(region))) {
      event.preventDefault();
      return;
    }
    asked.set(region.id, xhr);
    const take = ({ detail }) => detail.xhr === xhr && takeAnswer(detail, asked.get(region.id) !== xhr);
    // Not on the document: a region that was replaced meanwhile is no longer in it.
    region.addEventListener("htmx:beforeSwap", take);
    xhr.addEventListener("loadend", () => {
      region.removeEventListener("htmx:beforeSwap", take);
      if (asked.get(region.id) === xhr) asked.delete(region.id);
    });
  });
  window.addEventListener("pageshow", () => asked.clear()); // what was under way when the reader left is not answered

  function takeAnswer(detail, isOutdated) {
    const { elt: region, xhr } = detail;
    if (isOutdated && detail.requestConfig.verb === "get") {
      detail.shouldSwap = false;
      return;
    }
    if (!region.isConnected) detail.target = document.getElementById(region.id) ?? region;
    if (xhr.status !== 200) return;
    refreshedAt.set(region.id, Date.now());
    failedFor.delete(region.id);
    // Nothing changed, or the reader came here while the answer was on its way: leave the region alone.
    if (lastHtml.get(region.id) === xhr.responseText || (isPoll(detail) && isBusy(region))) detail.shouldSwap = false;
    else {
      lastHtml.set(region.id, xhr.responseText);
      remember(detail.target);
    }
  }

  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, ({ detail }) => {
      const status = detail.xhr?.status;
      if (isPoll(detail)) failedFor.set(detail.elt.id, status ? `the server answered with status ${status}` : "the server does not answer");
    });
  }

  // The books have a version. It is asked for twice a second and costs next to nothing; the regions cost more.
  const BEAT_MS = 400;
  const AFTER_FAILURE_MS = 5000;
  const books = document.querySelector("meta[name=books-version]");
  let shown = books?.content; // the version that the regions show

  async function refreshFor(version) {
    const regions = [...document.querySelectorAll("[data-live]:not([data-live=slow])")];
    // What is on its way may have been drawn before the change: then it is asked for again at the next beat.
    const late = regions.filter((region) => asked.has(region.id));
    const refresh = (region) => htmx.ajax("GET", region.getAttribute("hx-get"), { source: region, target: region, swap: "outerHTML" });
    await Promise.allSettled(regions.filter((region) => !late.includes(region)).map(refresh));
    if (late.length === 0) shown = version;
  }

  async function beat() {
    const began = performance.now();
    let pause = BEAT_MS;
    if (!paused && !document.hidden) {
      try {
        const answer = await fetch(books.dataset.pulse, { redirect: "manual", signal: AbortSignal.timeout(AFTER_FAILURE_MS) });
        const version = answer.ok ? await answer.text() : shown;
        if (!answer.ok) pause = AFTER_FAILURE_MS;
        else if (version !== shown) {
          await refreshFor(version);
          pause = Math.max(BEAT_MS, performance.now() - began); // a slow server is asked seldomer
        }
      } catch {
        pause = AFTER_FAILURE_MS; // polling goes on, and says what is wrong
      }
    }
    setTimeout(beat, pause);
  }
  if (books) document.addEventListener("DOMContentLoaded", () => setTimeout(beat, BEAT_MS));

  // What is sent along with an answer is put in only when it says something new: it would be read aloud again.
  function saying(nodes) {
    const box = document.createElement("div");
    box.append(...[...nodes].map((node) => node.cloneNode(true)));
    for (const time of box.querySelectorAll(AGES)) time.textContent = "";
    for (const element of box.querySelectorAll("[hx-swap-oob]")) element.removeAttribute("hx-swap-oob");
    return box.innerHTML.trim();
  }
  document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
    if (detail.target.id === "messages") return; // the same answer to a second act is news
    const said = saying(detail.fragment.childNodes);
    if (said === saying([detail.target]) || said === saying(detail.target.childNodes)) detail.shouldSwap = false;
  });

  // What a reader has scrolled and unfolded survives the swap.
  let scrolled = [];
  let unfolded = [];
  function remember(region) {
    scrolled = [...region.querySelectorAll(".table-scroll")].map((element) => element.scrollLeft);
    unfolded = [...region.querySelectorAll("details[id][open]")].map((element) => element.id);
  }
  function restore(region) {
    [...region.querySelectorAll(".table-scroll")].forEach((element, i) => (element.scrollLeft = scrolled[i] ?? 0));
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
    unfolded = [];
  }

  function span(seconds) {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  const asSent = new WeakMap(); // a time -> itself in words, as the server wrote it

  function tellTimes() {
    const now = Date.now();
    for (const time of document.querySelectorAll(AGES)) {
      if (!asSent.has(time)) asSent.set(time, time.textContent);
    }
    for (const time of document.querySelectorAll("time[data-age]")) {
      const seconds = Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000));
      write(time, `${span(seconds)} ago`);
    }
    for (const time of document.querySelectorAll("time[data-until]")) {
      const seconds = Math.floor((Date.parse(time.dateTime) - now) / 1000);
      write(time, seconds > 0 ? `in ${span(seconds)}` : "now");
    }
  }

  // "12 s ago" says nothing on paper.
  window.addEventListener("beforeprint", () => {
    for (const time of document.querySelectorAll(AGES)) write(time, asSent.get(time) ?? time.textContent);
  });
  window.addEventListener("afterprint", tellTimes);

  function tellStaleness() {
    const now = Date.now();
    let oldest = 0;
    let oldestRegion = null;
    for (const region of document.querySelectorAll("[data-live]")) {
      const quiet = now - (refreshedAt.get(region.id) ?? loadedAt);
      const isStale = quiet > STALE_AFTER_MS && !document.hidden;
      region.classList.toggle("is-stale", isStale);
      region.dataset.refreshed = span(Math.floor(quiet / 1000)); // shown under it, or on top when stale (components.css)
      if (isStale && quiet > oldest) {
        oldest = quiet;
        oldestRegion = region;
      }
    }
    const note = document.getElementById("stale-note");
    if (!note) return;
    note.hidden = oldest === 0;
    const why = oldest ? whyStale(oldestRegion) : "";
    if (why) write(note.querySelector("[data-stale-text]"), `${why} Figures are ${span(Math.floor(oldest / 1000))} old.`);
    // Heard once, not every second: the note itself is silent.
    if (why !== saidWhy) write(document.getElementById("said"), why || "Figures are fresh again.");
    saidWhy = why;
  }
  let saidWhy = "";

  function whyStale(region) {
    if (paused) return "Refreshing is paused.";
    if (isBusy(region)) return "Refreshing waits while you work in a part of this page.";
    const why = failedFor.get(region.id);
    return `This page could not be refreshed${why ? `: ${why}` : ""}.`;
  }

  function showPause() {
    for (const button of document.querySelectorAll("[data-pause-toggle]")) {
      button.hidden = document.querySelector("[data-live]") === null;
      button.setAttribute("aria-pressed", String(paused));
      write(button.querySelector("[data-pause-word]"), paused ? "Paused" : "Live");
    }
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-pause-toggle]")) return;
    paused = !paused;
    try {
      sessionStorage.setItem("paused", paused ? "yes" : "no");
    } catch {
      // Then the choice lasts as long as this page.
    }
    showPause();
    tellStaleness();
    write(document.getElementById("said"), paused ? "Refreshing is paused, on every page of this tab." : "Refreshing goes on.");
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    // Come back to the tab: give the first refresh its time before calling anything old.
    for (const region of document.querySelectorAll("[data-live]")) refreshedAt.set(region.id, Date.now());
  });

  function tick() {
    tellTimes();
    tellStaleness();
  }
  document.addEventListener("DOMContentLoaded", () => {
    showPause();
    tick();
    setInterval(tick, 1000);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const region = document.getElementById(event.detail.target.id);
    if (region?.hasAttribute("data-live")) restore(region);
    tick();
  });
})();
