// SPDX-License-Identifier: Apache-2.0
// Line charts as inline SVG: lines of an hour, a crosshair with the values under the pointer.
"use strict";
import {h, s, setText, clock} from "/dashboard/dom.js";

const HEIGHT = 150, LEFT = 44, RIGHT = 6, TOP = 8, BOTTOM = 18;

// A round number at or above the largest value, and how many steps the axis has.
function scaleTop(value, binary) {
  if (!(value > 0)) return {top: 1, steps: 2};
  const unit = binary ? 1024 ** Math.floor(Math.log2(value) / 10) : 1;
  if (unit > 1) {
    const {top, steps} = scaleTop(value / unit);
    return {top: top * unit, steps};
  }
  const power = 10 ** Math.floor(Math.log10(value));
  for (const [factor, steps] of [[1, 2], [2, 2], [3, 3], [4, 2], [5, 5], [6, 3], [8, 2], [10, 2]])
    if (value <= factor * power * 1.0001) return {top: factor * power, steps};
  return {top: 10 * power, steps: 2};
}

// The d of a path through the points; gaps where a value is not known.
function linePath(times, values, x, y) {
  let d = "", pen = false;
  for (let i = 0; i < times.length; i++) {
    const value = values[i];
    if (value === null || value === undefined) { pen = false; continue; }
    d += (pen ? "L" : "M") + x(times[i]).toFixed(1) + " " + y(value).toFixed(1);
    if (!pen && (i + 1 === times.length || values[i + 1] === null)) d += "h.1"; // a lone point shows too
    pen = true;
  }
  return d;
}

export class Chart {
  // options: {title, format(value), key, binary: the unit is bytes, whole: no fractions}
  constructor(options) {
    this.options = options;
    this.lines = [];
    this.times = [];
    this.note = h("span");
    this.legend = h("div", {class: "legend"});
    this.tip = h("div", {class: "tip", hidden: true});
    this.svg = s("svg", {height: HEIGHT, role: "img"});
    this.el = h("figure", {class: "chart", id: "chart-" + options.key},
                h("figcaption", {}, h("h3", {}, options.title), this.note), this.svg, this.legend, this.tip);
    this.frame = s("g");
    this.marks = s("g");
    this.paths = [];
    this.shown = "";
    this.svg.append(this.frame);
    this.svg.addEventListener("pointermove", e => this.point(e));
    this.svg.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.el);
  }

  // lines: [{name, color: 0..7, values, dash}], as long as times (ms, rising); from: the left end.
  set(times, lines, from, to, note) {
    Object.assign(this, {times, lines, from, to});
    setText(this.note, note || "");
    const shown = lines.map(l => l.name + l.color + Boolean(l.dash)).join("\n");
    if (shown !== this.shown) {
      this.shown = shown;
      for (const path of this.paths) path.remove();
      this.paths = lines.map(l => s("path", {class: "s" + l.color % 8 + (l.dash ? " dash" : "")}));
      this.svg.append(...this.paths, this.marks);
      this.legend.replaceChildren(...lines.filter(l => !l.dash).map(l => h("span", {title: l.name}, h("i", {class: "s" + l.color % 8}), l.name)));
    }
    this.draw();
  }

  x(time) { return LEFT + (time - this.from) / (this.to - this.from) * (this.width - LEFT - RIGHT); }
  y(value) { return TOP + (1 - value / this.top) * (HEIGHT - TOP - BOTTOM); }

  draw() {
    this.width = this.svg.clientWidth || this.el.clientWidth - 32;
    if (!this.times.length || this.width < 80) { this.drawFrame(1, 2); return; }
    let most = 0;
    for (const line of this.lines)
      for (const value of line.values) if (value > most) most = value;
    if (this.options.whole) most = Math.max(2, Math.ceil(most));
    const {top, steps} = scaleTop(most, this.options.binary);
    this.top = top;
    this.drawFrame(top, steps);
    this.lines.forEach((line, i) =>
      this.paths[i].setAttribute("d", linePath(this.times, line.values, t => this.x(t), v => this.y(v))));
    const last = this.lines.map(l => l.name + " " + this.options.format(l.values[l.values.length - 1])).join(", ");
    this.svg.setAttribute("aria-label", `${this.options.title}, now: ${last || "nothing yet"}`);
  }

  drawFrame(top, steps) {
    const parts = [], any = this.lines.length > 0 && this.times.length > 0;
    this.top = top;
    for (let i = 0; i <= steps; i++) {
      const value = top * i / steps, y = this.y(value);
      parts.push(s("line", {class: "gridline", x1: LEFT, x2: Math.max(LEFT, this.width - RIGHT), y1: y, y2: y}));
      if (any) parts.push(s("text", {x: LEFT - 8, y: y + 4, "text-anchor": "end"}, this.options.format(value)));
    }
    if (any) {
      const minutes = (this.to - this.from) / 60000;
      const step = minutes > 40 ? 15 : minutes > 12 ? 5 : 1;
      for (let t = Math.ceil(this.from / step / 60000) * step * 60000; t <= this.to; t += step * 60000) {
        const x = this.x(t);
        if (x < LEFT + 12 || x > this.width - 16) continue;
        parts.push(s("text", {x, y: HEIGHT - 2, "text-anchor": "middle"}, clock(t).slice(0, 5)));
      }
    } else {
      parts.push(s("text", {class: "nothing", x: this.width / 2, y: HEIGHT / 2, "text-anchor": "middle"}, "nothing yet"));
    }
    this.frame.replaceChildren(...parts);
  }

  point(event) {
    if (!this.times.length) return;
    const box = this.svg.getBoundingClientRect();
    const time = this.from + (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * (this.to - this.from);
    let at = 0;
    for (let i = 1; i < this.times.length; i++)
      if (Math.abs(this.times[i] - time) < Math.abs(this.times[at] - time)) at = i;
    const x = this.x(this.times[at]);
    const marks = [s("line", {class: "cross", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM})];
    const rows = [h("div", {}, clock(this.times[at]))];
    for (const line of this.lines) {
      const value = line.values[at];
      if (value === null || value === undefined) continue;
      marks.push(s("circle", {class: "s" + line.color % 8, cx: x, cy: this.y(value), r: 3.5}));
      rows.push(h("div", {}, h("span", {}, h("i", {class: "s" + line.color % 8}), line.name), this.options.format(value)));
    }
    this.marks.replaceChildren(...marks);
    this.tip.replaceChildren(...rows);
    this.tip.hidden = false;
    const width = this.tip.offsetWidth, room = this.el.clientWidth;
    this.tip.style.left = Math.max(4, x + 28 + width < room ? x + 28 : x - width) + "px";
    this.tip.style.top = "44px";
  }

  leave() {
    this.marks.replaceChildren();
    this.tip.hidden = true;
  }
}

// A small line without axes; set(values) draws it.
export class Spark {
  constructor() {
    this.area = s("path", {class: "area"});
    this.line = s("path");
    this.el = s("svg", {class: "spark", viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true"}, this.area, this.line);
  }

  // At most 120 points: what is longer is thinned to the largest of each group, so that peaks stay.
  set(values) {
    const group = Math.ceil(values.length / 120);
    const points = [];
    for (let i = 0; i < values.length; i += group) {
      const part = values.slice(i, i + group).filter(v => v !== null && v !== undefined);
      points.push(part.length ? Math.max(...part) : null);
    }
    const most = Math.max(...points.map(v => v || 0), 1e-9);
    const x = i => points.length > 1 ? i * 100 / (points.length - 1) : 50;
    const d = linePath(points, points, () => 0, () => 0) && points.length > 1
      ? linePath(points.map((_, i) => i), points, x, v => 24 - v / most * 22) : "";
    this.line.setAttribute("d", d);
    const known = points.map((v, i) => v === null ? -1 : i).filter(i => i >= 0);
    this.area.setAttribute("d", d && known.length > 1 ? d.replace(/(?!^)M/g, "L") + `L${x(known[known.length - 1])} 26L${x(known[0])} 26Z` : "");
  }
}
