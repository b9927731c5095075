"use strict";
/* Refreshes what changed, asks before it acts, says what came of it. Services' words enter as text only. */
(() => {
  const EVERY_MS = 4000;
  const NAME = "homeostat-actor";
  const sent = new Map(); // what the server last sent of each section
  let paused = false;
  let busy = false;
  let misses = 0;
  let asked = null; // what the open dialog is about
  let timer = 0;

  document.documentElement.classList.add("scripted");
  document.addEventListener("DOMContentLoaded", start);
  const at = (id) => document.getElementById(id);

  function start() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-act]");
      if (button) open(button.id, button.dataset);
    });
    document.addEventListener("mouseover", (event) => {
      const moment = event.target.closest("time");
      if (moment) moment.title = moment.dateTime;
    });
    at("pause").addEventListener("click", pause);
    at("who").addEventListener("click", () => open("who", { act: "name", title: "Your name", says: "Kept in this browser and written beside what you do.", body: "{}" }));
    at("ask").querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); act(); });
    // A key held down, or the second half of a double click, is no answer to what nobody has read yet.
    document.addEventListener("keydown", (event) => {
      const pressed = event.key === "Enter" || event.key === " ";
      if (event.repeat && pressed && event.target.closest("#ask, [data-act]")) event.preventDefault();
    });
    at("ask-do").addEventListener("click", (event) => { if (event.detail > 1) event.preventDefault(); });
    at("ask-cancel").addEventListener("click", () => { if (!busy) at("ask").close(); });
    at("ask").addEventListener("cancel", (event) => { if (busy) event.preventDefault(); });
    at("ask").addEventListener("close", () => focus(asked && asked.from, "needs"));
    at("ask-choice").addEventListener("change", coming);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) again(0); });
    who();
    again(EVERY_MS);
  }

  // Refreshing

  function again(pause) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!paused && !document.hidden) await refresh();
      again(EVERY_MS);
    }, pause);
  }

  async function refresh(quietly = false) {
    let fresh = null;
    try {
      const answer = await fetch("/main", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    } catch { /* counted below */ }
    if (fresh === null) {
      misses += 1;
      if (misses === 2) lost("The console itself does not answer. What you see is as it was; start it with homeostat up.");
      return;
    }
    if (misses > 1) lost("");
    misses = 0;
    put(fresh, quietly);
  }

  function put(fresh, quietly) {
    const before = needs();
    for (const part of [...fresh.children]) {
      const old = at(part.id);
      const html = part.outerHTML;
      if (old === null || (sent.get(part.id) ?? old.outerHTML) === html || isRead(old)) continue;
      const held = old.contains(document.activeElement) ? document.activeElement.id : null;
      const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
      old.replaceWith(document.adoptNode(part));
      sent.set(part.id, html);
      for (const [id, left, top] of scrolled) at(id)?.scrollTo({ left, top, behavior: "instant" });
      if (held !== null) focus(held, part.id); // what has no id: the heading above it, and never the top of the page
    }
    if (!quietly) tell(before, needs());
  }

  // Text somebody is marking stays until it is let go.
  function isRead(part) {
    const marked = getSelection();
    return marked !== null && !marked.isCollapsed && part.contains(marked.anchorNode);
  }

  function focus(id, section) {
    const found = (id && at(id)) || at(`${section}-title`);
    if (!found) return;
    if (found.tagName === "H2") found.tabIndex = -1;
    found.focus({ preventScroll: true });
  }

  function pause() {
    paused = !paused;
    at("pause").textContent = paused ? "Resume" : "Pause";
    say(paused ? "Refreshing is paused." : "Refreshing goes on.");
    if (!paused) again(0);
  }

  // Telling

  function needs() {
    return new Map([...document.querySelectorAll("[data-need]")].map((one) => [one.id, one.dataset.need]));
  }

  function tell(before, now) {
    const come = [...now].filter(([id]) => !before.has(id)).map(([, title]) => title);
    const gone = [...before].filter(([id]) => !now.has(id)).map(([, title]) => title);
    const said = [come.length ? `Needs you: ${come.join("; ")}.` : "", gone.length ? `No longer: ${gone.join("; ")}.` : ""];
    if (come.length || gone.length) say(said.filter(Boolean).join(" "));
  }

  function say(text) {
    at("news").textContent = text;
  }

  function lost(text) {
    at("lost").textContent = text;
  }

  // Acting

  function name() {
    const told = document.querySelector('meta[name="homeostat-actor"]');
    if (told) return told.content;
    try { return localStorage.getItem(NAME) || ""; } catch { return ""; }
  }

  function who() {
    const known = document.querySelector('meta[name="homeostat-actor"]');
    at("who").textContent = name() ? `You act as ${name()}` : "Your name…";
    at("who").disabled = known !== null;
  }

  function open(from, told) {
    if (at("ask").open) return;
    if (busy) return say(`${asked.title}: still waiting for the answer.`);
    asked = { ...told, from };
    const isRollback = told.act === "rollback";
    at("ask-title").textContent = told.title;
    at("ask-says").textContent = told.says;
    at("ask-problem").textContent = "";
    at("ask-rollback").hidden = !isRollback;
    at("ask-note-field").hidden = !isRollback && told.act !== "acknowledge";
    at("ask-note-label").textContent = isRollback ? "Reason" : "Note (optional)";
    at("ask-note").value = "";
    at("ask-note").required = isRollback;
    at("ask-name-field").hidden = told.act !== "name" && name() !== "";
    at("ask-name").value = name();
    at("ask-do").hidden = false;
    at("ask-do").textContent = { approve: "Approve", reject: "Reject", acknowledge: "Acknowledge", rollback: "Roll back", name: "Keep" }[told.act];
    at("ask-do").className = isRollback ? "danger" : "main";
    at("ask-cancel").textContent = "Cancel";
    if (isRollback) choices(told);
    at("ask").showModal();
    const fields = [at("ask-name"), at("ask-note")].filter((field) => !field.parentElement.hidden);
    (fields.find((field) => field.value === "") || at("ask-cancel")).focus();
  }

  function choices(told) {
    at("ask-choice").replaceChildren(...JSON.parse(told.choices).map((one) => {
      const option = document.createElement("option");
      option.value = one.generation;
      option.textContent = one.label;
      option.dataset.version = one.version;
      option.selected = String(one.generation) === told.back;
      return option;
    }));
    at("ask-going").textContent = told.going;
    coming();
  }

  function coming() {
    const chosen = at("ask-choice").selectedOptions[0];
    at("ask-coming").textContent = `version ${chosen.dataset.version} of generation ${chosen.value}, as generation ${asked.next}`;
  }

  function body() {
    const made = { ...JSON.parse(asked.body), actor: at("ask-name").value.trim() };
    if (asked.act === "rollback") {
      made.reason = at("ask-note").value.trim();
      made.to_generation = Number(at("ask-choice").value);
    }
    if (asked.act === "acknowledge") made.note = at("ask-note").value.trim();
    return made;
  }

  async function act() {
    if (busy || at("ask-do").hidden) return;
    const made = body();
    if (!made.actor) return objection("Say who you are: it is written down with what you do.", "ask-name");
    if (asked.act === "rollback" && !made.reason) return objection("Say why: it is written into the release.", "ask-note");
    if (!document.querySelector('meta[name="homeostat-actor"]')) {
      try { localStorage.setItem(NAME, made.actor); } catch { /* then it is asked again */ }
    }
    who();
    if (asked.act === "name") return at("ask").close();
    const mine = asked;
    let isDone = false;
    wait(true);
    objection("");
    try {
      const answer = await fetch(mine.path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Homeostat-Console": "1" },
        body: JSON.stringify(made),
      });
      const said = await answer.json().catch(() => ({}));
      isDone = answer.ok;
      if (isDone) done(mine, said);
      else failed(mine, answer.status, said);
    } catch {
      problem(mine, "The console does not answer, so whether it was done is not known. Look at the page before you press again.");
    } finally {
      wait(false);
      await refresh(isDone); // what was done is told already
    }
  }

  // While the answer is awaited the dialog stays: closing it would not take back what was asked.
  function wait(is) {
    busy = is;
    for (const id of ["ask-do", "ask-cancel"]) {
      if (is) at(id).setAttribute("aria-disabled", "true");
      else at(id).removeAttribute("aria-disabled");
    }
  }

  // A browser lets some people close a dialog whatever the page says: what they asked is then told on the page. No other dialog
  // opens until then, so an open one is theirs.
  function problem(mine, text) {
    if (at("ask").open) objection(text);
    else say(`${mine.title}: ${text}`);
  }

  function done(mine, said) {
    const what = {
      approve: () => `Approved; the run is ${String(said.run?.state).replaceAll("_", " ")}.`,
      reject: () => "Rejected; the run has ended.",
      acknowledge: () => (said.acknowledgement?.acknowledged_older > 0 ? `Acknowledged all ${said.acknowledgement.acknowledged_older + 1}.` : "Acknowledged."),
      rollback: () => `Rolled back: generation ${said.release?.generation} is released.`,
    }[mine.act]();
    const shown = at("ask").open;
    if (shown) at("ask").close();
    say(shown ? what : `${mine.title}: ${what}`);
  }

  function failed(mine, status, said) {
    problem(mine, [said.error || `The console answers ${status}.`, said.hint || ""].filter(Boolean).join(" "));
    if (status === 409 || status === 404) { // the world moved on: pressing again would only say so again
      at("ask-do").hidden = true;
      at("ask-cancel").textContent = "Close";
      at("ask-cancel").focus();
    }
  }

  function objection(text, field) {
    at("ask-problem").textContent = text;
    if (field) {
      at(field).parentElement.hidden = false;
      at(field).focus();
    }
  }
})();
