// SPDX-License-Identifier: Apache-2.0
// Elements, formats and tables. What comes from the network becomes text, never markup.
"use strict";

export const byId = id => document.getElementById(id);

// An element: h("td", {class: "n", onclick: fn}, "text", child, ...). Attributes that are undefined, null or false
// are left out; strings become text nodes.
export function h(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children.filter(c => c !== undefined && c !== null && c !== false));
  return el;
}

const SVG = "http://www.w3.org/2000/svg";
export function s(tag, attributes, ...children) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}
export function setClass(el, name) {
  if (el.className !== name) el.className = name;
}

// ---- formats: undefined and null are "–" ----

const known = n => n !== undefined && n !== null && Number.isFinite(n);
const plain = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
export function num(n) {
  if (!known(n)) return "–";
  const size = Math.abs(n);
  if (size >= 1e6) return (n / 1e6).toFixed(size < 1e7 ? 2 : 1) + " M";
  if (size >= 100 || Number.isInteger(n)) return plain.format(n);
  return n.toFixed(size >= 10 ? 1 : 2);
}
export function rate(n) {
  if (!known(n)) return "–";
  return n === 0 ? "0" : n < .01 ? "<0.01" : n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : plain.format(n);
}
export function seconds(t) {
  if (!known(t)) return "–";
  if (t === 0) return "0 s";
  if (t < 1e-3) return (t * 1e6).toFixed(0) + " µs";
  if (t < 1) return (t * 1e3).toFixed(t < .01 ? 1 : 0) + " ms";
  return t < 100 ? t.toFixed(t < 10 ? 2 : 1) + " s" : age(t * 1e3);
}
export function bytes(n) {
  if (!known(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + " " + units[i];
}
export const percent = n => known(n) ? (n * 100).toFixed(n < .1 ? 1 : 0) + " %" : "–";
export function age(ms) {
  if (!known(ms)) return "–";
  const total = Math.max(0, Math.floor(ms / 1000));
  const d = Math.floor(total / 86400), hours = Math.floor(total / 3600) % 24, m = Math.floor(total / 60) % 60;
  return d ? `${d} d ${hours} h` : hours ? `${hours} h ${m} min` : m ? `${m} min ${total % 60} s` : `${total} s`;
}
export const clock = ms => new Date(ms).toLocaleTimeString("en-GB");
export const share = (part, all) => all > 0 ? part / all : 0;

export function status(kind, text) {
  return h("span", {class: "status " + kind}, text);
}
export function setStatus(el, kind, text) {
  setClass(el, "status " + kind);
  setText(el, text);
}

// ---- tables ----

// A table whose rows are kept from one rendering to the next, by key, so that focus, selection and hovering survive.
// columns: {title, n (a number), cls, make(td, row) once, fill(td, row) each time}; row.current is the newest data.
export class Table {
  constructor(table, columns, {empty, label}) {
    this.columns = columns;
    this.rows = new Map();
    this.body = h("tbody");
    this.blank = h("tr", {}, h("td", {class: "empty", colspan: columns.length}, empty));
    table.append(h("caption", {hidden: true}, label),
                 h("thead", {}, h("tr", {}, ...columns.map(c => h("th", {scope: "col", class: c.n ? "n" : undefined, title: c.hint}, c.title)))),
                 this.body);
    this.body.append(this.blank);
  }

  update(list, keyOf) {
    const seen = new Set();
    let at = this.body.firstChild;
    for (const item of list) {
      const key = keyOf(item);
      if (seen.has(key)) continue;
      seen.add(key);
      let row = this.rows.get(key);
      if (!row) this.rows.set(key, row = this.make());
      row.current = item;
      if (at === row.tr) at = at.nextSibling;
      else this.body.insertBefore(row.tr, at);
      this.columns.forEach((column, i) => column.fill(row.cells[i], item, row));
    }
    for (const [key, row] of this.rows) {
      if (seen.has(key)) continue;
      row.tr.remove();
      this.rows.delete(key);
    }
    if (list.length) this.blank.remove();
    else this.body.append(this.blank);
  }

  make() {
    const row = {tr: h("tr"), cells: [], current: null};
    for (const column of this.columns) {
      const cell = h("td", {class: [column.n ? "n" : "", column.cls || ""].join(" ").trim() || undefined});
      if (column.make) column.make(cell, row);
      row.cells.push(cell);
      row.tr.append(cell);
    }
    return row;
  }
}

// Columns of the usual kinds.
export const textColumn = (title, of, more) => ({title, fill: (td, item) => setText(td, of(item)), ...more});
export const numberColumn = (title, of, format, more) => ({
  title, n: true, ...more,
  fill(td, item) {
    const value = of(item);
    setText(td, format(value));
    td.classList.toggle("zero", !value);
    td.classList.toggle("hot", Boolean(more && more.hot && more.hot(item)));
  },
});
