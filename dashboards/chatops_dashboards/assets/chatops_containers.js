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
  const pair = (one, other, first, second) =>
    make("span", { className: "container-pair", title: `${first} ${rate(one)}, ${second} ${rate(other)}` }, make("span", null, `↓ ${rate(one)}`), make("span", null, `↑ ${rate(other)}`));

  cells.ContainerNameCell = ({ data }) =>
    make("span", { title: data.project ? `${data.name} (project ${data.project})` : data.name }, make("strong", null, data.name), data.project ? make("span", { className: "dim" }, ` ${data.project}`) : null);
  cells.ContainerStateCell = ({ data }) => marked(data.kind, data.mark, data.word, data.status);
  cells.ContainerHealthCell = ({ data }) =>
    data.health ? marked(data.health_kind, data.health_mark, data.health) : make("span", { className: "dim", title: "It has no health check" }, unknown);
  cells.ContainerShareCell = ({ value }) => make("span", null, percent(value));
  cells.ContainerCountCell = ({ value }) => make("span", null, value == null ? unknown : String(value));
  cells.ContainerMemoryCell = ({ data }) =>
    make("span", { title: data.memory == null ? undefined : `${bytes(data.memory)} of ${bytes(data.memory_limit)}, ${percent(data.memory_percent)}` }, bytes(data.memory));
  cells.ContainerNetworkCell = ({ data }) => (data.network == null ? make("span", null, unknown) : pair(data.in, data.out, "received", "sent"));
  cells.ContainerDiskCell = ({ data }) => (data.disk == null ? make("span", null, unknown) : pair(data.read, data.written, "read", "written"));
})();
