"use strict";

const $ = (id) => document.getElementById(id);
const svgElement = (name, attributes = {}) => {
  const element = document.createElementNS($("scene").namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

// Theme: the system's until the reader chooses; the choice is kept where the browser lets a local file keep anything.
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

// Charts: under the pointer the legend shows the values of that moment, otherwise the last ones.
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

// Tables sort by a click on a column's head, largest first for numbers.
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

// Gallery: order and filter.
(() => {
  const list = $("gallery");
  if (!list) return;
  const cards = [...list.children];
  const value = (card, key) => Number(card.dataset[key]);
  const orders = {
    "outcome": (a, b) => value(a, "rank") - value(b, "rank"),
    "spl-down": (a, b) => value(b, "spl") - value(a, "spl"),
    "spl-up": (a, b) => value(a, "spl") - value(b, "spl"),
    "distance-down": (a, b) => value(b, "distance") - value(a, "distance"),
    "distance-up": (a, b) => value(a, "distance") - value(b, "distance"),
  };
  const arrange = () => list.append(...[...cards].sort(orders[$("sort").value]));
  $("sort").addEventListener("change", arrange);
  arrange(); // a reloaded page may come with another choice than the first
  const filters = [...document.querySelectorAll("[data-filter]")];
  for (const button of filters) {
    button.addEventListener("click", () => {
      filters.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      cards.forEach((card) => { card.hidden = ![card.dataset.outcome, "all"].includes(button.dataset.filter); });
    });
  }
})();

// Player: walks an agent along its path.
(() => {
  if (!$("episode-data")) return;
  const episodes = JSON.parse($("episode-data").textContent);
  const dialog = $("player");
  const STEPS_PER_SECOND = 15;
  let episode = null, run = null, headings = [], time = 0, playing = false, before = null, drawn = {};

  const at = (i) => [run.points[2 * i], run.points[2 * i + 1]];
  const count = () => run.points.length / 2;

  // The map's storeys stand side by side; nobody walks from one picture to the next.
  const parted = (i, j) => Math.floor(at(i)[0] / episode.panel) !== Math.floor(at(j)[0] / episode.panel);

  // Only positions are known; the agent faces where it goes, and turns evenly between two moves.
  const facing = () => {
    const n = count(), known = [];
    for (let i = 1; i < n; i++) {
      const [x0, y0] = at(i - 1), [x1, y1] = at(i);
      const length = Math.hypot(x1 - x0, y1 - y0);
      if (length > 0.3 && !parted(i - 1, i)) known.push([i, Math.atan2(y1 - y0, x1 - x0)]);
    }
    if (!known.length) return new Array(n).fill(-Math.PI / 2);
    const result = new Array(n).fill(known[known.length - 1][1]);
    let [previousStep, previous] = [0, known[0][1]];
    for (const [step, angle] of known) {
      const turn = Math.atan2(Math.sin(angle - previous), Math.cos(angle - previous));
      const span = Math.max(step - previousStep, 1);
      for (let i = previousStep; i <= step; i++) result[i] = previous + (turn * (i - previousStep)) / span;
      [previousStep, previous] = [step, previous + turn];
    }
    for (let i = previousStep; i < n; i++) result[i] = previous;
    return result;
  };

  const pathData = (until) => {
    let data = "";
    for (let i = 0; i <= until; i++) {
      const [x, y] = at(i);
      data += (i && !parted(i - 1, i) ? "L" : "M") + x + " " + y;
    }
    return data;
  };

  const drawScene = () => {
    const svg = $("scene");
    svg.setAttribute("viewBox", episode.view);
    svg.style.setProperty("--run", `var(--c${run.color % 6})`);
    $("progress").style.setProperty("--run", `var(--c${run.color % 6})`);
    const size = 0.02 * Math.max(...episode.view.split(" ").slice(2).map(Number));
    svg.replaceChildren();
    if (episode.map !== null) {
      // An inner svg cuts off the storeys beside those shown.
      const [x, y, width, height] = episode.view.split(" ");
      const window = svgElement("svg", { x, y, width, height, viewBox: episode.view });
      window.append(svgElement("use", { href: "#map-" + episode.map }));
      svg.append(window);
    }
    svg.append(svgElement("path", { class: "shortest", d: episode.shortest }));
    svg.append(svgElement("path", { class: "walked trail", d: count() ? pathData(count() - 1) : "" }));
    drawn.walked = svgElement("path", { class: "walked" });
    svg.append(drawn.walked);
    if (count()) svg.append(svgElement("circle", { class: "start", cx: at(0)[0], cy: at(0)[1], r: 0.6 * size }));
    svg.append(svgElement("circle", { class: "goal", cx: episode.goal[0], cy: episode.goal[1], r: 0.85 * size }));
    drawn.agent = svgElement("g", { class: "agent" });
    drawn.agent.append(svgElement("path", { d: "M1.5 0L-1 1L-0.5 0L-1 -1Z", transform: `scale(${size})` }));
    if (count()) svg.append(drawn.agent);
  };

  // How far it still was to the goal, step by step.
  const drawProgress = () => {
    const svg = $("progress");
    svg.replaceChildren();
    drawn.needle = null;
    const known = run.left.filter((value) => value !== null);
    svg.style.display = known.length > 1 ? "" : "none";
    if (known.length < 2) return;
    const most = Math.max(...known) || 1;
    drawn.x = (i) => (300 * i) / Math.max(count() - 1, 1);
    const y = (value) => 90 - (70 * value) / most;
    const line = run.left.map((value, i) => (value === null ? "" : `${drawn.x(i).toFixed(1)} ${y(value).toFixed(1)}`)).filter(Boolean);
    svg.append(
      svgElement("path", { class: "area", d: `M0 90L${line.join("L")}L300 90Z` }),
      svgElement("path", { class: `line series-${run.color % 6}`, d: "M" + line.join("L") }),
      svgElement("line", { class: "grid", x1: 0, x2: 300, y1: 90, y2: 90 }),
    );
    drawn.label = svgElement("text", { class: "tick", x: 0, y: 10 });
    drawn.needle = svgElement("line", { class: "cursor", y1: 18, y2: 90 });
    svg.append(drawn.label, drawn.needle);
  };

  const drawFacts = () => {
    const facts = { Outcome: run.success ? "Success" : "Failure", ...run.facts };
    $("facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
      const item = document.createElement("div");
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      [dt.textContent, dd.textContent] = [name, value];
      if (name === "Outcome") dd.className = run.success ? "badge success" : "badge failure";
      item.append(dt, dd);
      return item;
    }));
  };

  const show = () => {
    const last = Math.max(count() - 1, 0);
    const step = Math.min(Math.floor(time), last);
    $("step").value = step;
    $("count").textContent = `${step} of ${last}`;
    if (!count()) return;
    const next = Math.min(step + 1, last), share = Math.min(time, last) - step;
    const [x0, y0] = at(step), [x1, y1] = at(next);
    const blend = parted(step, next) ? 0 : share;
    const [x, y] = [x0 + blend * (x1 - x0), y0 + blend * (y1 - y0)];
    const heading = headings[step] + share * (headings[next] - headings[step]);
    drawn.walked.setAttribute("d", `${pathData(step)}L${x.toFixed(2)} ${y.toFixed(2)}`);
    drawn.agent.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${((heading * 180) / Math.PI).toFixed(1)})`);
    if (drawn.needle) {
      drawn.needle.setAttribute("x1", drawn.x(step));
      drawn.needle.setAttribute("x2", drawn.x(step));
      drawn.label.textContent = run.left[step] === null ? "" : `${run.left[step].toFixed(2)} m to the goal`;
    }
  };

  const frame = (now) => {
    if (!playing) return;
    if (before !== null) time += ((now - before) / 1000) * STEPS_PER_SECOND * Number($("speed").value);
    before = now;
    if (time >= count() - 1) { time = Math.max(count() - 1, 0); setPlaying(false); }
    show();
    if (playing) requestAnimationFrame(frame);
  };

  const setPlaying = (on) => {
    playing = on;
    before = null;
    $("play").classList.toggle("playing", on);
    if (!on) return;
    if (time >= count() - 1) time = 0;
    requestAnimationFrame(frame);
  };

  const choose = (which) => {
    run = episode.runs[which];
    headings = facing();
    time = 0;
    $("step").max = Math.max(count() - 1, 0);
    [...$("runs").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === which)));
    drawScene();
    drawProgress();
    drawFacts();
    show();
    setPlaying(count() > 1);
  };

  const open = (number) => {
    episode = episodes[number];
    dialog.dataset.episode = number;
    $("player-title").textContent = episode.scene;
    $("player-note").textContent = `Episode ${episode.episode} · ${episode.distance === null ? "–" : episode.distance.toFixed(1)} m to walk`;
    $("runs").replaceChildren(...episode.runs.map((one, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one.agent;
      button.className = `series-${one.color % 6}`;
      button.addEventListener("click", () => choose(i));
      return button;
    }));
    $("runs").hidden = episode.runs.length < 2;
    if (!dialog.open) dialog.showModal();
    choose(0);
  };

  const move = (by) => {
    const shown = [...document.querySelectorAll(".card:not([hidden]) [data-episode]")].map((b) => b.dataset.episode);
    const place = shown.indexOf(dialog.dataset.episode);
    open(Number(shown[(place + by + shown.length) % shown.length]));
  };

  document.querySelectorAll("button[data-episode]").forEach((button) => {
    button.addEventListener("click", () => open(Number(button.dataset.episode)));
  });
  $("play").addEventListener("click", () => setPlaying(!playing));
  $("step").addEventListener("input", () => { setPlaying(false); time = Number($("step").value); show(); });
  $("close").addEventListener("click", () => dialog.close());
  $("previous").addEventListener("click", () => move(-1));
  $("next").addEventListener("click", () => move(1));
  dialog.addEventListener("close", () => setPlaying(false));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
    if (event.key === " " && !event.target.matches("button")) { event.preventDefault(); setPlaying(!playing); }
  });
})();
