// SPDX-License-Identifier: Apache-2.0
// What the page shows: tiles, charts, tables.
"use strict";
import {h, byId, setText, setStatus, setClass, status, num, rate, seconds, bytes, percent, age, clock, share,
        Table, textColumn, numberColumn} from "/dashboard/dom.js";
import {Chart, Spark} from "/dashboard/charts.js";
import {steerProcess, steerWorker} from "/dashboard/actions.js";

export const ROLES = ["workflow", "io-activity", "cpu-activity", "engine"];
const roleTitle = {workflow: "Workflow", "io-activity": "IO activity", "cpu-activity": "CPU activity", engine: "Engine"};
const colorOf = role => Math.max(0, ROLES.indexOf(role));
const sum = (list, of) => list.reduce((all, item) => all + (of(item) || 0), 0);

// ---- pieces ----

function dot(color) {
  return h("i", {class: "dot s" + color, "aria-hidden": "true"});
}

// "7 / 64" with a bar.
const slotsColumn = {
  title: "Slots", hint: "in use, of all",
  make(td) {
    td.fillBar = h("i");
    td.bar = h("span", {class: "meter", "aria-hidden": "true"}, td.fillBar);
    td.label = h("span");
    td.append(td.bar, td.label);
  },
  fill(td, item) {
    const {used, total} = item.slots_sum;
    td.bar.hidden = !total;
    td.fillBar.style.width = (share(used, total) * 100).toFixed(1) + "%";
    setText(td.label, total ? `${num(used)} / ${num(total)}` : "–");
  },
};

function slotsSum(slots) {
  const own = (slots || []).filter(x => x.kind !== "local-activity");
  return {used: sum(own, x => x.used), total: sum(own, x => x.total)};
}

// ---- tiles ----

class Tile {
  constructor(title) {
    this.value = document.createTextNode("–");
    this.unit = h("small");
    this.note = h("p");
    this.spark = new Spark();
    this.el = h("div", {class: "tile", role: "group", "aria-label": title},
                h("h3", {}, title), h("b", {}, this.value, this.unit), h("div", {}, this.note, this.spark.el));
  }
  set(text, unit, note, bad) {
    if (this.value.data !== text) this.value.data = text;
    setText(this.unit, unit || "");
    setText(this.note, note || "");
    setClass(this.el, bad ? "tile bad" : "tile");
  }
}

const tileTitles = {processes: "Processes ready", tasks: "Tasks a second", failures: "Failures a second", latency: "Slowest p99",
                    slots: "Slots in use", waiting: "Tasks waiting", cpu: "CPU", memory: "Memory"};
const tiles = {};
for (const [key, title] of Object.entries(tileTitles)) {
  tiles[key] = new Tile(title);
  byId("tiles").append(tiles[key].el);
}

export function drawTiles(fleet) {
  const roles = fleet.roles || [], workers = roles.filter(r => r.role !== "engine");
  const all = fleet.processes, good = all.filter(p => p.health === "ok").length, bad = all.filter(p => p.health === "bad").length;
  tiles.processes.set(`${good}`, `of ${all.length}`, bad ? `${bad} in trouble` : all.length === good ? "all well" : `${all.length - good} on the way`, bad > 0);
  const tasks = sum(workers, r => r.tasks_s), failures = sum(workers, r => r.failures_s);
  tiles.tasks.set(rate(tasks), "", `${num(sum(workers, r => r.done))} done`);
  tiles.failures.set(rate(failures), "", failures > 0 ? percent(share(failures, tasks)) + " of the tasks" : `${num(sum(workers, r => r.failed))} in all`, failures > 0);
  const slow = workers.filter(r => r.p99_s !== null && r.p99_s !== undefined).sort((a, b) => b.p99_s - a.p99_s)[0];
  tiles.latency.set(slow ? seconds(slow.p99_s) : "–", "", slow ? `p50 ${seconds(slow.p50_s)}, ${roleTitle[slow.role]}` : "no task in the last minute");
  const used = sum(workers, r => r.slots_used), total = sum(workers, r => r.slots_total);
  tiles.slots.set(total ? percent(share(used, total)) : "–", "", `${num(used)} of ${num(total)}`);
  const queues = (fleet.queues || []).filter(q => q.depth !== null);
  const deepest = [...queues].sort((a, b) => b.depth - a.depth)[0];
  tiles.waiting.set(queues.length ? num(sum(queues, q => q.depth)) : "–", "", deepest && deepest.depth > 0 ? "most in " + deepest.queue : queues.length ? "nothing waits" : "not known");
  tiles.cpu.set(num(sum(roles, r => r.cpu)), "cores", "of all processes");
  tiles.memory.set(bytes(sum(roles, r => r.rss_bytes)), "", `supervisor ${bytes(fleet.supervisor.rss_bytes)}`);
}

// ---- charts ----

const charts = {
  tasks: new Chart({key: "tasks", title: "Tasks a second", format: rate}),
  failures: new Chart({key: "failures", title: "Failures a second", format: rate}),
  latency: new Chart({key: "latency", title: "Duration of tasks", format: seconds}),
  waiting: new Chart({key: "waiting", title: "Tasks waiting", format: num, whole: true}),
  slots: new Chart({key: "slots", title: "Slots in use", format: percent}),
  cpu: new Chart({key: "cpu", title: "CPU", format: rate}),
  memory: new Chart({key: "memory", title: "Memory", format: bytes, binary: true}),
  processes: new Chart({key: "processes", title: "Processes", format: num, whole: true}),
};
const chartOrder = ["tasks", "failures", "latency", "waiting", "slots", "cpu", "memory", "processes"];
byId("grid").append(...chartOrder.map(k => charts[k].el));

const QUEUE_LINES = 8;

// history: {times, roles: {role: {figure: []}}, queues: [{queue, kind, depth}]}; range in ms, to: now.
export function drawCharts(history, range, to) {
  let first = 0;
  while (first < history.times.length && history.times[first] < to - range) first++;
  const times = history.times.slice(first), from = to - range;
  const cut = values => values.slice(first);
  const lines = (figure, roles, more) => roles.filter(r => history.roles[r]).map(role =>
    ({name: roleTitle[role], color: colorOf(role), values: cut(history.roles[role][figure]), ...more}))
    .filter(l => l.values.some(v => v !== null));
  const working = ROLES.slice(0, 3);
  charts.tasks.set(times, lines("tasks_s", working), from, to);
  charts.failures.set(times, lines("failures_s", working), from, to);
  charts.latency.set(times, [...lines("p99_s", working), ...lines("p50_s", working, {dash: true}).map(l => ({...l, name: l.name + ", p50"}))], from, to, "p99, dashed p50");
  charts.slots.set(times, working.filter(r => history.roles[r]).map(role => {
    const used = cut(history.roles[role].slots_used), total = cut(history.roles[role].slots_total);
    return {name: roleTitle[role], color: colorOf(role), values: used.map((u, i) => u === null || !total[i] ? null : u / total[i])};
  }), from, to);
  charts.cpu.set(times, lines("cpu", ROLES), from, to, "cores");
  charts.memory.set(times, lines("rss_bytes", ROLES), from, to);
  charts.processes.set(times, lines("processes", ROLES), from, to);
  const queues = history.queues.map(q => ({...q, shown: cut(q.depth)})).filter(q => q.shown.some(v => v !== null))
    .sort((a, b) => Math.max(...b.shown) - Math.max(...a.shown)).slice(0, QUEUE_LINES)
    .sort((a, b) => (a.queue + a.kind).localeCompare(b.queue + b.kind));
  charts.waiting.set(times, queues.map((q, i) => ({name: `${q.queue} (${q.kind})`, color: i, values: q.shown})), from, to,
                     history.queues.length > QUEUE_LINES ? `the ${QUEUE_LINES} deepest` : "");

  const total = figure => times.map((_, i) => {
    const known = working.map(r => history.roles[r] && history.roles[r][figure][first + i]).filter(v => v !== null && v !== undefined);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  });
  const used = total("slots_used"), slots = total("slots_total");
  tiles.tasks.spark.set(total("tasks_s"));
  tiles.failures.spark.set(total("failures_s"));
  tiles.slots.spark.set(used.map((u, i) => u === null || !slots[i] ? null : u / slots[i]));
  tiles.cpu.spark.set(total("cpu"));
  tiles.memory.spark.set(total("rss_bytes"));
  tiles.processes.spark.set(total("processes"));
  tiles.latency.spark.set(times.map((_, i) => Math.max(...working.map(r => history.roles[r] && history.roles[r].p99_s[first + i] || 0)) || null));
  tiles.waiting.spark.set(times.map((_, i) => history.queues.length ? sum(history.queues, q => q.depth[first + i]) : null));
}

// ---- tables of the fleet ----

const rolesTable = new Table(byId("t-roles"), [
  {title: "Role", make(td) { td.dot = dot(0); td.name = h("span"); td.append(td.dot, td.name); },
   fill(td, r) { setClass(td.dot, "dot s" + colorOf(r.role)); setText(td.name, roleTitle[r.role] || r.role); }},
  {title: "Health", make(td) { td.status = status("ok", ""); td.append(td.status); },
   fill(td, r) { setStatus(td.status, r.health, r.health_text); }},
  slotsColumn,
  numberColumn("Tasks/s", r => r.tasks_s, rate),
  numberColumn("Failures/s", r => r.failures_s, rate, {hot: r => r.failures_s > 0}),
  numberColumn("p50", r => r.p50_s, seconds, {hint: "of tasks in the last minute"}),
  numberColumn("p99", r => r.p99_s, seconds, {hint: "of tasks in the last minute"}),
  numberColumn("CPU, cores", r => r.cpu, rate),
  numberColumn("Memory", r => r.rss_bytes, bytes),
  numberColumn("Restarts", r => r.restarts, num),
], {label: "Roles", empty: "No process has reported yet."});

const healthWord = {ok: "ok", wait: "waiting", bad: "trouble"};

const processTable = new Table(byId("t-processes"), [
  {title: "Process", cls: "name",
   make(td) { td.dot = dot(0); td.name = document.createTextNode(""); td.sub = h("div", {class: "sub"}); td.append(h("div", {}, td.dot, td.name), td.sub); },
   fill(td, p) {
     setClass(td.dot, "dot s" + colorOf(p.role));
     const name = p.name || p.identity || String(p.pid);
     if (td.name.data !== name) td.name.data = name;
     setText(td.sub, [roleTitle[p.role] || p.role || p.program, p.identity && p.identity !== name ? p.identity : ""].filter(Boolean).join(" · "));
     td.title = name + (p.identity ? "\n" + p.identity : "");
   }},
  {title: "Health", make(td) { td.status = status("ok", ""); td.why = h("div", {class: "why"}); td.append(td.status, td.why); },
   fill(td, p) {
     const kind = healthWord[p.health] ? p.health : "wait";
     setStatus(td.status, kind, kind === "ok" ? p.worker_state || p.state : p.worker_state && p.state === "up" ? p.worker_state : p.state || healthWord[kind]);
     setText(td.why, p.why || "");
   }},
  textColumn("Task queue", p => p.task_queue || p.address || ""),
  slotsColumn,
  numberColumn("Tasks/s", p => p.tasks_s, rate),
  numberColumn("Failures/s", p => p.failures_s, rate, {hot: p => p.failures_s > 0}),
  numberColumn("p50", p => p.p50_s, seconds),
  numberColumn("p99", p => p.p99_s, seconds),
  numberColumn("CPU", p => p.cpu, percent, {hint: "of one core"}),
  numberColumn("Memory", p => p.group_rss_bytes || p.rss_bytes, bytes),
  numberColumn("Restarts", p => p.restarts, num, {hot: p => p.crash_loop}),
  numberColumn("Up", p => p.up_ms, age),
  {title: "", make(td, row) {
     td.button = h("button", {type: "button", class: "small steer", onclick: () => steerProcess(row.current)}, "Steer");
     td.append(td.button);
   },
   fill(td, p) {
     td.button.hidden = !p.boot;
     td.button.setAttribute("aria-label", "Steer " + (p.name || p.identity || ""));
   }},
], {label: "Processes", empty: "No process is known. Workers report here when their supervisor.endpoint names this supervisor."});

const replicaTable = new Table(byId("t-replicas"), [
  textColumn("Worker", w => w.name, {cls: "name"}),
  {title: "Replicas", make(td) { td.status = status("ok", ""); td.append(td.status); },
   fill(td, w) {
     const well = w.ready >= w.replicas;
     setStatus(td.status, w.roll_error ? "bad" : well && !w.rolling ? "ok" : "wait",
               `${num(w.ready)} ready of ${num(w.replicas)}` + (w.leaving ? `, ${w.leaving} leaving` : "") + (w.rolling ? `, replacing ${w.roll_done} of ${w.roll_total}` : ""));
   }},
  numberColumn("Wanted", w => w.desired_replicas, num, {hint: "what the scaling policy wants; done by the supervisor only where autoscale is on"}),
  textColumn("Bounds", w => w.max === undefined ? "–" : `${w.min} to ${w.max}` + (w.autoscaled ? "" : ", not autoscaled")),
  numberColumn("Waiting", w => w.backlog, num),
  numberColumn("In flight", w => w.in_flight, num),
  textColumn("Why", w => w.roll_error || w.reason || "", {cls: "wrap"}),
  {title: "", make(td, row) { td.button = h("button", {type: "button", class: "small steer", onclick: () => steerWorker(row.current)}, "Scale"); td.append(td.button); },
   fill(td, w) { td.button.hidden = w.replicas === undefined || w.remote === true; td.button.setAttribute("aria-label", "Scale " + w.name); }},
], {label: "Replicas and scaling", empty: "This supervisor starts no processes, and nothing is asked about scaling."});

const queueTable = new Table(byId("t-queues"), [
  textColumn("Task queue", q => q.queue, {cls: "name"}),
  textColumn("Tasks", q => q.kind),
  numberColumn("Waiting", q => q.depth, num),
  {title: "Last hour", make(td) { td.spark = new Spark(); td.append(td.spark.el); }, fill(td, q) { if (q.history) td.spark.set(q.history); }},
  numberColumn("Oldest waits", q => q.depth ? q.age_s : null, seconds),
  numberColumn("Added/s", q => q.added_s, rate),
  numberColumn("Started/s", q => q.started_s, rate),
  numberColumn("Pollers", q => q.pollers, num, {hot: q => q.pollers === 0 && q.depth > 0}),
], {label: "Task queues", empty: "The server has not been asked about its queues."});

const activityTable = new Table(byId("t-activities"), [
  {title: "Type", cls: "name", make(td) { td.name = h("span"); td.sub = h("span", {class: "sub"}); td.append(td.name, td.sub); },
   fill(td, a) { setText(td.name, a.type); setText(td.sub, a.local ? "  local" : ""); }},
  numberColumn("Attempts", a => a.attempts, num),
  numberColumn("a second", a => a.attempts_s, rate),
  numberColumn("Failed", a => a.failed, num, {hot: a => a.failures_s > 0}),
  numberColumn("share", a => share(a.failed, a.attempts), percent),
  numberColumn("Crashed", a => a.crashed, num, {hot: a => a.crashed > 0}),
  numberColumn("p50", a => a.p50_s, seconds),
  numberColumn("p99", a => a.p99_s, seconds),
  numberColumn("CPU", a => a.cpu_s, seconds, {hint: "of all attempts"}),
  numberColumn("CPU each", a => a.cpu_s === null ? null : share(a.cpu_s, a.attempts), seconds, {hint: "CPU time of an attempt"}),
  numberColumn("Peak memory", a => a.max_rss_bytes, bytes, {hint: "of an executor process during an attempt"}),
  numberColumn("Read", a => a.local ? null : a.read_bytes, bytes),
  numberColumn("Written", a => a.local ? null : a.written_bytes, bytes),
], {label: "Activities", empty: "No activity has run yet."});

const byName = new Intl.Collator("en", {numeric: true}).compare;
const ROWS = 100; // of processes: laying out hundreds every second costs a core
let allProcesses = false;
byId("more").addEventListener("click", () => { allProcesses = !allProcesses; });

export function drawFleet(fleet, scale, find, history) {
  const processes = fleet.processes;
  for (const p of processes) {
    p.slots_sum = slotsSum(p.slots);
    if (p.up_ms === undefined && p.started_ms && p.health !== "bad") p.up_ms = fleet.now_ms - p.started_ms;
  }
  const restarts = {}, ill = {};
  for (const p of processes) {
    restarts[p.role] = (restarts[p.role] || 0) + (p.restarts || 0);
    const counts = ill[p.role] = ill[p.role] || {ok: 0, wait: 0, bad: 0, all: 0};
    counts[p.health]++;
    counts.all++;
  }
  for (const r of fleet.roles) {
    const counts = ill[r.role] || {ok: r.processes, wait: 0, bad: 0, all: r.processes};
    r.slots_sum = {used: r.slots_used || 0, total: r.slots_total || 0};
    r.restarts = restarts[r.role] || 0;
    r.health = counts.bad ? "bad" : counts.wait ? "wait" : "ok";
    r.health_text = `${counts.ok} of ${counts.all}` + (counts.bad ? `, ${counts.bad} in trouble` : "");
  }
  rolesTable.update(fleet.roles, r => r.role);

  const words = find.toLowerCase();
  const shown = processes.filter(p => !words || [p.name, p.identity, p.role, p.task_queue, p.state, p.why, String(p.pid)].some(t => (t || "").toLowerCase().includes(words)));
  const rank = {bad: 0, wait: 1}, place = p => rank[p.health] ?? 2; // what needs a look comes first
  shown.sort((a, b) => place(a) - place(b) || colorOf(a.role) - colorOf(b.role) || byName(a.name || "", b.name || "")
    || byName(a.identity || "", b.identity || "") || (a.boot || "").localeCompare(b.boot || ""));
  const listed = allProcesses ? shown : shown.slice(0, ROWS);
  byId("more").hidden = shown.length <= ROWS;
  setText(byId("more"), allProcesses ? `Show ${ROWS}` : `Show all ${shown.length}`);
  processTable.update(listed, p => p.boot || p.name + "/" + p.pid);
  setText(byId("n-processes"), listed.length === processes.length ? String(processes.length) : `${listed.length} of ${processes.length}`);

  const groups = scale ? scale.workers || {} : {};
  const local = (fleet.workers || []).map(w => ({...(groups[w.name] || {}), ...w}));
  const roles = local.length || !scale ? [] : Object.entries(scale.roles || {}).map(([role, g]) => ({name: roleTitle[role] || role, ...g, leaving: 0, remote: true}));
  replicaTable.update([...local, ...roles], w => w.name);

  const past = new Map((history ? history.queues : []).map(q => [q.kind + "/" + q.queue, q.depth]));
  queueTable.update(fleet.queues.map(q => ({...q, history: past.get(q.kind + "/" + q.queue)})), q => q.namespace + "/" + q.kind + "/" + q.queue);
}

export function drawActivities(list) {
  activityTable.update([...list].sort((a, b) => b.attempts - a.attempts), a => a.local + a.type);
}

// ---- events ----

const levelKind = {error: "bad", warn: "wait", info: "info"};
const fieldText = e => Object.entries(e.fields || {}).filter(([k, v]) => v !== "" && v !== null && !["failure"].includes(k))
  .map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v) : v}`).join("  ");

// The page of a workflow elsewhere, when the template makes an http address of it.
export function workflowLink(template, fields, fleet) {
  if (!template || !fields.workflow_id) return null;
  const space = (fleet.processes.find(p => p.namespace) || {}).namespace || "default";
  const filled = template.replace(/\{(namespace|workflow_id|run_id)\}/g, (_, name) =>
    encodeURIComponent(name === "namespace" ? fields.namespace || space : fields[name] || ""));
  try {
    const url = new URL(filled);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const timeColumn = {title: "Time", make(td) { td.time = h("time"); td.append(td.time); },
  fill(td, e) { setText(td.time, clock(e.ts_ms)); td.time.title = new Date(e.ts_ms).toString(); }};
const sourceColumn = textColumn("Where", e => e.name || e.identity || e.role || "supervisor", {cls: "name"});
const levelColumn = {title: "What", make(td) { td.status = status("info", ""); td.append(td.status); },
  fill(td, e) { setStatus(td.status, levelKind[e.level] || "info", e.kind); }};

function workflowColumn(context) {
  return {title: "Workflow", cls: "name", make(td) { td.flow = h("div", {class: "id"}); td.run = h("div", {class: "sub id"}); td.append(td.flow, td.run); },
    fill(td, e) {
      const fields = e.fields || {}, url = workflowLink(context.url, fields, context.fleet);
      if (td.shown === fields.workflow_id + url) return;
      td.shown = fields.workflow_id + url;
      td.flow.replaceChildren(url ? h("a", {href: url, rel: "noreferrer noopener", target: "_blank"}, fields.workflow_id) : fields.workflow_id || "–");
      setText(td.run, fields.run_id || "");
    }};
}

export const eventContext = {url: "", fleet: {processes: []}};

const failureTable = new Table(byId("t-failures"), [
  timeColumn, levelColumn,
  textColumn("Type", e => (e.fields || {}).activity_type || (e.fields || {}).workflow_type || ""),
  {title: "Message", cls: "wrap", make(td) { td.text = h("div"); td.sub = h("div", {class: "sub"}); td.append(td.text, td.sub); },
   fill(td, e) {
     const f = e.fields || {};
     setText(td.text, f.failure || e.message);
     setText(td.sub, [f.failure_type, f.attempt ? "attempt " + f.attempt : ""].filter(Boolean).join(" · "));
   }},
  workflowColumn(eventContext), sourceColumn,
], {label: "Recent failures", empty: "Nothing has failed."});

const tunerTable = new Table(byId("t-tuner"), [
  timeColumn, sourceColumn,
  textColumn("Move", e => e.message, {cls: "wrap"}),
  textColumn("Because", fieldText, {cls: "wrap"}),
], {label: "The tuner's moves", empty: "The tuner has moved nothing. It works where slots follow CPU and memory (tuner.kind: resource)."});

const eventTable = new Table(byId("t-events"), [
  timeColumn, levelColumn, sourceColumn,
  {title: "Message", cls: "wrap", make(td) { td.text = h("div"); td.sub = h("div", {class: "sub"}); td.append(td.text, td.sub); },
   fill(td, e) { setText(td.text, (e.fields || {}).failure ? `${e.message}: ${e.fields.failure}` : e.message); setText(td.sub, fieldText(e)); }},
], {label: "Events", empty: "Nothing to tell."});

const isFailure = e => Boolean(e.level !== "info" && e.fields && (e.fields.workflow_id || e.fields.activity_type) || e.kind === "executor.died");
const SHOWN = 200;

export function drawEvents(events, least) {
  const newest = [...events].reverse();
  const failures = newest.filter(isFailure);
  failureTable.update(failures.slice(0, SHOWN), e => e.seq);
  setText(byId("n-failures"), failures.length ? String(failures.length) : "");
  tunerTable.update(newest.filter(e => e.kind.startsWith("tuner.")).slice(0, SHOWN), e => e.seq);
  const ranks = {info: 0, warn: 1, error: 2};
  const shown = newest.filter(e => (ranks[e.level] || 0) >= least).slice(0, SHOWN);
  eventTable.update(shown, e => e.seq);
  setText(byId("n-events"), shown.length < events.length ? `${shown.length} of ${events.length}` : String(events.length));
}
