// One <dialog> asks before an act: for hx-confirm, and for plain forms with data-confirm.
// data-confirm-consequence says what follows, data-confirm-action is the word on the button, data-confirm-type the
// number that must be typed first; it is sent as typed_count.
(() => {
  "use strict";
  const confirmed = new WeakSet();

  const typed = new WeakMap(); // what asked -> the number that was typed for it

  function ask(source, question, proceed) {
    const dialog = document.getElementById("confirm");
    dialog.querySelector("[data-confirm-question]").textContent = question;
    const consequence = dialog.querySelector("[data-confirm-text]");
    consequence.textContent = source.dataset.confirmConsequence || "";
    dialog.querySelector("[value=yes]").textContent = source.dataset.confirmAction || "Confirm";
    const count = askForCount(dialog, source.dataset.confirmType);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && proceed(count?.value.trim()), { once: true });
    dialog.showModal();
    count?.focus();
  }

  // Many at once: the button works when their number is typed. The server compares it again.
  function askForCount(dialog, number) {
    const field = dialog.querySelector("[data-confirm-count]");
    const input = field.querySelector("input");
    const yes = dialog.querySelector("[value=yes]");
    field.hidden = !number;
    input.value = "";
    input.oninput = () => (yes.disabled = Boolean(number) && input.value.trim() !== number);
    input.oninput();
    field.querySelector("[data-confirm-number]").textContent = number ?? "";
    return number ? input : null;
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-confirm-cancel]")) document.getElementById("confirm").close("no");
  });

  document.addEventListener("htmx:confirm", (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    const { elt, question, issueRequest } = event.detail;
    ask(elt, question, (count) => {
      if (count) typed.set(elt, count);
      issueRequest(true);
    });
  });
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (typed.has(detail.elt)) detail.parameters.typed_count = typed.get(detail.elt);
    typed.delete(detail.elt);
  });

  function keepCount(form, count) {
    let field = form.elements.typed_count;
    if (!field) {
      field = document.createElement("input");
      field.type = "hidden";
      field.name = "typed_count";
      form.append(field);
    }
    field.value = count;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset?.confirm || confirmed.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter;
    ask(form, form.dataset.confirm, (count) => {
      if (count) keepCount(form, count);
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
  document.addEventListener("click", (event) => {
    event.target.closest("[data-dismiss]")?.closest(".notice")?.remove();
  });
})();
