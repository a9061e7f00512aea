/* What pages do beyond htmx: show how old they are, and move by keys. Without it they still work. */
"use strict";

(() => {
  const STALE_S = 10;
  const clock = document.getElementById("clock");
  const alarm = document.getElementById("alarm");
  const live = clock !== null && clock.dataset.live === "yes";

  /* --- age: a page that has stopped must never look calm --- */

  // Two clocks: one stops while some machines sleep, the other may be set back. The larger age counts.
  let heardAt = performance.now();
  let heardOn = Date.now();
  let nodeTime = clock?.querySelector("time")?.getAttribute("datetime") ?? "";

  const age = () => Math.max(performance.now() - heardAt, Date.now() - heardOn) / 1000;

  const heard = (at) => {
    heardAt = performance.now();
    heardOn = Date.now();
    nodeTime = at;
    show();
  };

  const words = (seconds) =>
    seconds < 120 ? `${Math.floor(seconds)} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;

  const show = () => {
    const seconds = age();
    const stale = seconds > STALE_S;
    clock.textContent = stale ? `NOT LIVE: updated ${words(seconds)} ago` : `${nodeTime.slice(11, 19)} UTC, live, updated ${words(seconds)} ago`;
    clock.classList.toggle("stale", stale);
    document.body.classList.toggle("stale", stale);
    if (stale) {
      const since = nodeTime.slice(11, 19);
      const told = `This page is not live. It shows how things were at ${since} UTC; nothing newer has come from the node. Is the node running, and this machine connected?`;
      if (alarm.hidden) {
        alarm.textContent = told;
        const again = document.createElement("a");
        again.href = location.href;
        again.textContent = "Load it again";
        alarm.append(" ", again);
        alarm.hidden = false;
      }
    } else if (!alarm.hidden) {
      alarm.hidden = true;
      alarm.textContent = "";
    }
  };

  if (live) {
    show();
    setInterval(show, 1000);
    document.addEventListener("visibilitychange", show);
    document.body.addEventListener("htmx:sseMessage", (event) => {
      if (event.detail.type === "beat") heard(event.detail.data);
    });
    // No stream: if that is for want of a session (a node that was started again knows none), ask for the token.
    document.body.addEventListener("htmx:sseError", () => {
      fetch(location.pathname, { headers: { Accept: "application/json" } })
        .then((answer) => {
          if (answer.status === 401) location.reload();
        })
        .catch(() => {}); // the node can't be reached: the age tells
    });
    // The node has ended the stream: signed out, or the token revoked. Loading again leads to the sign-in page.
    document.body.addEventListener("htmx:sseClose", (event) => {
      if (event.detail.type === "message") location.reload();
    });
  }

  /* --- keys --- */

  const help = document.getElementById("keys");
  if (help === null) return;
  const button = document.getElementById("keys-button");
  const on = document.getElementById("keys-on");

  const remembered = () => {
    try {
      return localStorage.getItem("lezha-keys");
    } catch {
      return null;
    }
  };
  on.checked = remembered() !== "off";
  on.addEventListener("change", () => {
    try {
      localStorage.setItem("lezha-keys", on.checked ? "on" : "off");
    } catch {
      /* a browser that keeps nothing forgets this too */
    }
  });
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());

  const target = (row) => row.querySelector("a") ?? row;

  const move = (step) => {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (rows.length === 0) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
    const link = target(rows[next]);
    if (link === rows[next]) link.tabIndex = -1;
    link.focus({ preventScroll: true });
    rows[next].scrollIntoView({ block: "nearest" });
  };

  const search = () => {
    const field = document.querySelector("[data-search]") ?? document.getElementById("find");
    field?.focus();
    field?.select();
  };

  const keys = { j: () => move(1), k: () => move(-1), "/": search, "?": () => help.showModal() };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || help.open || !on.checked) return;
    const field = /^[a-z]$/.test(event.key) ? document.querySelector(`[data-key="${event.key}"]`) : null;
    const act = keys[event.key] ?? (field === null ? undefined : () => field.focus());
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
})();
