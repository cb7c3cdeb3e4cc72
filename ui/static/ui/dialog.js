// One <dialog> asks before an act: for hx-confirm, and for plain forms with data-confirm.
// data-confirm-consequence says what follows, data-confirm-action is the word on the button.
(() => {
  "use strict";
  const confirmed = new WeakSet();

  function ask(source, question, proceed) {
    const dialog = document.getElementById("confirm");
    dialog.querySelector("[data-confirm-question]").textContent = question;
    const consequence = dialog.querySelector("[data-confirm-text]");
    consequence.textContent = source.dataset.confirmConsequence || "";
    dialog.querySelector("[value=yes]").textContent = source.dataset.confirmAction || "Confirm";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && proceed(), { once: true });
    dialog.showModal();
  }

  document.addEventListener("htmx:confirm", (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    ask(event.detail.elt, event.detail.question, () => event.detail.issueRequest(true));
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset?.confirm || confirmed.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter;
    ask(form, form.dataset.confirm, () => {
      confirmed.add(form);
      form.requestSubmit(button);
    });
  }, true);

  // A menu closes when the reader goes elsewhere.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    // The first Escape belongs to the question, not to the form behind it.
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  // An act that failed must say so; a refresh that failed shows as staleness (live.js).
  function tellFailure(event) {
    if (event.detail.elt?.hasAttribute("data-live")) return;
    const status = event.detail.xhr?.status;
    const notice = document.createElement("div");
    notice.className = "notice notice-bad";
    const text = document.createElement("p");
    text.className = "notice-body";
    text.textContent = status === 403
      ? "You may not do this: your log-in lacks the permission."
      : `No usable answer came${status ? ` (status ${status})` : ""}. It is not certain whether it was done: load the page again and look.`;
    notice.append(text);
    document.getElementById("messages").append(notice);
  }
  document.addEventListener("htmx:responseError", tellFailure);
  document.addEventListener("htmx:sendError", tellFailure);
  document.addEventListener("htmx:timeout", tellFailure);

  document.addEventListener("click", (event) => {
    event.target.closest("[data-dismiss]")?.closest(".notice")?.remove();
  });
})();
