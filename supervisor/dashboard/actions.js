// SPDX-License-Identifier: Apache-2.0
// Steering: the token (asked once, kept for this tab only), the dialog that says what will happen and shows the result.
"use strict";
import {h, byId, setText, status} from "/dashboard/dom.js";

const KEY = "flotilla.token";
const dialog = byId("dialog");

export const token = () => sessionStorage.getItem(KEY);
export function forgetToken() {
  sessionStorage.removeItem(KEY);
  tell();
}
let listeners = [];
export const onToken = fn => { listeners.push(fn); fn(); };
function tell() {
  for (const fn of listeners) fn();
}

function show(...content) {
  dialog.replaceChildren(...content);
  if (!dialog.open) dialog.showModal();
}
dialog.addEventListener("close", () => { if (!dialog.open) dialog.replaceChildren(); }); // it may be open again

const closeButton = text => h("button", {type: "button", onclick: () => dialog.close()}, text || "Cancel");

// Ask for the token; then go on with fn.
export function askToken(then, problem) {
  const input = h("input", {type: "password", id: "token", autocomplete: "off", "aria-label": "Token", required: true});
  const form = h("form", {method: "dialog"},
    h("h2", {id: "dialog-title"}, "Unlock the controls"),
    h("p", {}, problem ? problem + " " : "", "Commands need the supervisor's token. A local fleet keeps it in the file ", h("code", {}, "control.token"),
      " of its state folder. It is kept for this tab only."),
    input,
    h("div", {class: "row end"}, closeButton(), h("button", {class: "main", type: "submit"}, "Unlock")));
  form.addEventListener("submit", event => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value.trim());
    tell();
    dialog.close();
    if (then) then();
  });
  show(form);
  input.focus();
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", body: JSON.stringify(body), credentials: "omit", redirect: "error",
    headers: {"Content-Type": "application/json", Authorization: "Bearer " + token()}});
  let json = {};
  try { json = await answer.json(); } catch { /* the status says it */ }
  return {status: answer.status, json};
}

// The results of a command, one line a process.
function resultLines(json) {
  if (!Array.isArray(json.results)) return [h("li", {}, status("ok", "done"), " ", json.message || "")];
  return json.results.map(r => h("li", {}, status(r.ok ? "ok" : "bad", r.name || r.identity || r.boot || "?"), " ", r.message || (r.ok ? "done" : "refused")));
}

async function send(title, path, body, retry) {
  show(h("h2", {id: "dialog-title"}, title), h("p", {role: "status"}, "Sent, waiting for the answers …"));
  let outcome;
  try {
    const {status: code, json} = await post(path, body);
    if (code === 401 || code === 403) {
      forgetToken();
      askToken(retry, (json.error || "The token was refused") + ".");
      return;
    }
    outcome = code < 300
      ? [h("ul", {class: "results", role: "status"}, ...resultLines(json))]
      : [h("p", {role: "alert"}, status("bad", "refused"), " ", json.error || "status " + code)];
  } catch (error) {
    outcome = [h("p", {role: "alert"}, status("bad", "not sent"), " ", String(error.message || error))];
  }
  show(h("h2", {id: "dialog-title"}, title), ...outcome, h("div", {class: "row end"}, closeButton("Close")));
  dialog.querySelector("button").focus();
}

// One dialog: choose, read what it does, confirm, see the result. choices: {key, title, what, danger, field, make()} where
// make() returns {path, body}.
function choose(title, about, choices) {
  const open = () => choose(title, about, choices);
  if (!token()) { askToken(open); return; }
  const group = h("fieldset", {}, h("legend", {hidden: true}, title));
  const go = h("button", {type: "submit", class: "main", disabled: true}, "Confirm");
  let chosen = null;
  for (const choice of choices) {
    const id = "do-" + choice.key;
    const radio = h("input", {type: "radio", name: "do", id, value: choice.key});
    const pick = () => {
      chosen = choice;
      radio.checked = true;
      go.disabled = false;
      go.className = choice.danger ? "danger" : "main";
      setText(go, choice.title);
    };
    radio.addEventListener("change", pick);
    if (choice.field) choice.field.addEventListener("input", pick);
    group.append(h("div", {class: "choice"}, radio, h("label", {for: id}, choice.title), choice.field || h("span"), h("small", {}, choice.what)));
  }
  const form = h("form", {method: "dialog"}, h("h2", {id: "dialog-title"}, title), h("p", {}, about), group,
                 h("div", {class: "row end"}, closeButton(), go));
  form.addEventListener("submit", event => {
    event.preventDefault();
    if (!chosen) return;
    const {path, body} = chosen.make();
    send(`${chosen.title}: ${title}`, path, body, open);
  });
  show(form);
}

function levelField() {
  return h("select", {"aria-label": "Level"}, ...["error", "warn", "info", "debug"].map(l => h("option", {value: l, selected: l === "info"}, l)));
}

function commandChoices(target) {
  const level = levelField();
  const command = (name, args) => ({path: "/v1/commands", body: {target, command: name, ...(args ? {args} : {})}});
  return [
    {key: "quiet", title: "Quiet", what: "takes no new tasks until it is resumed; what runs goes on", make: () => command("quiet")},
    {key: "resume", title: "Resume", what: "takes tasks again", make: () => command("resume")},
    {key: "loglevel", title: "Log level", what: "until the process ends", field: level, make: () => command("loglevel", {level: level.value})},
    {key: "reload", title: "Reload", what: "reads its settings again", make: () => command("reload")},
    {key: "drain", title: "Drain", danger: true, what: "takes no new tasks, finishes what runs, then ends", make: () => command("drain")},
  ];
}

export function steerProcess(p) {
  const choices = commandChoices(p.boot);
  if (p.worker)
    choices.push({key: "restart", title: "Restart", what: "a new process first, then this one ends",
                  make: () => ({path: "/v1/processes", body: {action: "restart", name: p.name}})});
  choose(p.name || p.identity, p.identity || "", choices);
}
export function steerAll(count) {
  choose("all workers", `${count} processes`, commandChoices("all"));
}
export function steerWorker(w) {
  const count = h("input", {type: "number", min: 0, max: 256, step: 1, value: w.replicas, "aria-label": "Replicas"});
  const act = (action, more) => ({path: "/v1/processes", body: {action, name: w.name, ...more}});
  choose(w.name, `${w.replicas} replicas, ${w.ready} ready`, [
    {key: "scale", title: "Scale", what: "that many replicas; those that go finish their tasks", field: count,
     make: () => act("scale", {replicas: Number(count.value)})},
    {key: "restart", title: "Restart", what: "one replica after the other, the new one first", make: () => act("restart")},
    {key: "start", title: "Start", what: "those that were stopped by hand", make: () => act("start")},
    {key: "stop", title: "Stop", danger: true, what: "all its replicas, until they are started again", make: () => act("stop")},
  ]);
}
