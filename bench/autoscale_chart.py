# SPDX-License-Identifier: Apache-2.0
"""Draws a run of the suite autoscale as SVG: load, backlog, slots and replicas over time. Standard library only."""

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 900, 70, 20, 130, 46, 60
STYLE = """<style>
  text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-size: 14px; font-weight: 600 }
  .axis { stroke: #999 } .grid { stroke: #ddd } .phase { stroke: #999; stroke-dasharray: 3 3 }
  .a { stroke: #0b6bcb; fill: none; stroke-width: 2 } .b { stroke: #c4530a; fill: none; stroke-width: 2 }
  .a-text { fill: #0b6bcb } .b-text { fill: #c4530a } .paper { fill: #fff }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .paper { fill: #16181d } .grid { stroke: #333 }
    .a { stroke: #6fb1ff } .a-text { fill: #6fb1ff } .b { stroke: #ffa365 } .b-text { fill: #ffa365 } }
</style>"""


def nice(value):
    """The next of 5, 10, 20, 50 ... that is not below value."""
    step = 1
    while True:
        for of_it in (5 * step, 10 * step, 20 * step):
            if value <= of_it:
                return of_it
        step *= 10


def path(points, step):
    """M x,y L ...; with step a line that holds until the next point."""
    parts, last = [], None
    for x, y in points:
        if last is None:
            parts.append(f"M{x:.1f},{y:.1f}")
        else:
            parts.append((f"H{x:.1f}" if step else "") + (f"V{y:.1f}" if step else f"L{x:.1f},{y:.1f}"))
        last = y
    return "".join(parts)


def panel(top, title, series, end, scale_x):
    """One chart: series is [(name, class, [(t, value)], step)]."""
    most = nice(max((value for *_, points, _ in series for _, value in points), default=1))
    out = [f'<text class="title" x="{LEFT}" y="{top - 10}">{title}</text>']
    for share in (0, 0.5, 1):
        y = top + PANEL * (1 - share)
        out += [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * share:g}</text>']
    at = WIDTH - RIGHT
    for name, kind, points, step in reversed(series):
        line = path([(scale_x(t), top + PANEL * (1 - value / most)) for t, value in points], step)
        out += [f'<path class="{kind}" d="{line}"/>',
                f'<text class="{kind}-text" x="{at}" y="{top - 10}" text-anchor="end">{name}</text>']
        at -= 8 * len(name) + 20
    return out


def draw(samples, phases):
    end = samples[-1]["t"]
    height = TOP + 3 * (PANEL + GAP)

    def scale_x(t):
        return LEFT + (WIDTH - LEFT - RIGHT) * t / end

    def points(key):
        return [(s["t"], s["io"][key]) for s in samples if s["io"][key] is not None]

    panels = [("Tasks", [("waiting in the queue", "b", points("backlog"), False)]),
              ("Slots of IO workers", [("all", "a", points("slots"), True), ("in use", "b", points("in_flight"), False)]),
              ("IO workers", [("wanted", "b", points("desired_replicas"), True),
                              ("that report", "a", points("ready"), True)])]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="Load, backlog, slots and replicas of a fleet that follows its load">', STYLE,
           f'<rect class="paper" width="{WIDTH}" height="{height}"/>']
    for t, rate in phases:
        x = scale_x(t)
        out += [f'<line class="phase" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{height - GAP}"/>',
                f'<text x="{x + 4:.1f}" y="20">{rate} workflows/s</text>']
    for i, (title, series) in enumerate(panels):
        out += panel(TOP + i * (PANEL + GAP), title, series, end, scale_x)
    step = 30 if end < 400 else 60
    for t in range(0, int(end) + 1, step):
        out.append(f'<text x="{scale_x(t):.1f}" y="{height - GAP + 18}" text-anchor="middle">{t} s</text>')
    return "\n".join([*out, "</svg>", ""])
