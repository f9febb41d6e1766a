/* The lines of the logs tab: newest above, a bounded number of them, each a text node: nothing a host wrote is markup. */
(() => {
  const most = 2000, longText = 500, longLines = 5;
  const marks = { warning: "▲ ", error: "◆ ", critical: "◆ " };
  const part = (name, text, title) => {
    const element = document.createElement("span");
    element.className = name;
    element.textContent = text;
    if (title) element.title = title;
    return element;
  };
  const place = (id) => document.getElementById(id);

  /* What belongs to the list that is on the page now: another visit of the tab begins anew. */
  function state() {
    const list = place("logs-list");
    if (!list) return null;
    list.chatops = list.chatops || { list, rows: [], ids: new Set(), missed: 0, stream: null, sequence: 0, paused: false, more: false, link: "" };
    return list.chatops;
  }

  function draw(line) {
    const row = document.createElement("div");
    if (line.moment) {
      row.className = "log-moment";
      row.append(part("log-moment-words numeric", `▲ after · ${line.message} · before ▼`));
      return row;
    }
    row.className = "log-line" + (line.level ? ` log-${line.level}` : "") + (line.platform ? " log-platform" : "");
    row.append(
      part("log-time numeric", line.time, line.when),
      part("log-level", line.level ? (marks[line.level] || "") + line.level : "", line.level ? "" : "The line does not say its level"),
      part("log-source", line.source, line.source),
    );
    const message = part("log-message", line.message);
    row.append(message);
    if (line.message.length > longText || line.message.split("\n", longLines + 1).length > longLines) {
      message.classList.add("log-folded");
      const more = document.createElement("button");
      const say = (open) => {
        more.textContent = open ? "Show less" : `Show all ${line.message.length} characters`;
        more.setAttribute("aria-expanded", String(open));
      };
      more.type = "button";
      more.className = "plain-button small log-more";
      say(false);
      more.addEventListener("click", () => say(!message.classList.toggle("log-folded")));
      row.append(more);
    }
    return row;
  }

  const before = (one, other) => one.at > other.at || (one.at === other.at && one.id > other.id);

  function insert(log, line) {
    if (log.ids.has(line.id)) return false;
    log.ids.add(line.id);
    const rows = log.rows;
    const entry = { at: line.at, id: line.id, platform: line.platform, element: draw(line) };
    /* Nearly always at one of the ends. */
    let index;
    if (rows.length && before(rows[rows.length - 1], entry)) index = rows.length;
    else { index = 0; while (index < rows.length && before(rows[index], entry)) index += 1; }
    log.list.insertBefore(entry.element, index < rows.length ? rows[index].element : null);
    rows.splice(index, 0, entry);
    return entry;
  }

  function drop(log, entries) {
    for (const entry of entries) { log.ids.delete(entry.id); entry.element.remove(); }
  }

  function clear(log) {
    log.list.replaceChildren();
    log.rows = [];
    log.ids.clear();
  }

  function tell(log) {
    const note = place("logs-note"), button = place("logs-follow"), still = ["still", "none", "past"].includes(log.link);
    const count = log.missed;
    const words = log.link === "none" ? "" : log.link === "past" ? "Lines around the moment: nothing new comes." : still ? "This range has an end: nothing new comes."
      : log.paused ? `Paused${count ? ` · ${count} new ${count === 1 ? "line" : "lines"}` : ""}. Follow shows what was missed.`
      : log.link === "down" ? "Not live: reconnecting to the backend…"
      : log.link === "live" ? "Following new lines" : "Connecting…";
    const live = !still && !log.paused && log.link === "live";
    note.replaceChildren(...(live ? [part("live-dot", "")] : []), document.createTextNode(words));
    place("logs-follow-word").textContent = log.paused ? "Follow" : "Pause";
    place("logs-follow-icon").className = `icon icon-16 icon-${log.paused ? "play" : "pause"}`;
    button.setAttribute("aria-pressed", String(!log.paused));
    button.hidden = still;
    place("logs-state").hidden = log.rows.length > 0;
    place("logs-hint").hidden = log.rows.some((entry) => !entry.platform && entry.id !== -1);
    place("logs-older").hidden = !log.more;
    place("logs-foot").textContent = log.rows.length && !log.more ? "No older lines in this range" : "";
  }

  function take(batch) {
    const log = state();
    if (!log || !batch) return window.dash_clientside.no_update;
    const lines = batch.lines, late = batch.kind === "news" || batch.kind === "head";
    /* Two pushes at once may reach a page as one. */
    const lost = batch.kind === "news" && batch.stream === log.stream && batch.sequence !== log.sequence + 1;
    if (batch.kind === "head") log.stream = batch.stream;
    if (late && batch.stream === log.stream) log.sequence = batch.sequence;
    if (late && log.paused) {
      log.missed += lines.filter((line) => !log.ids.has(line.id)).length;
      tell(log);
      return window.dash_clientside.no_update;
    }
    if (batch.kind === "reset") { clear(log); log.paused = false; log.missed = 0; log.stream = null; }
    if (batch.kind === "head") {
      /* The newest page and what is shown do not join: better to begin anew than to hide what lies between. */
      if (log.rows.length && batch.more && !lines.some((line) => log.ids.has(line.id))) clear(log);
      log.more = log.more || batch.more;
    }
    if (batch.kind === "reset" || batch.kind === "older") log.more = batch.more;
    const added = lines.map((line) => insert(log, line)).filter(Boolean);
    if (added.length && (lost || (batch.kind === "news" && batch.more))) {
      added[0].element.append(part("log-gap", "Lines came faster than they could be shown: some before this one are left out. Narrow the filters to see them."));
    }
    if (log.rows.length > most) {
      if (batch.kind === "older") {
        drop(log, log.rows.splice(0, log.rows.length - most));
        log.paused = true;
      } else { drop(log, log.rows.splice(most)); log.more = true; }
    }
    tell(log);
    const last = log.rows[log.rows.length - 1];
    return last ? { at: last.at, id: last.id, count: log.rows.length } : null;
  }

  Object.assign(window.dash_clientside.chatops, {
    logsBatch: take,
    logsLink: (link) => {
      const log = state();
      if (log) { if (link || ["still", "none", "past"].includes(log.link)) log.link = link || ""; tell(log); }
      return link || "";
    },
    logsFollow: (clicks) => {
      const log = state();
      if (!log || !clicks) return window.dash_clientside.no_update;
      log.paused = !log.paused;
      tell(log);
      return log.paused ? window.dash_clientside.no_update : Date.now();
    },
  });
})();
