/* Output of commands as text nodes, and the history of a command line. Nothing that a program wrote is read as markup. */
(() => {
  const mostCharacters = 1500000, mostNodes = 6000;
  const known = /^(ansi-[a-z0-9-]+( |$))*$/;

  /* Blocks of some hundred lines: the browser lays out those alone that are in sight. */
  const blockCharacters = 12000;
  function add(place, shown, stream, classes, text) {
    for (const [index, part] of text.split("\r").entries()) {
      if (index && shown.block && shown.stream === stream) takeLineBack(shown);
      write(place, shown, stream, classes, part);
    }
  }

  /* After a return the line comes anew: what is shown of it goes. */
  function takeLineBack(shown) {
    for (let node = shown.block.lastChild; node; node = shown.block.lastChild) {
      const text = node.textContent, kept = text.lastIndexOf("\n") + 1;
      shown.characters -= text.length - kept;
      shown.filled -= text.length - kept;
      if (kept) { node.textContent = text.slice(0, kept); break; }
      node.remove();
      shown.nodes -= 1;
    }
    shown.lineEnded = true;
  }

  function write(place, shown, stream, classes, text) {
    while (text) {
      if (!shown.block || shown.stream !== stream || (shown.filled >= blockCharacters && shown.lineEnded)) {
        if (shown.block && shown.filled >= blockCharacters) shown.block.classList.add("out-full");
        shown.block = document.createElement("div");
        shown.block.className = "out out-" + (stream === "stderr" || stream === "note" ? stream : "stdout");
        shown.stream = stream;
        shown.filled = 0;
        place.append(shown.block);
      }
      const full = text.indexOf("\n", Math.max(0, blockCharacters - shown.filled));
      const part = full < 0 ? text : text.slice(0, full + 1);
      text = text.slice(part.length);
      let node;
      if (classes && known.test(classes)) {
        node = document.createElement("span");
        node.className = classes;
        node.textContent = part;
      } else node = document.createTextNode(part);
      shown.block.append(node);
      shown.nodes += 1;
      shown.characters += part.length;
      shown.filled += part.length;
      shown.lineEnded = part.endsWith("\n");
    }
  }

  function trim(place, shown) {
    if (shown.nodes <= mostNodes && shown.characters <= mostCharacters) return;
    if (!shown.trimmed) {
      shown.trimmed = document.createElement("div");
      shown.trimmed.className = "out out-note";
      shown.trimmed.textContent = "… the beginning is no longer shown here, to keep the page quick …";
      place.prepend(shown.trimmed);
    }
    while (shown.nodes > mostNodes * 0.8 || shown.characters > mostCharacters * 0.8) {
      const block = shown.trimmed.nextSibling, node = block && block.firstChild;
      if (!node || (block === shown.block && node === block.lastChild)) break;
      shown.characters -= node.textContent.length;
      shown.nodes -= 1;
      node.remove();
      if (!block.firstChild && block !== shown.block) block.remove();
    }
  }

  /* A feed begins at `start` of all that the run wrote; what is drawn already is left out, a gap is told. */
  function drawOutput(feed) {
    const place = document.getElementById("run-output");
    if (!feed || !place) return window.dash_clientside.no_update;
    let shown = place.chatopsRun;
    if (!shown || shown.run !== feed.run || shown.telling !== feed.telling) {
      place.replaceChildren();
      shown = place.chatopsRun = { run: feed.run, telling: feed.telling, at: 0, block: null, stream: "", filled: 0, lineEnded: true, nodes: 0, characters: 0, trimmed: null };
    }
    if (feed.start <= shown.at) {
      const follows = place.scrollTop + place.clientHeight >= place.scrollHeight - 48;
      let position = feed.start;
      for (const [stream, classes, text] of feed.pieces) {
        const end = position + text.length;
        if (end > shown.at) { add(place, shown, stream, classes, text.slice(Math.max(0, shown.at - position))); shown.at = end; }
        position = end;
      }
      trim(place, shown);
      if (follows) place.scrollTop = place.scrollHeight;
    }
    return { mark: feed.mark, at: shown.at };
  }

  /* Up and down bring back what was typed before; what was begun waits at the end. */
  const isLine = (field) => field && (field.id === "console-line" || field.id === "commands-line");
  let lines = [], index = -1, draft = "";
  let resting = 0;
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!isLine(field)) return;
    clearTimeout(resting);
    resting = setTimeout(() => window.dash_clientside.set_props(field.id.replace("-line", "-rest"), { data: field.value }), 250);
  });
  function rememberLines(texts) { lines = texts || []; index = -1; return lines.length; }
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!isLine(field) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") { if (event.key.length === 1 || event.key === "Enter") index = -1; return; }
    const next = index + (event.key === "ArrowUp" ? 1 : -1);
    event.preventDefault();
    if (next < -1 || next >= lines.length) return;
    if (index === -1) draft = field.value;
    index = next;
    const text = index === -1 ? draft : lines[index];
    window.dash_clientside.set_props(field.id, { value: text });
    window.dash_clientside.set_props(field.id.replace("-line", "-rest"), { data: text });
    setTimeout(() => { const now = document.getElementById(field.id); if (now) now.setSelectionRange(text.length, text.length); });
  });

  /* Lists that come a page at a time: read again what is shown, or all when the filter is another. */
  async function readAgain(filter, refresh, name) {
    if (!window.dash_ag_grid || !name) return "";
    const purged = window.dash_clientside.callback_context.triggered.some((one) => one.prop_id.startsWith(name + "-filter"));
    const grid = await window.dash_ag_grid.getApiAsync(name);
    if (purged) grid.purgeInfiniteCache(); else grid.refreshInfiniteCache();
    return "";
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.chatops = Object.assign(window.dash_clientside.chatops || {}, { drawOutput, rememberLines, readAgain });

  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const make = (...parameters) => React.createElement(...parameters);
  cells.RunStateCell = ({ data }) =>
    data ? make("span", { className: `run-state run-${data.state}` }, make("span", { "aria-hidden": true }, data.mark), make("span", null, data.word)) : "…";
})();

/* Processes: numbers of the live table, and the moment under the slider's thumb. */
(() => {
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const make = (...parameters) => React.createElement(...parameters);
  function bytes(value) {
    const names = ["B", "KiB", "MiB", "GiB", "TiB"];
    let index = 0;
    while (value >= 1023.5 && index < names.length - 1) { value /= 1024; index += 1; }
    return `${index === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${names[index]}`;
  }
  cells.ProcessBytesCell = ({ value }) => make("span", null, value == null ? "–" : bytes(value));
  cells.ProcessShareCell = ({ value }) => make("span", null, value == null ? "–" : (value < 9.95 ? value.toFixed(1) : value.toFixed(0)) + " %");
  window.dashMantineFunctions = Object.assign(window.dashMantineFunctions || {}, {
    momentLabel: (value, { start }) => new Date((start + value) * 1000).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }),
  });
})();
