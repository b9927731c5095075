"use strict";
/* Replaces the sections by newer ones every few seconds, but not while the focus or a selection lies inside them. */
(() => {
  const find = (id) => document.getElementById(id);
  const EVERY_MS = 5000;
  const UPDATING = "Updates every 5 seconds.";
  let paused = false;
  let updatedAt = new Date();

  const show = (text) => { if (find("updates").textContent !== text) find("updates").textContent = text; };

  function inUse() {
    const main = find("main"), selection = getSelection(), active = document.activeElement;
    return (main !== active && main.contains(active)) || (!selection.isCollapsed && main.contains(selection.anchorNode));
  }

  function replace(page) {
    const before = find("summary").textContent;
    for (const section of document.querySelectorAll("main section")) {
      const fresh = page.getElementById(section.id);
      if (fresh && fresh.innerHTML !== section.innerHTML) section.replaceChildren(...fresh.childNodes);
    }
    document.title = page.title;
    // A screen reader announces this element: only a changed summary.
    if (find("summary").textContent !== before) find("news").textContent = find("summary").textContent;
  }

  async function refresh() {
    if (paused || document.hidden) return;
    try {
      const options = { headers: { accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) };
      const response = await fetch(location.href, options);
      if (!response.ok) throw new Error(response.status);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (paused) return;
      if (inUse()) return show("Updates wait while the focus or a selection is in the page.");
      replace(page);
      updatedAt = new Date();
      show(UPDATING);
    } catch {
      if (!paused) show(`The server does not respond. This is its state at ${updatedAt.toLocaleTimeString()}.`);
    }
  }

  async function repeat() {
    await refresh();
    setTimeout(repeat, EVERY_MS);
  }

  find("pause").addEventListener("click", () => {
    paused = !paused;
    find("pause").textContent = paused ? "Resume updates" : "Pause updates";
    show(paused ? "Updates are paused." : UPDATING);
  });
  find("pause").hidden = false;
  show(UPDATING);
  setTimeout(repeat, EVERY_MS);
})();
