// Loaded before the page is drawn, so that a chosen theme never flashes. Without a choice the system decides.
(() => {
  "use strict";
  const ORDER = ["system", "light", "dark"];
  const root = document.documentElement;

  function stored() {
    try {
      const theme = localStorage.getItem("theme");
      return ORDER.includes(theme) ? theme : "system";
    } catch {
      return "system";
    }
  }

  function apply(theme) {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.hidden = false;
      button.querySelector("[data-theme-word]").textContent = theme;
    }
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => apply(stored()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length];
    try {
      localStorage.setItem("theme", next);
    } catch {
      // A browser that keeps nothing still switches for this page.
    }
    apply(next);
  });
})();
