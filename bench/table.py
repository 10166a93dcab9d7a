# SPDX-License-Identifier: Apache-2.0
"""The benchmark's report as Markdown: where it ran, all goals, then what each suite has to show."""


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def lines_of(header, rows):
    """A table; the rows are lists of text as long as the header."""
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header),
            *["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows], ""]


def where(report):
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version)
    loads = " and ".join(number(average[0]) for average in (machine["load_before"], report["load_after"]))
    return [f"{report['date']}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, "
            f"Linux {machine['kernel']}, {machine['flushes_per_second']} fdatasync/s; load average before and after: "
            f"{loads}. {versions}.", "",
            f"Medians of {report['runs']} runs of about {number(report['seconds'])} s, unless a table says otherwise; "
            "load, servers and workers share the cores.", "",
            *[f"SKIPPED: {peer}: {why}\n" for peer, why in report["skipped"].items()]]


def goals(report, suites):
    """Every goal of every suite that has rows."""
    held = {True: "yes", False: "**no**", None: "–"}
    cells = [[goal, measured, held[holds]] for name, suite in suites.items()
             for goal, measured, holds in suite.goals([row for row in report["rows"] if row["suite"] == name])]
    return lines_of(["goal", "measured", "held"], cells)


def failures(report):
    failed = [row for row in report["rows"] if "error" in row]
    return ["## Failed", "", *[f"- {row['suite']}, {row['name']}: {row['error']}" for row in failed], ""] if failed else []


def markdown(report, suites):
    lines = ["# Benchmark", "", *where(report), "## Goals", "", *goals(report, suites), *failures(report)]
    for name, suite in suites.items():
        rows = [row for row in report["rows"] if row["suite"] == name]
        if rows:
            lines += suite.sections(rows)
    return "\n".join(lines)
