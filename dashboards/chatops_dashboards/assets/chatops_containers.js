/* Cells of the containers table. React makes text nodes of whatever a host says: nothing here is read as markup. */
(() => {
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const make = (...parameters) => React.createElement(...parameters);
  const unknown = "–";
  function prefixed(value, step, names) {
    let index = 0;
    while (Math.abs(value) >= step - 0.5 && index < names.length - 1) { value /= step; index += 1; }
    return `${index === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${names[index]}`;
  }
  const bytes = (value) => (value == null ? unknown : prefixed(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]));
  const rate = (value) => (value == null ? unknown : prefixed(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]));
  const percent = (value) => (value == null ? unknown : (value < 9.95 ? value.toFixed(1) : value.toFixed(0)) + " %");
  const marked = (kind, mark, word, title) =>
    make("span", { className: `container-state container-${kind}`, title }, make("span", { "aria-hidden": true }, mark), make("span", null, word));
  const pair = (one, other, first, second, marks) =>
    make("span", { className: "container-pair", title: `${first} ${rate(one)}, ${second} ${rate(other)}` }, make("span", null, `${marks[0]} ${rate(one)}`), make("span", null, `${marks[1]} ${rate(other)}`));

  cells.ContainerNameCell = ({ data }) =>
    make("span", { title: data.project ? `${data.name} (project ${data.project})` : data.name }, make("strong", null, data.name), data.project ? make("span", { className: "dim" }, ` ${data.project}`) : null);
  cells.ContainerStateCell = ({ data }) => marked(data.kind, data.mark, data.word, data.status);
  cells.ContainerHealthCell = ({ data }) =>
    data.health ? marked(data.health_kind, data.health_mark, data.health) : make("span", { className: "dim", title: "It has no health check" }, unknown);
  cells.ContainerShareCell = ({ value }) => make("span", null, percent(value));
  cells.ContainerCountCell = ({ value }) => make("span", null, value == null ? unknown : String(value));
  cells.ContainerMemoryCell = ({ data }) =>
    make("span", { title: data.memory == null ? undefined : `${bytes(data.memory)} of ${bytes(data.memory_limit)}, ${percent(data.memory_percent)}` }, bytes(data.memory));
  cells.ContainerNetworkCell = ({ data }) => (data.network == null ? make("span", null, unknown) : pair(data.in, data.out, "received", "sent", "↓↑"));
  cells.ContainerDiskCell = ({ data }) => (data.disk == null ? make("span", null, unknown) : pair(data.read, data.written, "read", "written", "rw"));
})();

/* The log of a container: a bounded number of lines, each of text nodes; what is paused is held back and counted. */
(() => {
  const most = 5000;
  const known = /^(ansi-[a-z0-9-]+( |$))*$/;
  const place = (id) => document.getElementById(id);
  const none = () => window.dash_clientside.no_update;
  const lines = (count) => `${count.toLocaleString("en")} line${count === 1 ? "" : "s"}`;

  function state() {
    const list = place("container-log");
    if (!list) return null;
    list.chatops = list.chatops || { list, of: "", telling: "", sequence: 0, rows: [], held: [], heldAnew: false, missed: 0, paused: false, link: "", needle: "" };
    return list.chatops;
  }

  function draw(line) {
    const row = document.createElement("div");
    row.className = "container-line-of-log" + (line.stream === "stderr" || line.stream === "note" ? ` log-of-${line.stream}` : "");
    if (line.time) {
      const time = document.createElement("span");
      time.className = "container-log-time numeric";
      time.textContent = line.time;
      time.title = line.when + (line.stream === "stderr" ? " (stderr)" : "");
      row.append(time);
    }
    const text = document.createElement("span");
    text.className = "container-log-text";
    for (const [classes, part] of line.pieces) {
      if (classes && known.test(classes)) {
        const piece = document.createElement("span");
        piece.className = classes;
        piece.textContent = part;
        text.append(piece);
      } else text.append(document.createTextNode(part));
    }
    row.append(text);
    return { element: row, text: line.pieces.map((piece) => piece[1]).join("").toLowerCase() };
  }

  function sift(log, row) {
    row.element.hidden = Boolean(log.needle) && !row.text.includes(log.needle);
  }

  function add(log, drawn, anew) {
    const follows = log.list.scrollTop + log.list.clientHeight >= log.list.scrollHeight - 48;
    if (anew) { log.list.replaceChildren(); log.rows = []; }
    const fragment = document.createDocumentFragment();
    for (const line of drawn) {
      const row = draw(line);
      sift(log, row);
      fragment.append(row.element);
      log.rows.push(row);
    }
    log.list.append(fragment);
    if (log.rows.length > most) for (const row of log.rows.splice(0, log.rows.length - most)) row.element.remove();
    if (follows || anew) log.list.scrollTop = log.list.scrollHeight;
  }

  function tell(log) {
    const note = place("container-log-note");
    if (!note) return;
    const found = log.needle ? log.rows.filter((row) => !row.element.hidden).length : 0;
    const words = [];
    if (log.needle) words.push(`${lines(found)} of ${log.rows.length.toLocaleString("en")} with what you search`);
    if (log.paused) words.push(`Paused${log.missed ? ` · ${lines(log.missed)} since` : ""}. Follow shows what was missed.`);
    else if (log.link === "down") words.push("Not live: reconnecting to the backend…");
    else if (log.link === "failed") words.push("Not live: trying again…");
    else if (log.link === "ended") words.push(`The container does not run; this is the end of its log.${log.rows.length ? "" : " It wrote nothing."}`);
    else if (log.link === "live") words.push(log.rows.length ? "Following new lines" : "Nothing was written yet; lines appear here as they come.");
    else words.push("Asking for the log…");
    const dot = document.createElement("span");
    dot.className = "live-dot";
    note.replaceChildren(...(log.link === "live" && !log.paused ? [dot] : []), document.createTextNode(words.join(" · ")));
    place("container-follow-word").textContent = log.paused ? "Follow" : "Pause";
    place("container-follow-icon").className = `icon icon-16 icon-${log.paused ? "play" : "pause"}`;
    place("container-follow").setAttribute("aria-pressed", String(!log.paused));
  }

  Object.assign(window.dash_clientside.chatops, {
    containerFeed: (feed) => {
      const log = state();
      if (!log || !feed) return none();
      if (feed.telling === log.telling && feed.sequence <= log.sequence) return none();
      const anew = feed.telling !== log.telling;
      const lost = feed.sequence !== (anew ? 0 : log.sequence) + 1;
      const drawn = lost ? [{ time: "", when: "", stream: "note", pieces: [["", "… lines may be missing here …"]] }, ...feed.lines] : feed.lines;
      if (feed.of !== log.of) {
        const search = place("container-search");
        Object.assign(log, { paused: false, held: [], heldAnew: false, missed: 0, needle: ((search && search.value) || "").toLowerCase() });
      }
      log.of = feed.of;
      log.telling = feed.telling;
      log.sequence = feed.sequence;
      if (log.paused) {
        if (anew) { log.heldAnew = true; log.held = []; }
        log.held.push(...drawn);
        log.missed += anew ? 0 : feed.lines.length;
        if (log.held.length > most) log.held.splice(0, log.held.length - most);
      } else add(log, drawn, anew);
      tell(log);
      return log.rows.length;
    },
    containerLink: (link) => {
      const log = state();
      if (log) { log.link = link || ""; tell(log); }
      return link || "";
    },
    containerSearch: (text) => {
      const log = state();
      if (!log) return none();
      log.needle = (text || "").toLowerCase();
      for (const row of log.rows) sift(log, row);
      log.list.scrollTop = log.list.scrollHeight;
      tell(log);
      return log.needle;
    },
    containerFollow: (clicks) => {
      const log = state();
      if (!log || !clicks) return none();
      log.paused = !log.paused;
      if (!log.paused) {
        add(log, log.held, log.heldAnew);
        log.held = [];
        log.heldAnew = false;
        log.missed = 0;
        log.list.scrollTop = log.list.scrollHeight;
      }
      tell(log);
      return log.paused;
    },
  });
})();
