/* Cells of the fleet table. React makes text nodes of whatever comes from outside: nothing here is read as markup. */
(() => {
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const make = (...parameters) => React.createElement(...parameters);
  const unknown = "–";
  const words = { online: "Online", offline: "Offline", never: "Never reported" };

  const short = (value) => (Math.abs(value) < 0.995 ? value.toFixed(2) : Math.abs(value) < 99.95 ? value.toFixed(1) : value.toFixed(0));
  function rate(value) {
    const names = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
    let index = 0;
    while (Math.abs(value) >= 999.5 && index < names.length - 1) { value /= 1000; index += 1; }
    return index ? `${short(value)} ${names[index]}` : `${value.toFixed(0)} B/s`;
  }
  const percent = (value) => (value < 9.95 ? value.toFixed(1) : value.toFixed(0)) + " %";
  const level = (value) => (value >= 95 ? "critical" : value >= 85 ? "warning" : "ok");
  const mark = { critical: "◆ ", warning: "▲ ", ok: "" };

  cells.StatusCell = ({ value }) =>
    make("span", { className: `status status-${value}` }, make("span", { className: `shape shape-${value}`, "aria-hidden": true }), make("span", null, words[value] || value));

  const follow = (path, search) => (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState({}, "", path + search);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };

  cells.AlertsCell = ({ data }) => {
    const levels = [["critical", data.critical], ["warning", data.warning]].filter(([, count]) => count);
    if (!levels.length) return make("span", { className: "dim" }, "");
    const search = `?server=${encodeURIComponent(data.id)}`;
    return make("a", {
      className: "cell-alerts", href: "/alerts" + search, onClick: follow("/alerts", search),
      title: levels.map(([name, count]) => `${count} ${name}`).join(", "), "aria-label": `${data.name}: ` + levels.map(([name, count]) => `${count} ${name}`).join(", "),
    }, levels.map(([name, count]) => make("span", { className: `level-${name}`, key: name }, mark[name] + count)));
  };

  // Rows of a list that comes in pages have no data until their page is there.
  cells.AlertLevelCell = ({ value, data }) => data &&
    make("span", { className: `alert-level level-${data.level}` + (data.state === "resolved" ? " alert-over" : "") },
      make("span", { className: "alert-shape", "aria-hidden": true }, data.shape), value);
  cells.AlertCell = ({ value, data }) => {
    if (!data) return "…";
    const path = `/alerts/${encodeURIComponent(data.id)}`;
    return make("a", { className: "strong-link", href: path, onClick: follow(path, "") }, value);
  };

  cells.ServerCell = ({ value, data }) =>
    make("a", {
      className: "strong-link", href: `/servers/${encodeURIComponent(data.id)}`, title: value,
      onClick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        window.dash_clientside.set_props("url", { pathname: `/servers/${encodeURIComponent(data.id)}`, search: "" });
      },
    }, value);

  const bar = (value, text) =>
    make("div", { className: "cell-bar" + (value == null ? " dim" : ""), title: text || undefined },
      make("span", { className: `numeric level-${value == null ? "unknown" : level(value)}` }, value == null ? unknown : mark[level(value)] + percent(value)),
      make("div", { className: "track" }, make("div", { className: `fill fill-${value == null ? "unknown" : level(value)}`, style: { width: `${Math.min(100, value || 0)}%` } })));
  cells.PlainPercentCell = ({ value, data }) =>
    make("div", { className: data.status === "offline" ? "stale" : "" }, make("div", { className: "cell-bar" },
      make("span", { className: "numeric" }, value == null ? unknown : percent(value)),
      make("div", { className: "track" }, make("div", { className: "fill", style: { width: `${Math.min(100, value || 0)}%` } }))));
  cells.PercentCell = ({ value, data }) => make("div", { className: data.status === "offline" ? "stale" : "" }, bar(value));
  cells.DiskCell = ({ value, data }) =>
    make("div", { className: "cell-disk" + (data.status === "offline" ? " stale" : "") },
      make("span", { className: "cell-mount dim", title: data.mountpoint || "" }, data.mountpoint || ""), bar(value));
  cells.RateCell = ({ value, data }) =>
    make("span", { className: "numeric" + (data.status === "offline" ? " stale" : "") }, value == null ? unknown : rate(value));

  cells.TagsCell = ({ value }) => make("span", { className: "cell-tags" }, (value || []).map((tag) => make("span", { className: "tag", key: tag }, tag)));

  cells.SeenCell = ({ value }) => {
    if (value == null) return make("span", { className: "dim" }, "never");
    const moment = new Date(value * 1000);
    return make("time", { className: "relative", dateTime: moment.toISOString(), title: moment.toLocaleString() }, moment.toLocaleTimeString());
  };

  cells.SparkCell = ({ value }) => {
    if (!value || !value.length) return make("span", { className: "dim" }, "");
    return make("svg", { viewBox: "0 0 200 40", preserveAspectRatio: "none", className: "cell-spark", role: "img", "aria-label": "CPU of the last 15 minutes" },
      value.flatMap((run, index) => {
        const line = run.map((point) => point.join(",")).join(" ");
        return [
          make("polygon", { key: `a${index}`, points: `${run[0][0]},40 ${line} ${run[run.length - 1][0]},40` }),
          make("polyline", { key: `l${index}`, points: line, vectorEffect: "non-scaling-stroke" }),
        ];
      }));
  };
})();
