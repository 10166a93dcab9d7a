# SPDX-License-Identifier: Apache-2.0
"""The benchmark's report as Markdown: where it ran, all goals, then what each suite has to show."""
import traceback


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
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version and version != "?")
    loads = " and ".join(number(average[0]) for average in (machine["load_before"], report["load_after"]))
    return [f"{report['date']}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, "
            f"Linux {machine['kernel']}, {machine['flushes_per_second']} fdatasync/s; load average before and after: "
            f"{loads}. {versions}.", "",
            f"Medians of at most {report['runs']} runs of about {number(report['seconds'])} s; how many there were stands "
            "beside the figures. Load, servers and workers share the cores.", "",
            *[f"SKIPPED: {peer}: {why}\n" for peer, why in report["skipped"].items()]]


def failed(name, error):
    """The row of an error in the benchmark itself."""
    return {"suite": "bench", "name": name, "error": f"{type(error).__name__}: {error}"[:300]}


def of_suite(report, name, make, what):
    """make() of the suite's rows; one that breaks is a failed row, and the rest of the report stands."""
    try:
        return make([row for row in report["rows"] if row["suite"] == name])
    except Exception as error:
        traceback.print_exc()
        report["rows"].append(failed(f"{what} of {name}", error))
        return []


def goals(report, suites):
    """Every goal of every suite that was picked."""
    held = {True: "yes", False: "**no**", None: "–"}

    def cells(suite):
        return lambda rows: [[goal, measured, held[holds]] for goal, measured, holds in suite.goals(rows)]
    return lines_of(["goal", "measured", "held"],
                    [cell for name, suite in suites.items() for cell in of_suite(report, name, cells(suite), "goals")])


def failures(report):
    rows = [row for row in report["rows"] if "error" in row]
    return ["## Failed", "", *[f"- {row['suite']}, {row['name']}: {row['error']}" for row in rows], ""] if rows else []


def markdown(report, suites):
    """What breaks in it is added to the report's rows."""
    reached = goals(report, suites)
    parts = [line for name, suite in suites.items() if any(row["suite"] == name for row in report["rows"])
             for line in of_suite(report, name, suite.sections, "sections")]
    return "\n".join(["# Benchmark", "", *where(report), "## Goals", "", *reached, *failures(report), *parts])
