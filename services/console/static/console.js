"use strict";
/* Replaces changed sections, confirms actions in a dialog and announces results. Text from services is only ever inserted as text. */
(() => {
  const REFRESH_MS = 4000;
  const STORAGE_KEY = "homeostat-actor";
  const sent = new Map(); // the HTML that the server last sent, by section
  let paused = false;
  let sending = false;
  let failures = 0;
  let current = null; // the action of the dialog
  let timer = 0;

  document.documentElement.classList.add("scripted");
  document.addEventListener("DOMContentLoaded", start);
  const find = (id) => document.getElementById(id);

  function start() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-action]");
      if (button) open(button.id, button.dataset);
    });
    document.addEventListener("mouseover", (event) => {
      const time = event.target.closest("time");
      if (time) time.title = time.dateTime;
    });
    find("pause").addEventListener("click", pause);
    find("logout")?.addEventListener("click", logOut);
    find("user")?.addEventListener("click", () => open("user", { action: "name", title: "Your name", text: "Stored in this browser and recorded with your actions.", body: "{}" }));
    find("dialog").querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); act(); });
    // Key repeat and the second half of a double click must not confirm a dialog that nobody has read yet.
    document.addEventListener("keydown", (event) => {
      const pressed = event.key === "Enter" || event.key === " ";
      if (event.repeat && pressed && event.target.closest("#dialog, [data-action]")) event.preventDefault();
    });
    find("dialog-confirm").addEventListener("click", (event) => { if (event.detail > 1) event.preventDefault(); });
    find("dialog-cancel").addEventListener("click", () => { if (!sending) find("dialog").close(); });
    find("dialog").addEventListener("cancel", (event) => { if (sending) event.preventDefault(); });
    find("dialog").addEventListener("close", () => focus(current && current.from, "action-items"));
    find("dialog-generation").addEventListener("change", showTarget);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) schedule(0); });
    showUser();
    schedule(REFRESH_MS);
  }

  // Refreshing

  function schedule(delay) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!paused && !document.hidden) await refresh();
      schedule(REFRESH_MS);
    }, delay);
  }

  async function refresh(quietly = false) {
    let fresh = null;
    try {
      const answer = await fetch("/main", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) return leave("/login");
      if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    } catch { /* counted below */ }
    if (fresh === null) {
      failures += 1;
      if (failures === 2) showConnectionProblem("The console does not respond. This page shows old data. Start the console with homeostat up.");
      return;
    }
    if (failures > 1) showConnectionProblem("");
    failures = 0;
    update(fresh, quietly);
  }

  function update(fresh, quietly) {
    // Logged out, or in as somebody else: the rest of the page is another person's. An open dialog first shows its result.
    if (fresh.dataset.viewer !== find("main").dataset.viewer && !find("dialog").open) return leave("/");
    const before = actionItems();
    for (const section of [...fresh.children]) {
      const old = find(section.id);
      const html = section.outerHTML;
      if (old === null || (sent.get(section.id) ?? old.outerHTML) === html || hasSelection(old)) continue;
      const held = old.contains(document.activeElement) ? document.activeElement.id : null;
      const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
      old.replaceWith(document.adoptNode(section));
      sent.set(section.id, html);
      for (const [id, left, top] of scrolled) find(id)?.scrollTo({ left, top, behavior: "instant" });
      if (held !== null) focus(held, section.id); // an element without an id: the heading of its section
    }
    if (!quietly) announceChanges(before, actionItems());
  }

  function leave(path) {
    paused = true;
    location.assign(path);
  }

  async function logOut() {
    await fetch("/logout", { method: "POST", headers: { "X-Homeostat-Console": "1" } }).catch(() => null);
    leave("/login");
  }

  // A section with selected text is not replaced.
  function hasSelection(section) {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && section.contains(selection.anchorNode);
  }

  function focus(id, section) {
    const found = (id && find(id)) || find(`${section}-title`);
    if (!found) return;
    if (found.tagName === "H2") found.tabIndex = -1;
    found.focus({ preventScroll: true });
  }

  function pause() {
    paused = !paused;
    find("pause").textContent = paused ? "Resume" : "Pause";
    announce(paused ? "Refreshing is paused." : "Refreshing is resumed.");
    if (!paused) schedule(0);
  }

  // Announcements

  function actionItems() {
    return new Map([...document.querySelectorAll("[data-item]")].map((one) => [one.id, one.dataset.item]));
  }

  function announceChanges(before, now) {
    const added = [...now].filter(([id]) => !before.has(id)).map(([, title]) => title);
    const resolved = [...before].filter(([id]) => !now.has(id)).map(([, title]) => title);
    const changes = [added.length ? `New action items: ${added.join("; ")}.` : "", resolved.length ? `Resolved: ${resolved.join("; ")}.` : ""];
    if (added.length || resolved.length) announce(changes.filter(Boolean).join(" "));
  }

  function announce(text) {
    find("announcements").textContent = text;
  }

  function showConnectionProblem(text) {
    find("connection").textContent = text;
  }

  // Actions

  function userName() {
    const named = document.querySelector('meta[name="homeostat-actor"]');
    if (named) return named.content;
    try { return localStorage.getItem(STORAGE_KEY) || ""; } catch { return ""; }
  }

  function showUser() {
    if (find("user")) find("user").textContent = userName() ? `Acting as ${userName()}` : "Your name…";
  }

  function open(from, data) {
    if (find("dialog").open) return;
    if (sending) return announce(`${current.title}: still waiting for the response.`);
    current = { ...data, from };
    const isRollback = data.action === "rollback";
    find("dialog-title").textContent = data.title;
    find("dialog-text").textContent = data.text;
    find("dialog-problem").textContent = "";
    find("dialog-rollback").hidden = !isRollback;
    find("dialog-note-field").hidden = !isRollback && data.action !== "acknowledge";
    find("dialog-note-label").textContent = isRollback ? "Reason" : "Note (optional)";
    find("dialog-note").value = "";
    find("dialog-note").required = isRollback;
    find("dialog-name-field").hidden = data.action !== "name" && userName() !== "";
    find("dialog-name").value = userName();
    find("dialog-confirm").hidden = false;
    find("dialog-confirm").textContent = { approve: "Approve", reject: "Reject", acknowledge: "Acknowledge", rollback: "Roll back", name: "Save" }[data.action];
    find("dialog-confirm").className = isRollback ? "danger" : "main";
    find("dialog-cancel").textContent = "Cancel";
    if (isRollback) showChoices(data);
    find("dialog").showModal();
    const fields = [find("dialog-name"), find("dialog-note")].filter((field) => !field.parentElement.hidden);
    (fields.find((field) => field.value === "") || find("dialog-cancel")).focus();
  }

  function showChoices(data) {
    find("dialog-generation").replaceChildren(...JSON.parse(data.choices).map((one) => {
      const option = document.createElement("option");
      option.value = one.generation;
      option.textContent = one.label;
      option.dataset.version = one.version;
      option.selected = String(one.generation) === data.default;
      return option;
    }));
    find("dialog-from").textContent = data.served;
    showTarget();
  }

  function showTarget() {
    const chosen = find("dialog-generation").selectedOptions[0];
    find("dialog-to").textContent = `version ${chosen.dataset.version} of generation ${chosen.value}, as generation ${current.next}`;
  }

  function body() {
    const request = { ...JSON.parse(current.body), actor: find("dialog-name").value.trim() };
    if (current.action === "rollback") {
      request.reason = find("dialog-note").value.trim();
      request.to_generation = Number(find("dialog-generation").value);
    }
    if (current.action === "acknowledge") request.note = find("dialog-note").value.trim();
    return request;
  }

  async function act() {
    if (sending || find("dialog-confirm").hidden) return;
    const request = body();
    if (!request.actor) return showProblem("Enter your name. It is recorded with the action.", "dialog-name");
    if (current.action === "rollback" && !request.reason) return showProblem("Enter a reason. It is stored with the release.", "dialog-note");
    if (!document.querySelector('meta[name="homeostat-actor"]')) {
      try { localStorage.setItem(STORAGE_KEY, request.actor); } catch { /* the name is asked for again */ }
    }
    showUser();
    if (current.action === "name") return find("dialog").close();
    const action = current;
    let isDone = false;
    setSending(true);
    showProblem("");
    try {
      const answer = await fetch(action.path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Homeostat-Console": "1" },
        body: JSON.stringify(request),
      });
      const reply = await answer.json().catch(() => ({}));
      isDone = answer.ok;
      if (isDone) done(action, reply);
      else failed(action, answer.status, reply);
    } catch {
      reportProblem(action, "The console does not respond. It is not known whether the action was done: check the page before you try again.");
    } finally {
      setSending(false);
      await refresh(isDone); // the result is announced already
    }
  }

  // The dialog stays until the response arrives: closing it would not cancel the action.
  function setSending(is) {
    sending = is;
    for (const id of ["dialog-confirm", "dialog-cancel"]) {
      if (is) find(id).setAttribute("aria-disabled", "true");
      else find(id).removeAttribute("aria-disabled");
    }
  }

  // A browser may let the user close a dialog in spite of the page; the result is then announced on the page. No other dialog opens
  // before that, so an open one belongs to the action.
  function reportProblem(action, text) {
    if (find("dialog").open) showProblem(text);
    else announce(`${action.title}: ${text}`);
  }

  function done(action, reply) {
    const result = {
      approve: () => `Approved; the run is ${String(reply.run?.state).replaceAll("_", " ")}.`,
      reject: () => "Rejected; the run has ended.",
      acknowledge: () => (reply.acknowledgement?.acknowledged_older > 0 ? `Acknowledged all ${reply.acknowledgement.acknowledged_older + 1}.` : "Acknowledged."),
      rollback: () => `Rolled back: generation ${reply.release?.generation} is released.`,
    }[action.action]();
    const shown = find("dialog").open;
    if (shown) find("dialog").close();
    announce(shown ? result : `${action.title}: ${result}`);
  }

  function failed(action, status, reply) {
    reportProblem(action, [reply.error || `The console returned ${status}.`, reply.hint || ""].filter(Boolean).join(" "));
    if (status === 409 || status === 404) { // the state has changed: the same request would fail again
      find("dialog-confirm").hidden = true;
      find("dialog-cancel").textContent = "Close";
      find("dialog-cancel").focus();
    }
  }

  function showProblem(text, field) {
    find("dialog-problem").textContent = text;
    if (field) {
      find(field).parentElement.hidden = false;
      find(field).focus();
    }
  }
})();
