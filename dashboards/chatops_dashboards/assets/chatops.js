/* What only the browser can do: its time zone, ages that keep counting, the watch over the live stream, the address bar. */
(() => {
  document.cookie = `chatops_zone=${Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"};path=/;max-age=31536000;samesite=strict`;

  /* A dead session answers 401: log in again and come back here. */
  const ordinaryFetch = window.fetch.bind(window);
  window.fetch = async (...parameters) => {
    const answer = await ordinaryFetch(...parameters);
    if (answer.status >= 400 && String(answer.url).includes("/_dash")) {
      if (answer.status === 401) toLogin();
      else banner("That did not work; the log of the dashboard tells why. Reload the page to try again.");
    }
    return answer;
  };
  let leaving = false;
  function toLogin() {
    if (leaving) return;
    leaving = true;
    location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
  }

  /* Ages. */
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  function age(seconds) {
    if (seconds < 5) return "just now";
    let left = Math.round(seconds);
    const parts = [];
    for (const [size, name] of steps) {
      const count = Math.floor(left / size);
      left -= count * size;
      if (count || parts.length === 1) parts.push(count ? `${count} ${name}` : "");
      if (parts.length === 2) break;
    }
    return parts.filter(Boolean).join(" ") + " ago";
  }
  setInterval(() => {
    for (const element of document.querySelectorAll("time.relative")) {
      const text = age((Date.now() - Date.parse(element.dateTime)) / 1000);
      if (element.firstChild && element.firstChild.nodeType === Node.TEXT_NODE) {
        if (element.firstChild.data !== text) element.firstChild.data = text;
      }
    }
  }, 1000);

  /* The live stream: a heartbeat comes every 3 s. When it stays away the stream is asked for again. */
  const silentAfter = 9000, askEvery = 5000;
  let lastBeat = Date.now(), lastAsk = 0, lostAt = null;
  const polling = typeof SharedWorker === "undefined";
  function banner(text) {
    const element = document.getElementById("live-banner");
    if (!element) return;
    element.hidden = !text;
    if (element.textContent !== text) element.textContent = text;
  }
  async function watch() {
    if (document.hidden || leaving) return;
    const now = Date.now();
    if (polling) {
      if (now - lastAsk > 4000) { lastAsk = now; nudge(); }
      return;
    }
    if (now - lastBeat < silentAfter) { if (lostAt) { lostAt = null; banner(""); } return; }
    if (!document.getElementById("page")) return;
    lostAt = lostAt || lastBeat;
    banner(`Live updates stopped at ${new Date(lostAt).toLocaleTimeString()}; reconnecting…`);
    if (now - lastAsk < askEvery) return;
    lastAsk = now;
    try {
      const answer = await ordinaryFetch("/session", { credentials: "same-origin" });
      if ((await answer.text()) === "out") toLogin(); else nudge();
    } catch { banner(`The dashboard does not answer since ${new Date(lostAt).toLocaleTimeString()}; trying again…`); }
  }
  function nudge() {
    if (window.dash_clientside && window.dash_clientside.set_props) {
      window.dash_clientside.set_props("live-nudge", { data: Date.now() });
    }
  }
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) watch(); });

  document.addEventListener("click", async (event) => {
    if (event.target.closest("[data-reload]")) location.reload();
    const copier = event.target.closest("[data-copy]");
    if (!copier) return;
    const source = document.getElementById(copier.dataset.copy);
    if (!source) return;
    const field = "value" in source;
    let copied = true;
    try {
      await navigator.clipboard.writeText(field ? source.value : source.textContent);
    } catch {
      /* Browsers give the clipboard to secure pages alone; the old way works on the others. */
      if (field) source.select(); else getSelection().selectAllChildren(source);
      try { copied = document.execCommand("copy"); } catch { copied = false; }
    }
    /* What could not be copied is selected, at least. */
    copier.textContent = copied ? "Copied" : "Ctrl+C";
    setTimeout(() => { copier.textContent = "Copy"; }, copied ? 2000 : 6000);
  });

  /* A server's page keeps its moment of the past while its tabs come and go. */
  function address(query, moment = new URLSearchParams(location.search).get("at")) {
    const kept = moment && location.pathname.startsWith("/servers/") ? { at: moment } : {};
    const text = String(new URLSearchParams({ ...query, ...kept }));
    history.replaceState(history.state, "", location.pathname + (text && "?" + text));
  }

  let shownPath, shownProblem = null, settling = 0;
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    chatops: {
      heartbeat: (beat, problem) => {
        if (beat) { lastBeat = Date.now(); if (lostAt) { lostAt = null; banner(""); } }
        if (problem !== shownProblem) { shownProblem = problem; banner(problem || ""); }
        return beat || 0;
      },
      markNavigation: (path, title) => {
        if (title) document.title = title;
        for (const link of document.querySelectorAll(".nav-link")) {
          const place = link.getAttribute("href");
          const on = place === path || (place !== "/" && String(path).startsWith(place + "/"));
          if (on) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
        }
        if (path !== shownPath) { shownPath = path; window.scrollTo(0, 0); }
        return path;
      },
      rememberTab: (tab) => {
        const query = new URLSearchParams(location.search);
        if (tab && (query.get("tab") || "live") !== tab) {
          address(tab === "live" ? {} : { tab });
        }
        return tab;
      },
      /* What is typed comes in bursts: tell when it rests. What is clicked counts at once. */
      settle: () => {
        const typing = document.activeElement && document.activeElement.matches("input:not([readonly]):not([type=radio]):not([type=checkbox])");
        const mine = ++settling;
        if (!typing) return mine;
        return new Promise((tell) => setTimeout(() => tell(mine === settling ? mine : window.dash_clientside.no_update), 300));
      },
      /* As a link does it. Setting both pathname and search of dcc.Location 4.4 after a replaceState goes back at times. */
      /* `replace`: the page that is left is gone, so going back must not lead there. */
      goTo: (where) => {
        if (!where) return "";
        if (where.replace) history.replaceState({}, "", where.path); else history.pushState({}, "", where.path);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        return "";
      },
      /* `place` is the path that the query belongs to: an answer that comes late must not mark the next page. */
      rememberQuery: (query) => {
        const { place, ...rest } = query || {};
        if (!query || (place && place !== location.pathname)) return "";
        address(rest);
        return "";
      },
      /* The moment of the past that a server's page shows, whatever else its tab says in the address. */
      rememberMoment: (moment) => {
        const query = new URLSearchParams(location.search);
        if ((query.get("at") || null) === (moment || null)) return moment || "";
        query.delete("at");
        query.delete("view");
        address(Object.fromEntries(query), moment);
        return moment || "";
      },
    },
  });
})();
