"use strict";

const $ = (id) => document.getElementById(id);
const svgElement = (name, attributes = {}) => {
  const element = document.createElementNS($("scene").namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

// Theme: the system's until the reader chooses. The choice is stored if the browser allows local files to store data.
(() => {
  const root = document.documentElement;
  const remembered = (action) => { try { return action(); } catch { return null; } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const chosen = remembered(() => localStorage.getItem("batchsim-theme"));
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  $("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    remembered(() => localStorage.setItem("batchsim-theme", root.dataset.theme));
  });
})();

// Charts: the legend shows the values under the pointer, otherwise the last ones.
const shortNumber = (value) => {
  if (value === null || value === undefined) return "–";
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= 0.9995 * size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(3))).replaceAll("-", "−");
};
for (const figure of document.querySelectorAll("[data-chart]")) {
  const data = JSON.parse(figure.dataset.chart);
  const svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const outputs = [...figure.querySelectorAll(".value")];
  const title = figure.querySelector("figcaption b");
  const name = title.textContent;
  const final = outputs.map((output) => output.textContent);
  const [first, last] = [data.x[0], data.x[data.x.length - 1]];
  const place = (x) => data.left + (last > first ? (x - first) / (last - first) : 0.5) * (data.right - data.left);
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * data.width;
    let nearest = 0;
    data.x.forEach((x, i) => { if (Math.abs(place(x) - at) < Math.abs(place(data.x[nearest]) - at)) nearest = i; });
    cursor.removeAttribute("hidden");
    cursor.setAttribute("x1", place(data.x[nearest]));
    cursor.setAttribute("x2", place(data.x[nearest]));
    outputs.forEach((output, k) => { output.textContent = shortNumber(data.lines[k].y[nearest]); });
    title.textContent = `at ${shortNumber(data.x[nearest])} frames`;
  };
  const leave = () => {
    cursor.setAttribute("hidden", "");
    outputs.forEach((output, k) => { output.textContent = final[k]; });
    title.textContent = name;
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerleave", leave);
}

// Tables: a click on a column's head sorts by it, numbers in descending order first.
for (const head of document.querySelectorAll("th[data-sort]")) {
  const sort = () => {
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const numeric = head.dataset.sort === "number";
    const before = head.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !numeric;
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.children[column];
      return numeric ? (cell.dataset.value === "" ? -Infinity : Number(cell.dataset.value)) : cell.textContent;
    };
    const order = (a, b) => (numeric ? key(a) - key(b) : key(a).localeCompare(key(b), undefined, { numeric: true }));
    const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? order(a, b) : order(b, a)));
    table.tBodies[0].append(...rows);
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
  });
}

// Gallery: sort and filter.
(() => {
  const list = $("gallery");
  if (!list) return;
  const cards = [...list.children];
  const measured = new Map(cards.map((card) => [card, JSON.parse(card.dataset.values)]));
  const arrange = () => {
    const [key, sign] = [$("sort").value, $("direction").getAttribute("aria-pressed") === "true" ? -1 : 1];
    // Ranks are sorted from worst to best, measures in descending order; missing values come last.
    const value = (card) => (key === "outcome" ? -Number(card.dataset.rank) : measured.get(card)[key]);
    const order = (a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (right - left);
    };
    list.append(...[...cards].sort(order));
  };
  $("sort").addEventListener("change", arrange);
  $("direction").addEventListener("click", () => {
    const turned = $("direction").getAttribute("aria-pressed") !== "true";
    $("direction").setAttribute("aria-pressed", String(turned));
    $("direction").textContent = turned ? "↑" : "↓";
    arrange();
  });
  arrange(); // browsers may restore another choice when the page is reloaded
  const filters = [...document.querySelectorAll("[data-filter]")];
  for (const button of filters) {
    button.addEventListener("click", () => {
      filters.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      cards.forEach((card) => { card.hidden = ![card.dataset.outcome, card.dataset.cause, "all"].includes(button.dataset.filter); });
    });
  }
})();
