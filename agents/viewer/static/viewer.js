"use strict";

const token = document.querySelector("meta[name=token]").content;
const element = (id) => document.getElementById(id);
const KEYS = {
  ArrowUp: "forward", KeyW: "forward", ArrowLeft: "left", KeyA: "left", ArrowRight: "right", KeyD: "right",
  PageUp: "look_up", KeyQ: "look_up", PageDown: "look_down", KeyE: "look_down",
};
const PERSON_FPS = 30;

const held = new Set();
let about = null;
let mapImage = null;
let paused = false;
let pending = []; // requests to make between two frames

async function post(path, body = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "X-Batchsim-Token": token, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

function showError(text) {
  element("error").textContent = text;
  element("error").hidden = !text;
}

async function refresh(path, body) {
  about = await (await post(path, body)).json();
  const scenes = element("scene");
  if (scenes.length !== about.scenes.length) {
    scenes.replaceChildren(...about.scenes.map((name) => new Option(name, name)));
  }
  scenes.value = about.scene;
  element("modes").hidden = about.policy === null;
  element("mode").value = about.mode;
  element("pace").hidden = about.mode !== "watch";
  element("help").hidden = about.mode !== "walk";
  element("next").textContent = about.mode === "watch" ? "Next episode" : "New place";
  document.title = `${about.scene} · batchsim viewer`;
  for (const name of ["rgb", "depth", "semantic"]) {
    element(name).width = about.width;
    element(name).height = about.height;
  }
  element("map").width = about.map.width;
  element("map").height = about.map.height;
  const blob = await (await fetch(`map.png?${encodeURIComponent(about.scene)}`)).blob();
  mapImage = await createImageBitmap(blob);
}

function unpack(buffer) {
  const view = new DataView(buffer);
  const parts = [];
  for (let at = 0; at < buffer.byteLength;) {
    const length = view.getUint32(at, true);
    parts.push(new Uint8Array(buffer, at + 4, length));
    at += 4 + length;
  }
  return [JSON.parse(new TextDecoder().decode(parts[0])), parts.slice(1)];
}

function drawMap(facts) {
  const context = element("map").getContext("2d");
  const size = Math.max(about.map.width, about.map.height) / 60;
  context.clearRect(0, 0, about.map.width, about.map.height);
  context.drawImage(mapImage, 0, 0);
  context.lineWidth = size / 4;
  context.strokeStyle = "#1f6feb";
  context.beginPath();
  let last = null;
  for (const [x, y] of facts.trail) {
    // A line across panels would join two storeys.
    if (last && Math.hypot(x - last[0], y - last[1]) < 10 * size) context.lineTo(x, y);
    else context.moveTo(x, y);
    last = [x, y];
  }
  context.stroke();
  if (facts.goal) {
    context.fillStyle = "#2da44e";
    context.beginPath();
    context.arc(facts.goal[0], facts.goal[1], size * 0.8, 0, 2 * Math.PI);
    context.fill();
  }
  const [x, y] = facts.place;
  context.save();
  context.translate(x, y);
  context.rotate(-facts.heading);
  context.fillStyle = "#d1242f";
  context.beginPath();
  context.moveTo(0, -1.4 * size);
  context.lineTo(0.9 * size, size);
  context.lineTo(-0.9 * size, size);
  context.fill();
  context.restore();
}

function describe(facts) {
  const degrees = (radians) => `${Math.round((radians * 180) / Math.PI)}°`;
  const rows = [
    ["Position, m", facts.position.map((value) => value.toFixed(2)).join(", ")],
    ["Heading, tilt", `${degrees(facts.heading)}, ${degrees(facts.pitch)}`],
    ["Step", String(facts.step) + (facts.ended ? " (episode ended)" : "")],
  ];
  if (facts.taken) rows.push(["Last action", facts.taken]);
  if (facts.value !== null) rows.push(["Value", facts.value.toFixed(3)]);
  rows.push(...facts.measures);
  const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  element("state").replaceChildren(...rows.flatMap(([name, value]) => [cell("dt", name), cell("dd", value)]));
  element("actions").replaceChildren(...facts.actions.map(([name, chance]) => {
    const row = document.createElement("div");
    row.className = name === facts.taken ? "action taken" : "action";
    row.append(cell("span", name), Object.assign(document.createElement("progress"), { value: chance, max: 1 }),
      cell("span", `${(100 * chance).toFixed(1)}%`));
    return row;
  }));
  element("fps").textContent = `${facts.fps.toFixed(0)} frames/s`;
}

async function frame() {
  const moving = !paused && (about.mode === "watch" || held.size > 0);
  const answer = await post("/tick", { keys: [...held], moving });
  const [facts, images] = unpack(await answer.arrayBuffer());
  const names = ["rgb", "depth", "semantic"];
  const bitmaps = await Promise.all(
    images.map((bytes) => createImageBitmap(new Blob([bytes], { type: "image/jpeg" }))));
  names.forEach((name, k) => element(name).getContext("2d").drawImage(bitmaps[k], 0, 0));
  drawMap(facts);
  describe(facts);
  window.viewer = { facts, frames: (window.viewer?.frames ?? 0) + 1 };
  return facts;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function run() {
  await refresh("/about");
  let endedAt = null;
  for (;;) {
    const begin = performance.now();
    try {
      for (const call of pending.splice(0)) await call();
      const facts = await frame();
      if (facts.ended && about.mode === "watch" && !paused) {
        endedAt ??= begin;
        if (begin - endedAt > 2000) await refresh("/next");
      } else endedAt = null;
      showError("");
    } catch (error) {
      showError(error instanceof TypeError ? "The viewer has stopped. Start batchsim-scenes view again." : error.message);
      await sleep(1000);
    }
    const rate = about.mode === "watch" ? Number(element("speed").value) : PERSON_FPS;
    await sleep(Math.max(0, 1000 / rate - (performance.now() - begin)));
  }
}

function guarded(call) {
  pending.push(async () => {
    try { await call(); } catch (error) { showError(error.message); await sleep(1500); }
  });
}

function togglePause() {
  paused = !paused;
  element("pause").setAttribute("aria-pressed", String(paused));
}

addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.code in KEYS) held.add(KEYS[event.code]);
  else if (event.code === "KeyN") guarded(() => refresh("/next"));
  else if (event.code === "Space") togglePause();
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => held.delete(KEYS[event.code]));
addEventListener("blur", () => held.clear());
element("next").addEventListener("click", () => guarded(() => refresh("/next")));
element("pause").addEventListener("click", togglePause);
element("scene").addEventListener("change", (event) => {
  event.target.blur();
  guarded(() => refresh("/scene", { name: event.target.value }));
});
element("mode").addEventListener("change", (event) => {
  event.target.blur();
  guarded(() => refresh("/mode", { mode: event.target.value }));
});
element("speed").addEventListener("input", (event) => { element("speedvalue").textContent = event.target.value; });

// The label under the pointer, by its colour: JPEG changes colours a little, so the nearest one is named.
element("semantic").addEventListener("mousemove", (event) => {
  const canvas = event.target;
  const box = canvas.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * canvas.width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
  const pixel = canvas.getContext("2d").getImageData(x, y, 1, 1).data;
  let best = "", least = Infinity;
  for (const { name, color } of about.labels) {
    const far = [1, 3, 5].reduce((sum, at, k) => sum + (parseInt(color.slice(at, at + 2), 16) - pixel[k]) ** 2, 0);
    if (far < least) [best, least] = [name, far];
  }
  element("pointed").textContent = best;
});
element("semantic").addEventListener("mouseleave", () => { element("pointed").textContent = ""; });

run();
