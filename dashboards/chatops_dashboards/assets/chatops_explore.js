/* Explore: one series alone, from the legend's buttons; the address of the view; figures that have grown old. */
(() => {
  /* What is switched off stays so while the page draws anew: `alone` is a key or null, `off` holds keys. */
  let alone = null, place = null;
  const off = new Set();
  const charts = () => document.querySelectorAll(".explore .js-plotly-plot");

  function apply() {
    for (const chart of charts()) {
      if (!window.Plotly || !chart.data) continue;
      const keys = new Set(chart.data.filter((trace) => trace.meta && trace.meta.series).map((trace) => trace.meta.series));
      if (!keys.size) continue;
      const only = alone !== null && keys.has(alone) ? alone : null;
      const few = keys.size <= 5;
      const numbers = [], shown = [];
      chart.data.forEach((trace, number) => {
        if (!trace.meta || !trace.meta.series) return;
        const visible = only !== null ? trace.meta.series === only : !off.has(trace.meta.series) && (!trace.meta.band || few);
        if ((trace.visible !== false) !== visible) { numbers.push(number); shown.push(visible); }
      });
      if (numbers.length) window.Plotly.restyle(chart, { visible: shown }, numbers);
    }
    for (const button of document.querySelectorAll(".explore-legend-entry")) {
      const key = button.dataset.series;
      const legend = button.closest(".explore-legend");
      const here = alone !== null && [...legend.children].some((one) => one.dataset.series === alone);
      const pressed = here && key === alone;
      button.setAttribute("aria-pressed", String(pressed));
      button.classList.toggle("explore-off", here ? !pressed : off.has(key));
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest(".explore-legend-entry");
    if (!button) return;
    const key = button.dataset.series;
    if (event.shiftKey) {
      alone = null;
      if (off.has(key)) off.delete(key); else off.add(key);
    } else if (event.detail > 1) {
      /* The second click of two: the first has shown it alone. */
      alone = null;
      if (off.has(key)) off.delete(key); else off.add(key);
    } else {
      alone = alone === key ? null : key;
      if (alone !== null) off.delete(key);
    }
    apply();
  });

  /* Charts and legends that are drawn anew forget. */
  let waiting = 0;
  const watcher = new MutationObserver(() => {
    if (location.pathname !== place) { place = location.pathname; alone = null; off.clear(); }
    if (!location.pathname.startsWith("/explore") || (alone === null && !off.size)) return;
    clearTimeout(waiting);
    waiting = setTimeout(apply, 60);
  });
  document.addEventListener("DOMContentLoaded", () => watcher.observe(document.body, { childList: true, subtree: true }));

  const oldAfter = 600000;
  setInterval(() => {
    const range = document.querySelector(".explore-range");
    const read = range && range.querySelector("time.relative");
    if (read) range.classList.toggle("explore-old", Date.now() - Date.parse(read.dateTime) > oldAfter);
  }, 5000);

  Object.assign(window.dash_clientside.chatops, {
    exploreAddress: (query) => {
      window.dash_clientside.chatops.rememberQuery(query);
      const { place: path, ...rest } = query || {};
      const text = String(new URLSearchParams(rest));
      return path ? location.origin + path + (text && "?" + text) : "";
    },
  });

  /* Each typed word by itself, wherever it stands: in a name, in a description, in the group's, in what people say. */
  window.dashMantineFunctions = Object.assign(window.dashMantineFunctions || {}, {
    exploreMetricFilter: ({ options, search }, { said }) => {
      const words = search.toLowerCase().split(/\s+/).filter(Boolean);
      const matches = (item, group) => {
        const also = said[item.value.split(".")[0]] || "";
        const text = `${item.value} ${item.label} ${group} ${also}`.toLowerCase();
        return words.every((word) => text.includes(word));
      };
      return options
        .map((one) => ({ ...one, items: one.items.filter((item) => matches(item, one.group)) }))
        .filter((one) => one.items.length);
    },
  });

  /* The number sorts, its words are shown: as a text node. */
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  cells.ExploreValueCell = ({ data, colDef }) => window.React.createElement("span", { className: "numeric" }, data[colDef.field + "_text"]);
})();
