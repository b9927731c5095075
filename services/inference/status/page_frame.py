"""The frame of a page for people: style, script and the policy that fits them. Nothing is loaded from anywhere else. Pure."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

_STYLE = """
:root { color-scheme: light dark;
  --ink: light-dark(#1b2430, #e4e8ee); --soft: light-dark(#55616f, #a3afbd); --link: light-dark(#0b5cad, #7cc0ff);
  --good: light-dark(#17693f, #56cc94); --bad: light-dark(#a82018, #ff9c94);
  --paper: light-dark(#fbfcfd, #12171e); --card: light-dark(#ffffff, #1a212b); --line: light-dark(#d8dee6, #303a47) }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 1rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; padding-top: 2rem }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
section:first-child h2 { margin-top: 0 } p, ul { margin: .25rem 0 }
footer, caption, .soft { color: var(--soft) } a { color: var(--link) } main:focus { outline: none }
.skip { position: absolute; left: -100rem }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .25rem .5rem }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
button { font: inherit; color: var(--link); background: var(--card); border: 1px solid; border-radius: .35rem;
  padding: .15rem .6rem }
.messages { list-style: none; padding: 0 }
.messages li { background: var(--card); border-left: .25rem solid var(--soft); padding: .4rem .75rem; margin: .5rem 0 }
.messages .problem { border-color: var(--bad) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card) }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: .5rem .75rem 0 }
th, td { text-align: left; padding: .45rem .75rem; vertical-align: top } th { font-weight: 600 }
thead th, time { white-space: nowrap } tr > th:nth-last-child(2) { width: 40% } .scroll + .scroll { margin-top: .75rem }
tbody tr + tr, thead + tbody { border-top: 1px solid var(--line) }
code { font: 13px ui-monospace, monospace } .good { color: var(--good) } .bad { color: var(--bad) }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
@media (forced-colors: active) { .messages li, button { border: 1px solid } }
"""

# What a reader is at is left alone: no swap while the focus or a selection lies inside, and one live region that speaks
# only when the summary changes.
_SCRIPT = """
(() => {
  const find = id => document.getElementById(id);
  const main = find("main"), button = find("pause"), updates = find("updates"), news = find("news");
  const every = 5000;
  let paused = false, since = new Date();
  const say = text => { if (updates.textContent !== text) updates.textContent = text; };
  const busy = () => {
    const selected = getSelection();
    return (main !== document.activeElement && main.contains(document.activeElement)) ||
      (!selected.isCollapsed && main.contains(selected.anchorNode));
  };
  const swap = page => {
    const before = find("summary").textContent;
    for (const part of main.querySelectorAll("section")) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
    document.title = page.title;
    if (find("summary").textContent !== before) news.textContent = find("summary").textContent;
  };
  const look = async () => {
    if (paused || document.hidden) return;
    try {
      const options = { headers: { accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(every) };
      const answer = await fetch(location.href, options);
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (paused) return;
      if (busy()) return say("Updates wait while you are in the page.");
      swap(page);
      since = new Date();
      say("Updates every 5 seconds.");
    } catch {
      if (!paused) say("The server does not answer. This is how it was at " + since.toLocaleTimeString() + ".");
    }
  };
  const rounds = async () => { await look(); setTimeout(rounds, every); };
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    say(paused ? "Updates are paused." : "Updates every 5 seconds.");
  });
  button.hidden = false;
  say("Updates every 5 seconds.");
  setTimeout(rounds, every);
})();
"""


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


# Only this style and this script run, and the script asks only this server.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def frame(title: str, heading: str, content: str, footer: str) -> str:
    """A whole document: `title` and `heading` are text; `content` (sections with ids) and `footer` are HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head>
<body><a class="skip" href="#main">Skip to the figures</a>
<header><h1>{escape(heading)}</h1><button type="button" id="pause" hidden>Pause updates</button>
<span class="soft" id="updates" role="status"></span>
<noscript><span class="soft">Reload the page for newer figures.</span></noscript>
<span class="heard" id="news" role="status"></span></header>
<main id="main" tabindex="-1">
{content}
</main>
<footer>{footer}</footer>
<script>{_SCRIPT}</script></body></html>
"""
