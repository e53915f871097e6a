
// A video of what an agent saw. Frame k belongs to step k; the player decides which step is shown.
const FRAMES_PER_SECOND = 15;
class ReplayVideo {
  constructor(data, box) {
    this.data = data;
    this.wanted = 0;
    this.shown = -1;
    this.busy = true;
    this.box = box;
    delete box.dataset.step;
    this.canvases = data.panels.map(([name, , , width, height]) => {
      const figure = document.createElement("figure");
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(canvas, caption);
      return canvas;
    });
    box.replaceChildren(...this.canvases.map((canvas) => canvas.parentNode));
    const bytes = Uint8Array.from(atob($(`video-${data.id}`).textContent), (letter) => letter.charCodeAt(0));
    this.address = URL.createObjectURL(new Blob([bytes], { type: data.mime }));
    const ready = () => { this.busy = false; this.advance(); };
    if (data.columns) {
      this.source = new Image();
      this.source.addEventListener("load", ready);
    } else {
      this.source = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto" });
      this.source.addEventListener("loadeddata", ready, { once: true });
      this.source.addEventListener("seeked", () => { this.paint(); this.busy = false; this.advance(); });
    }
    this.source.src = this.address;
  }

  seek(step) {
    this.wanted = step;
    if (!this.busy) this.advance();
  }

  advance() {
    if (this.shown === this.wanted || this.closed) return;
    this.shown = this.wanted;
    if (this.data.columns) return this.paint();
    this.busy = true;
    this.source.currentTime = (this.shown + 0.5) / FRAMES_PER_SECOND;
  }

  paint() {
    const [width, height] = this.data.size;
    const { columns, panels } = this.data;
    const left = columns ? (this.shown % columns) * width : 0;
    const top = columns ? Math.floor(this.shown / columns) * height : 0;
    this.canvases.forEach((canvas, i) => {
      const [, x, y, wide, high] = panels[i];
      canvas.getContext("2d").drawImage(this.source, left + x, top + y, wide, high, 0, 0, wide, high);
    });
    this.box.dataset.step = this.shown;
  }

  close() {
    this.closed = true;
    this.source.removeAttribute("src");
    URL.revokeObjectURL(this.address);
    this.box.replaceChildren();
  }
}

// Decodes numbers that are stored as differences, in units of 1 / perUnit.
const summed = (changes, perUnit) => {
  let sum = 0;
  return changes.map((change) => (change === null ? null : (sum += change) / perUnit));
};

// Player: moves an agent along its path.
(() => {
  if (!$("episode-data")) return;
  const episodes = JSON.parse($("episode-data").textContent);
  const dialog = $("player");
  const fogMatrix = document.querySelector("#fog-now feColorMatrix");
  const halfView = (Number($("gallery").dataset.hfov) * Math.PI) / 360;
  const STEPS_PER_SECOND = 15;
  let episode = null, run = null, video = null, headings = [], time = 0, playing = false, before = null, drawn = {};

  const unpacked = (one) => ({
    ...one,
    x: summed(one.x, 10),
    y: summed(one.y, 10),
    headings: summed(one.headings, 100),
    progress: summed(one.progress, 100),
  });
  const at = (i) => [run.x[i], run.y[i]];
  const count = () => run.x.length;
  const color = () => `var(--c${run.color % 6})`;

  // Whether a step changes the storey. Storeys are drawn side by side, so such a step is not drawn as a line.
  const changesStorey = (i, j) => Math.floor(at(i)[0] / episode.panel) !== Math.floor(at(j)[0] / episode.panel);

  // Map angles of the recorded headings. Heading 0 points up on the map and grows to the left; turns take the shorter way.
  const recorded = () => {
    const result = [];
    for (const heading of run.headings) {
      const angle = Math.atan2(-Math.cos(heading), -Math.sin(heading));
      const previous = result.length ? result[result.length - 1] : angle;
      result.push(previous + Math.atan2(Math.sin(angle - previous), Math.cos(angle - previous)));
    }
    return result;
  };

  // Angles for records without headings: the agent faces the direction of motion, and turns evenly between two moves.
  const guessed = () => {
    const n = count(), known = [];
    for (let i = 1; i < n; i++) {
      const [x0, y0] = at(i - 1), [x1, y1] = at(i);
      const length = Math.hypot(x1 - x0, y1 - y0);
      if (length > 0.3 && !changesStorey(i - 1, i)) known.push([i, Math.atan2(y1 - y0, x1 - x0)]);
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
      data += (i && !changesStorey(i - 1, i) ? "L" : "M") + x + " " + y;
    }
    return data;
  };

  const drawMap = (svg, fog) => {
    // An inner svg cuts off the storeys beside those shown.
    const [x, y, width, height] = episode.view.split(" ");
    const window = svgElement("svg", { x, y, width, height, viewBox: episode.view });
    window.append(svgElement("use", { href: "#map-" + episode.map }));
    if (fog) {
      const [fogWidth, fogHeight] = episode.fogSize;
      const size = { width: fogWidth, height: fogHeight, preserveAspectRatio: "none" };
      window.append(svgElement("image", { class: "fog", href: fog, filter: "url(#fog-now)", ...size }));
    }
    svg.append(window);
  };

  const agentMark = (size) => {
    const [far, x, y] = [3.6, Math.cos(halfView), Math.sin(halfView)].map((value, i) => (i ? 3.6 * value : value));
    const mark = svgElement("g", { class: "agent" });
    mark.append(
      svgElement("path", { class: "cone", d: `M0 0L${x} ${-y}A${far} ${far} 0 0 1 ${x} ${y}Z`, transform: `scale(${size})` }),
      svgElement("path", { d: "M1.5 0L-1 1L-0.5 0L-1 -1Z", transform: `scale(${size})` }),
    );
    return mark;
  };

  const drawScene = () => {
    const svg = $("scene");
    svg.setAttribute("viewBox", episode.view);
    for (const id of ["scene", "time"]) $(id).style.setProperty("--run", color());
    const size = 0.02 * Math.max(...episode.view.split(" ").slice(2).map(Number));
    svg.replaceChildren();
    if (episode.map !== null) drawMap(svg, run.fog || (run.first && $("fog-" + dialog.dataset.episode)?.getAttribute("href")));
    svg.append(svgElement("path", { class: "shortest", d: episode.shortest }));
    svg.append(svgElement("path", { class: "walked trail", d: count() ? pathData(count() - 1) : "" }));
    drawn.walked = svgElement("path", { class: "walked" });
    svg.append(drawn.walked);
    if (count()) svg.append(svgElement("circle", { class: "start", cx: at(0)[0], cy: at(0)[1], r: 0.6 * size }));
    if (episode.goal) svg.append(svgElement("circle", { class: "goal", cx: episode.goal[0], cy: episode.goal[1], r: 0.85 * size }));
    drawn.agent = agentMark(size);
    if (count()) svg.append(drawn.agent);
  };

  const across = (step) => (300 * step) / Math.max(count() - 1, 1);
  const needle = (svg) => {
    const line = svgElement("line", { class: "cursor", y1: 0, y2: 60 });
    svg.append(line);
    return line;
  };

  // The task's measure of progress, by step.
  const drawProgress = () => {
    const svg = $("progress");
    svg.replaceChildren();
    const known = run.progress.filter((value) => value !== null);
    svg.hidden = $("progress-label").hidden = known.length < 2;
    drawn.progress = null;
    if (known.length < 2) return;
    const most = Math.max(...known) || 1;
    const y = (value) => 58 - (56 * value) / most;
    const line = run.progress.map((value, i) => (value === null ? "" : `${across(i).toFixed(1)} ${y(value).toFixed(1)}`)).filter(Boolean);
    svg.append(
      svgElement("path", { class: "area", d: `M0 60L${line.join("L")}L300 60Z` }),
      svgElement("path", { class: `line series-${run.color % 6}`, d: "M" + line.join("L") }),
    );
    drawn.progress = needle(svg);
  };

  const drawMemory = () => {
    const svg = $("memory"), shown = run.video && run.video.memory;
    svg.replaceChildren();
    svg.hidden = $("memory-label").hidden = !shown;
    drawn.memory = null;
    if (!shown) return;
    const [rows, units] = run.video.units;
    $("memory-label").textContent = rows < units ? `Recurrent state: the ${rows} most active of ${units} units, sorted by time of peak` : `Recurrent state: ${units} units, sorted by time of peak`;
    svg.append(svgElement("image", { href: shown, width: 300, height: 60, preserveAspectRatio: "none" }));
    drawn.memory = needle(svg);
  };

  const drawVideo = () => {
    if (video) video.close();
    video = run.video ? new ReplayVideo(run.video, $("views")) : null;
    $("playback").classList.toggle("with-video", Boolean(video));
  };

  const drawFacts = () => {
    const outcome = { success: "Success", failure: "Failure" }[run.outcome];
    const facts = { ...(outcome ? { Outcome: outcome } : {}), ...run.facts };
    $("facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
      const item = document.createElement("div");
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      [dt.textContent, dd.textContent] = [name, value];
      if (name === "Outcome") dd.className = `badge ${run.outcome}`;
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
    const blend = changesStorey(step, next) ? 0 : share;
    const [x, y] = [x0 + blend * (x1 - x0), y0 + blend * (y1 - y0)];
    const heading = headings[step] + share * (headings[next] - headings[step]);
    drawn.walked.setAttribute("d", `${pathData(step)}L${x.toFixed(2)} ${y.toFixed(2)}`);
    drawn.agent.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${((heading * 180) / Math.PI).toFixed(1)})`);
    fogMatrix.setAttribute("values", `0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  255 0 0 0 ${-Math.floor((254 * step) / Math.max(last, 1))}`);
    for (const line of [drawn.progress, drawn.memory].filter(Boolean)) {
      line.setAttribute("x1", across(step));
      line.setAttribute("x2", across(step));
    }
    const value = run.progress[step];
    $("progress-label").textContent = value === null || value === undefined ? "" : `${episode.counted.startsWith("m ") ? value.toFixed(2) : value} ${episode.counted}`;
    if (video) video.seek(step);
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

  const jump = (step) => { setPlaying(false); time = step; show(); };

  const choose = (which) => {
    run = { ...unpacked(episode.runs[which]), first: which === 0 };
    headings = run.headings.length === count() ? recorded() : guessed();
    time = 0;
    $("step").max = Math.max(count() - 1, 0);
    [...$("runs").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === which)));
    drawScene();
    drawProgress();
    drawMemory();
    drawVideo();
    drawFacts();
    show();
    setPlaying(count() > 1);
  };

  const open = (number) => {
    episode = episodes[number];
    dialog.dataset.episode = number;
    $("player-title").textContent = episode.scene;
    const way = episode.distance === null ? "" : ` · shortest path ${episode.distance.toFixed(1)} m`;
    const goal = episode.category ? ` · goal: ${episode.category}` : "";
    $("player-note").textContent = `Episode ${episode.episode}${goal}${way}`;
    $("goal-view").hidden = !episode.hasGoalImage;
    $("playback").classList.toggle("with-goal", episode.hasGoalImage);
    if (episode.hasGoalImage) $("goal-view").querySelector("img").src = $("goal-" + number).src;
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
  for (const id of ["progress", "memory"]) {
    $(id).addEventListener("click", (event) => {
      const box = $(id).getBoundingClientRect();
      jump(Math.round(((event.clientX - box.left) / box.width) * (count() - 1)));
    });
  }
  $("play").addEventListener("click", () => setPlaying(!playing));
  $("step").addEventListener("input", () => jump(Number($("step").value)));
  $("close").addEventListener("click", () => dialog.close());
  $("previous").addEventListener("click", () => move(-1));
  $("next").addEventListener("click", () => move(1));
  dialog.addEventListener("close", () => {
    setPlaying(false);
    if (video) video.close();
    video = null;
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
    if (event.key === " " && !event.target.matches("button")) { event.preventDefault(); setPlaying(!playing); }
  });
})();
