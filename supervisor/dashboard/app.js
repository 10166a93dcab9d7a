// SPDX-License-Identifier: Apache-2.0
// The page's life: gets the history and the events once, then listens to the stream; comes back by itself when it
// breaks, and says how old what it shows is.
"use strict";
import {h, byId, setText, setStatus, setClass, age} from "/dashboard/dom.js";
import {drawTiles, drawCharts, drawFleet, drawActivities, drawEvents, eventContext} from "/dashboard/views.js";
import {token, forgetToken, askToken, onToken, steerAll} from "/dashboard/actions.js";

const STALE_MS = 4000, POINTS = 720, EVENTS = 1000, RETRY_MS = 2000, QUIET_MS = 10000;

const state = {
  fleet: null, scale: null, history: null, events: [], lastSeq: 0, boot: 0,
  heardAt: 0, source: null, range: 0, least: 0, find: "", drawn: false,
};

async function get(path) {
  const answer = await fetch(path, {credentials: "omit"});
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// ---- drawing: at most once a frame, and not while nobody looks ----

const dirty = new Set();
function draw(...parts) {
  for (const part of parts) dirty.add(part);
  if (!state.drawn && !document.hidden) {
    state.drawn = true;
    requestAnimationFrame(paint);
  }
}

// The range that was chosen, or the shortest that shows all there is.
const RANGES = [[300000, "5 min"], [900000, "15 min"], [3600000, "1 h"]];
function rangeShown(to) {
  const oldest = state.history.times.length ? to - state.history.times[0] : 0;
  const range = state.range || (RANGES.find(([ms]) => oldest < ms) || RANGES[RANGES.length - 1])[0];
  press("range", RANGES.findIndex(([ms]) => ms === range));
  return range;
}

function paint() {
  state.drawn = false;
  const todo = new Set(dirty);
  dirty.clear();
  if (todo.has("fleet") && state.fleet) {
    drawHead(state.fleet);
    drawTiles(state.fleet);
    drawFleet(state.fleet, state.scale, state.find, state.history);
  }
  if (todo.has("charts") && state.history) {
    const to = state.fleet ? state.fleet.now_ms : Date.now();
    drawCharts(state.history, rangeShown(to), to);
  }
  if (todo.has("events")) drawEvents(state.events, state.least);
  drawLive();
}

function drawHead(fleet) {
  const bad = fleet.processes.filter(p => p.health === "bad");
  const trouble = bad.length ? `${bad.length} in trouble` : fleet.reason;
  setStatus(byId("state"), bad.length ? "bad" : fleet.ready ? "ok" : "wait", bad.length ? trouble : fleet.ready ? "ready" : fleet.reason || "not ready");
  setText(byId("server"), fleet.server ? "server " + fleet.server : "");
  byId("server").title = fleet.server || "";
  setText(byId("about"), `supervisor ${fleet.supervisor.version}, up ${age(fleet.now_ms - fleet.supervisor.started_ms)}`);
  const title = (bad.length ? "▲ " : "") + "Flotilla";
  if (document.title !== title) document.title = title;
  for (const id of ["unlock", "steer-all"]) byId(id).hidden = !fleet.commands;
  document.body.classList.toggle("readonly", !fleet.commands);
}

function drawLive() {
  const old = performance.now() - state.heardAt, live = byId("live"), banner = byId("banner");
  const stale = !state.heardAt || old > STALE_MS;
  setClass(live, "live " + (stale ? "off" : "on"));
  setText(live, stale ? "no connection" : "live");
  banner.hidden = !stale || !state.fleet;
  if (stale && state.fleet) setStatus(byId("state"), "wait", "not known");
  if (!banner.hidden) setText(banner, `The supervisor does not answer: what you see is ${age(old)} old. Trying again …`);
}

// ---- data ----

function addPoint(point) {
  const history = state.history, before = history.times.length;
  history.times.push(...point.times);
  for (const [role, figures] of Object.entries(point.roles)) {
    const all = history.roles[role] = history.roles[role] || {};
    for (const [figure, values] of Object.entries(figures)) {
      all[figure] = all[figure] || new Array(before).fill(null);
      all[figure].push(...values);
    }
  }
  for (const queue of point.queues) {
    let known = history.queues.find(q => q.queue === queue.queue && q.kind === queue.kind);
    if (!known) history.queues.push(known = {queue: queue.queue, kind: queue.kind, depth: new Array(before).fill(null)});
    known.depth.push(...queue.depth);
  }
  trim(history);
}

// All lists as long as times, and no longer than an hour.
function trim(history) {
  const over = Math.max(0, history.times.length - POINTS);
  const lists = [...Object.values(history.roles).flatMap(r => Object.values(r)), ...history.queues.map(q => q.depth)];
  for (const list of lists) {
    while (list.length < history.times.length) list.push(null);
    list.splice(0, over);
  }
  history.times.splice(0, over);
  history.queues = history.queues.filter(q => q.depth.some(v => v !== null));
}

// The stream may be ahead of the list that was asked for: they are merged by number.
function addEvents(list) {
  const known = new Set(state.events.map(e => e.seq)), before = state.lastSeq;
  const fresh = list.filter(e => !known.has(e.seq));
  state.events.push(...fresh);
  state.lastSeq = fresh.reduce((last, e) => Math.max(last, e.seq), before);
  if (fresh.some(e => e.seq < before)) state.events.sort((a, b) => a.seq - b.seq);
  state.events.splice(0, Math.max(0, state.events.length - EVENTS));
}

async function slowly() { // with each point: what is asked for, not told
  const [activities, scale] = await Promise.allSettled([get("/v1/activities"), state.scale === undefined ? Promise.reject() : get("/v1/scale")]);
  if (activities.status === "fulfilled") drawActivities(activities.value.activities);
  state.scale = scale.status === "fulfilled" ? scale.value : undefined;
}

// ---- the stream ----

function heard() {
  state.heardAt = performance.now();
}

function takeFleet(fleet) {
  if (fleet.supervisor.started_ms !== state.boot && state.boot) { // another supervisor: its numbers begin anew
    state.events = [];
    state.lastSeq = 0;
    catchUp();
  }
  state.boot = fleet.supervisor.started_ms;
  state.fleet = fleet;
  eventContext.url = fleet.workflow_url;
  eventContext.fleet = fleet;
  draw("fleet");
}

async function catchUp() {
  try {
    const [history, events] = await Promise.all([get("/v1/history?seconds=3600"), get("/v1/events?after=" + state.lastSeq)]);
    state.history = history;
    addEvents(events.events);
    draw("fleet", "charts", "events");
    await slowly();
  } catch { /* the stream says whether the supervisor is there, and its next start comes here again */ }
}

function connect() {
  if (state.source) state.source.close();
  const source = state.source = new EventSource("/v1/stream");
  let retry = 0;
  const listen = (name, fn) => source.addEventListener(name, message => {
    heard();
    fn(JSON.parse(message.data));
  });
  source.addEventListener("open", () => { heard(); state.scale = null; catchUp(); });
  listen("fleet", takeFleet);
  listen("point", point => {
    if (!state.history) return;
    addPoint(point);
    draw("charts");
    slowly();
  });
  listen("event", event => { addEvents([event]); draw("events"); });
  source.addEventListener("error", () => { // some errors end an EventSource for good
    drawLive();
    if (source.readyState === EventSource.CLOSED && !retry) retry = setTimeout(connect, RETRY_MS);
  });
}

// ---- controls ----

function press(id, chosen) {
  [...byId(id).children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === chosen)));
}
function segments(id, choices, chosen, fn) {
  byId(id).append(...choices.map(([value, text], i) => h("button", {type: "button", onclick: () => { press(id, i); fn(value); }}, text)));
  press(id, choices.findIndex(([value]) => value === chosen));
}

const THEMES = {"": "Auto", light: "Light", dark: "Dark"};
function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  setText(byId("theme"), THEMES[name]);
  byId("theme").setAttribute("aria-label", `Colours: ${THEMES[name]}`);
}
function stored(name) {
  try { return localStorage.getItem(name) || ""; } catch { return ""; }
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES), next = names[(names.indexOf(stored("flotilla.theme")) + 1) % names.length];
  try { localStorage.setItem("flotilla.theme", next); } catch { /* not kept, then */ }
  setTheme(next);
});
setTheme(THEMES[stored("flotilla.theme")] ? stored("flotilla.theme") : "");

segments("range", RANGES, state.range, value => { state.range = value; draw("charts"); });
segments("levels", [[0, "All"], [1, "Warnings"], [2, "Errors"]], state.least, value => { state.least = value; draw("events"); });
byId("find").addEventListener("input", e => { state.find = e.target.value.trim(); draw("fleet"); });
byId("unlock").addEventListener("click", () => token() ? forgetToken() : askToken());
onToken(() => setText(byId("unlock"), token() ? "Lock" : "Unlock"));
byId("steer-all").addEventListener("click", () => steerAll(state.fleet ? state.fleet.processes.filter(p => p.boot).length : 0));
document.addEventListener("visibilitychange", () => draw(...dirty));

const links = [...document.querySelectorAll("nav a")];
const seen = new IntersectionObserver(entries => {
  for (const entry of entries)
    if (entry.isIntersecting)
      for (const link of links) {
        if (link.hash === "#" + entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
}, {rootMargin: "-25% 0px -65% 0px"});
for (const section of document.querySelectorAll("main > section")) seen.observe(section);

setInterval(() => {
  drawLive();
  const silent = performance.now() - state.heardAt > QUIET_MS; // open, but nothing comes: start over
  if (silent && state.source && state.source.readyState === EventSource.OPEN) connect();
}, 1000);
connect();
