// What did not come back says so: an act in the messages, a look on top of the region that it was to refresh.
(() => {
  "use strict";

  function why(xhr) {
    if (!xhr?.status) return "The server does not answer.";
    return xhr.status === 403 ? "Your log-in lacks the permission." : `The server answered with status ${xhr.status}.`;
  }

  function tellAct({ xhr }) {
    const notice = document.createElement("div");
    notice.className = "notice notice-bad";
    const text = document.createElement("p");
    text.className = "notice-body";
    text.textContent = xhr?.status === 403
      ? "You may not do this: your log-in lacks the permission."
      : `No usable answer came${xhr?.status ? ` (status ${xhr.status})` : ""}. It is not certain whether it was done: load the page again and look.`;
    notice.append(text);
    document.getElementById("messages").append(notice);
  }

  function tellLook({ elt, target, xhr, pathInfo }) {
    const region = document.getElementById(target.id) ?? target;
    clear(region);
    const note = document.getElementById("could-not-load").content.firstElementChild.cloneNode(true);
    note.querySelector("[data-why]").textContent = why(xhr);
    note.querySelector("[data-retry]").addEventListener("click", () => askAgain(elt, pathInfo));
    region.prepend(note);
  }

  // As it was asked the first time, so that the address follows. What asked may be gone: then by its address.
  function askAgain(elt, pathInfo) {
    if (!elt.isConnected) location.assign(pathInfo.finalRequestPath);
    else if (elt.matches("form")) elt.requestSubmit();
    else if (elt.matches("a, button")) elt.click();
    else location.assign(pathInfo.finalRequestPath);
  }

  function clear(region) {
    for (const note of region.querySelectorAll(":scope > [data-could-not-load]")) note.remove();
  }

  function tell({ detail }) {
    const isPoll = detail.elt?.hasAttribute("data-live") && !detail.requestConfig.triggeringEvent;
    if (isPoll) return; // live.js says how old the region is, and why
    if (detail.requestConfig?.verb === "get") tellLook(detail);
    else tellAct(detail);
  }
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, tell);

  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const region = detail.target && document.getElementById(detail.target.id);
    if (region && detail.successful) clear(region);
  });
})();
