"use strict";
// The page is whole without this script; it adds filters, sorting, views and details.
// What is shown is a state, and the state is the address's hash: each view can be linked, and Back goes back.
(() => {
  const find = (selector, inside = document) => inside.querySelector(selector);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const data = JSON.parse(find("#data").textContent);
  const STATUSES = Object.keys(data.statuses);
  const COLUMNS = { parts: [3, 7], layers: [8, 8], size: [-3, -2], change: [-1, -1] };
  const VIEWS = ["table", "matrix", "problems", "excluded"];
  const BLANK = { view: "table", name: "", kind: "", device: "", layer: "", status: [], sort: "", by: "", class: "", row: [], hide: [] };
  const LISTS = ["status", "row", "hide"];
  const sorter = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // Text becomes text, never markup: names and messages come from anywhere.
  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== ""));
    return made;
  }

  // ---- State
  // A narrow screen begins without the columns that repeat the name, a phone with what became of the rows.
  const narrower = (width) => matchMedia(`(max-width: ${width}px)`).matches;
  const start = { ...BLANK, hide: narrower(700) ? ["parts", "layers"] : narrower(1000) ? ["parts"] : [] };
  let state = structuredClone(start);

  function written(values) {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(values)) {
      if (String(value) === String(start[key])) continue;
      // An empty list that isn't the usual one has to be said too.
      if (LISTS.includes(key)) (value.length ? value : [""]).forEach((item) => query.append(key, item));
      else query.set(key, value);
    }
    return "#" + query;
  }

  function read(hash) {
    const query = new URLSearchParams(hash.replace(/^#/, ""));
    const values = structuredClone(start);
    for (const key of Object.keys(BLANK)) {
      if (!query.has(key)) continue;
      values[key] = LISTS.includes(key) ? query.getAll(key).filter(Boolean) : query.get(key);
    }
    return values;
  }

  // A link may name what this table hasn't; that is said, and not taken for "everything".
  function unknown(values) {
    const known = {
      view: VIEWS, kind: all("#kind option").map((option) => option.value), device: ["", ...data.names], status: STATUSES,
      row: data.rows.map((row) => row.key), hide: Object.keys(COLUMNS),
      sort: ["", ...heads("#rows").map((head) => head.dataset.key)], by: ["", ...heads("#matrix").map((head) => head.dataset.key)],
    };
    const wrong = [];
    for (const [key, choices] of Object.entries(known)) {
      const isWrong = (item) => !choices.includes(key === "sort" || key === "by" ? item.replace(/^-/, "") : item);
      const items = [values[key]].flat().filter(isWrong);
      if (!items.length) continue;
      wrong.push(...items.map((item) => `${key} “${item}”`));
      values[key] = LISTS.includes(key) ? values[key].filter((item) => !items.includes(item)) : start[key];
    }
    return wrong;
  }

  // Browsers refuse to have the address changed at every key; it follows when the typing pauses.
  let writing;
  function change(values, { remember = false } = {}) {
    state = { ...state, ...values };
    find("#notice").hidden = true;
    clearTimeout(writing);
    if (remember) history.pushState(null, "", written(state));
    else writing = setTimeout(() => history.replaceState(null, "", written(state)), 200);
    show();
  }

  function follow(hash) {
    clearTimeout(writing);
    state = read(hash);
    const wrong = unknown(state);
    find("#notice").hidden = !wrong.length;
    find("#notice").textContent = wrong.length ? `The link asks for ${wrong.join(", ")}, which this table doesn’t have; the rest is shown.` : "";
    show();
    if (!state.row.length || state.view !== "table") return;
    fill(Infinity);
    opened.get(state.row[0])?.previousElementSibling?.scrollIntoView({ block: "nearest" });
  }

  // ---- Words and globs
  function matcher(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
      if (!/[*?]/.test(word)) return (name) => name.includes(word);
      const escaped = word.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*").replace(/\?/g, ".");
      const pattern = new RegExp(`^${escaped}$`, "s");
      return (name) => pattern.test(name);
    });
    return (names) => words.every((fits) => names.some(fits));
  }

  // ---- Tables that sort by any of their columns
  const heads = (table) => all(`${table} > thead th`); // not those of the tables inside
  const values = new Map(); // table -> lines with the values they sort by
  function lines(table) {
    if (!values.has(table)) {
      values.set(table, all(`${table} tbody tr`).map((line, index) => ({
        line, index, keys: [...line.children].map((cell) => cell.dataset.v ?? cell.textContent.trim()),
      })));
    }
    return values.get(table);
  }

  // What has no value comes last, whichever way it is sorted; what is equal keeps the table's order.
  function sorted(table, by) {
    const key = by.replace(/^-/, "");
    const column = heads(table).findIndex((head) => head.dataset.key === key);
    heads(table).forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", by.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    if (column < 0) return lines(table);
    const way = by.startsWith("-") ? -1 : 1;
    return [...lines(table)].sort((a, b) => {
      const [one, other] = [a.keys[column], b.keys[column]];
      if (one === "" || other === "") return (one === "") - (other === "") || a.index - b.index;
      const numbers = one - other;
      return way * (Number.isNaN(numbers) ? sorter.compare(one, other) : numbers) || a.index - b.index;
    });
  }

  // Ascending, descending, as it was.
  const turned = (by, key) => (by === key ? "-" + key : by === "-" + key ? "" : key);

  // ---- The table
  const records = data.rows.map((row) => ({
    ...row,
    names: [row.name, ...Object.values(row.parts)].filter(Boolean).map((name) => name.toLowerCase()),
    classes: row.layers.map(([name]) => name),
  }));
  const classes = new Set(records.flatMap((row) => row.classes));
  const opened = new Map(); // key -> the line with its details
  const hidden = new CSSStyleSheet();
  let hiding = "", spanned = heads("#rows").length;
  document.adoptedStyleSheets = [hidden];

  function byLayer(layer) {
    if (!layer) return () => true;
    // A class's whole name means that class, and not all that contain it.
    if (classes.has(layer)) return (row) => row.classes.includes(layer);
    const fits = matcher(layer);
    return (row) => fits(row.classes.map((name) => name.toLowerCase()));
  }

  function showTable() {
    const named = matcher(state.name), layered = byLayer(state.layer);
    const device = data.names.indexOf(state.device);
    const cells = (row) => (device < 0 ? row.cells : [row.cells[device]]);
    const counts = Object.fromEntries(STATUSES.map((name) => [name, 0]));
    const kept = sorted("#rows", state.sort).filter(({ index }) => {
      const row = records[index];
      if ((state.kind && row.kind !== state.kind) || !named(row.names) || !layered(row)) return false;
      const found = new Set(cells(row).map((cell) => cell.status));
      found.forEach((name) => counts[name]++);
      return !state.status.length || state.status.some((name) => found.has(name));
    });
    place(kept);
    find("#none").hidden = kept.length > 0;
    find("#found").textContent = kept.length === records.length ? `${kept.length} rows` : `${kept.length} of ${records.length} rows`;
    for (const chip of all(".chip")) {
      find(".count", chip).textContent = counts[chip.dataset.s];
      chip.setAttribute("aria-pressed", state.status.includes(chip.dataset.s));
      chip.hidden = !counts[chip.dataset.s] && !state.status.includes(chip.dataset.s);
    }
    const filters = { name: "", kind: "", device: "", layer: "", status: [], sort: "" };
    find("#clear").hidden = Object.keys(filters).every((key) => !state[key].length);
    find("#clear").onclick = () => change(filters, { remember: true });
  }

  // The browser lays a hundred rows out in no time and five hundred in half a second: those that may be seen come
  // at once, the others whenever it is idle (so that its own search finds them), and all before a link or the printer.
  const FIRST = 50;
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 30));
  const body = find("#rows tbody");
  let placed = lines("#rows"), inside = placed.length, round = 0;

  function place(kept) {
    if (kept.length !== placed.length || kept.some((entry, index) => entry !== placed[index])) {
      [placed, inside] = [kept, 0];
      body.replaceChildren();
      fill(FIRST);
      const mine = ++round;
      const more = () => {
        if (mine !== round || inside >= placed.length) return;
        fill(40);
        idle(more);
      };
      setTimeout(() => idle(more), 250);
    } else placed.slice(0, inside).forEach(dress);
  }

  function fill(count) {
    const next = placed.slice(inside, inside + count);
    inside += next.length;
    body.append(...next.map(({ line }) => line));
    next.forEach(dress);
  }

  // Gives a line its details, or takes them away.
  function dress(entry) {
    const key = records[entry.index].key, open = state.row.includes(key);
    // Touching what stays as it is would cost more than all the rest.
    if (entry.open !== open) find(".open", entry.line).setAttribute("aria-expanded", (entry.open = open));
    if (open && !opened.has(key)) opened.set(key, details(records[entry.index]));
    if (open) entry.line.after(opened.get(key));
    else opened.get(key)?.remove();
  }

  function showColumns() {
    const last = heads("#rows").length, away = [];
    const hide = (from, to) => {
      for (let at = from; at <= to; at++) away.push(`#rows > * > tr:not(.more) > :nth-child(${at > 0 ? at : last + 1 + at})`);
    };
    for (const group of state.hide) hide(...COLUMNS[group]);
    data.names.forEach((name, index) => state.device && name !== state.device && hide(9 + index, 9 + index));
    // One rule instead of thousands of cells; the details of a row span whatever is left.
    const rule = away.length ? `${away.join(",")} { display: none }` : "";
    if (rule !== hiding) hidden.replaceSync((hiding = rule));
    // One column too many would take the room that is left.
    spanned = last - away.length;
    opened.forEach((line) => { line.firstChild.colSpan = spanned; });
    all("[name=shown]").forEach((box) => { box.checked = !state.hide.includes(box.value); });
  }

  // ---- The details of a row
  function details(row) {
    const title = [row.kind, row.folder].filter(Boolean).join(" · ");
    const top = make("div", { class: "all" }, make("h2", {}, row.name), make("p", { class: "soft" }, title));
    if (row.error) top.append(make("p", { class: "error" }, `Not converted: ${row.error}`));
    if (row.excluded) top.append(make("p", {}, `Excluded: ${row.excluded}`));
    const box = make("div", { class: "details" }, top, devices(row), side(row));
    if (row.layers.length) {
      const chips = row.layers.map(([name, count]) =>
        make("li", {}, make("a", { href: written({ ...start, layer: name }) }, `${name} `, make("span", { class: "soft" }, String(count)))));
      box.append(make("div", { class: "all" }, make("h3", {}, "Layers"), make("ul", { class: "chips" }, ...chips)));
    }
    return make("tr", { class: "more" }, make("td", { colspan: spanned }, box));
  }

  function pill(status) {
    return make("span", { class: "s", "data-s": status }, make("span", { "aria-hidden": "true" }, data.statuses[status][0]), ` ${status}`);
  }

  function devices(row) {
    const titles = ["device", "status", "size", "difference", "time a sample", "most memory", "checked"];
    const head = make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title))));
    const table = make("table", {}, head, ...row.cells.map((cell, index) => onDevice(cell, data.devices[index], titles)));
    return make("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": `${row.name} on each device` }, table);
  }

  // A device's lines: one a size, and one of words where there is something to say.
  function onDevice(cell, title, titles) {
    const note = [cell.detail, cell.excuse && `Known: ${cell.excuse}`].filter(Boolean).join(" · ");
    const sizes = cell.sizes.length ? cell.sizes : [["", "", ""]];
    const lines = sizes.map((size) => make("tr", {}, ...size.map((text) => make("td", {}, text))));
    const whole = sizes.length + (note ? 1 : 0);
    lines[0].prepend(
      make("th", { scope: "rowgroup", rowspan: whole }, title, make("span", { class: "version" }, cell.version)),
      make("td", { rowspan: whole }, pill(cell.status)));
    const checked = `${cell.date.slice(0, 10)} ${cell.commit.slice(0, 8)}`.trim();
    [cell.memory, checked].forEach((text, index) =>
      lines[0].append(make("td", { class: "last", rowspan: sizes.length, "data-title": titles[5 + index] }, text)));
    if (note) lines.push(make("tr", {}, make("td", { colspan: 5, class: "note" }, note)));
    return make("tbody", {}, ...lines);
  }

  function pairs(entries) {
    return make("dl", { class: "pairs" }, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, make("code", {}, value))]));
  }

  function side(row) {
    const box = make("div", { class: "side" });
    const part = (title, ...children) => box.append(make("div", {}, make("h3", {}, title), ...children));
    part("Arguments", row.arguments.length ? pairs(row.arguments) : make("p", { class: "soft" }, "none"));
    const count = (number) => (number === null ? "not known" : number.toLocaleString("en"));
    part("Size", pairs([["parameters", count(row.parameters)], ["multiply-adds", count(row.multiply_adds)]]));
    const when = [row.changed.date.slice(0, 10), row.changed.commit.slice(0, 10)].filter(Boolean).join(", ");
    const path = make("ol", { class: "path" }, ...row.changed.why.map((step) => make("li", {}, make("code", {}, step))));
    if (when || row.changed.why.length) part("Last change", make("p", {}, when), ...(row.changed.why.length ? [path] : []));
    const hashes = [["code", row.code], ["request", row.request]].filter(([, hash]) => hash).map(([name, hash]) => [name, hash.slice(0, 16)]);
    if (hashes.length) part("Hashes", pairs(hashes));
    return box;
  }

  // ---- The layers
  function showMatrix() {
    const fits = matcher(state.class);
    const kept = sorted("#matrix", state.by).filter(({ keys }) => fits([keys[0].toLowerCase()]));
    find("#matrix tbody").replaceChildren(...kept.map(({ line }) => line));
  }

  // ---- All of it
  function show() {
    for (const section of all("[data-view]")) section.hidden = section.dataset.view !== state.view;
    for (const link of all("nav a")) {
      if (read(link.hash).view === state.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const id of ["name", "kind", "device", "layer", "class"]) if (find("#" + id).value !== state[id]) find("#" + id).value = state[id];
    if (state.view === "matrix") showMatrix();
    if (state.view !== "table") return;
    showColumns();
    showTable();
  }

  function toggled(list, item) {
    return list.includes(item) ? list.filter((other) => other !== item) : [...list, item];
  }

  for (const id of ["name", "layer", "class"]) find("#" + id).addEventListener("input", (event) => change({ [id]: event.target.value }));
  for (const id of ["kind", "device"]) find("#" + id).addEventListener("change", (event) => change({ [id]: event.target.value }));
  all("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));
  all("[name=shown]").forEach((box) => box.addEventListener("change", () => change({ hide: toggled(state.hide, box.value) })));
  all(".chip").forEach((chip) => chip.addEventListener("click", () => change({ status: toggled(state.status, chip.dataset.s) })));
  heads("#rows").forEach((head) => head.addEventListener("click", () => change({ sort: turned(state.sort, head.dataset.key) })));
  heads("#matrix").forEach((head) => head.addEventListener("click", () => change({ by: turned(state.by, head.dataset.key) })));
  let problemsBy = "";
  heads("#problems").forEach((head) => head.addEventListener("click", () => {
    problemsBy = turned(problemsBy, head.dataset.key);
    find("#problems tbody").replaceChildren(...sorted("#problems", problemsBy).map(({ line }) => line));
  }));

  const keys = new Map(lines("#rows").map(({ line, index }) => [line, records[index].key]));
  find("#rows tbody").addEventListener("click", (event) => {
    const key = keys.get(event.target.closest("tr"));
    // Somebody who marks text to copy it doesn't mean to open the row.
    if (key && !event.target.closest("a") && getSelection().isCollapsed) change({ row: toggled(state.row, key) });
  });
  // A menu closes when something else is clicked, or by Escape.
  const menu = find(".menu");
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { menu.open = false; find("summary", menu).focus(); } });
  // Links within the page change the state without a jump.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", link.hash);
    follow(link.hash);
  });
  addEventListener("beforeprint", () => fill(Infinity));
  addEventListener("popstate", () => follow(location.hash));

  // ---- Light and dark; storage may be forbidden, then the choice lasts as long as the page.
  const THEMES = ["system", "light", "dark"];
  function stored(theme) {
    try {
      if (theme) localStorage.setItem("table-theme", theme);
      return localStorage.getItem("table-theme");
    } catch {
      return null;
    }
  }
  function wear(theme) {
    document.documentElement.dataset.theme = theme;
    find("#theme").textContent = `Theme: ${theme}`;
  }
  find("#theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    stored(next);
    wear(next);
  });
  wear(THEMES.includes(stored()) ? stored() : "system");

  document.documentElement.classList.add("js");
  follow(location.hash);
})();
