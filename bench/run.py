#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: runs the suites and writes one report. scripts/bench builds and installs what it needs and starts it.

A suite is a module of this folder, listed in SUITES, with
  MINUTES             about so long it takes with the defaults
  NAMES               {name: one line of help}: what a user can pick of it (its workers, servers, workloads ...)
  needs(names)        the peers that it wants for these names; peer P is had by the function peer_P of scripts/peers.sh
  versions(args)      {what: version} of the peers, optional
  run(args, names)    the rows: dicts with "suite", "name" and figures, or "error" with the reason. names: what was
                      picked of NAMES, empty for everything. A peer that fails is a row with "error", no exception.
  sections(rows)      its part of the report, lines of Markdown
  goals(rows)         [(goal, measured, held)]; held is None when the rows do not say (not run, or failed)
args: bin, peers, data (folders with programs; where servers may put theirs), runs, seconds, without {peer: why it
could not be had}. Rows go to the report as they are, so every figure of every run belongs there."""
import argparse
import datetime
import importlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(pathlib.Path(__file__).parent)]
import machine  # noqa: E402
import table  # noqa: E402

SUITES = [name for name in ["micro", "matrix", "engine", "restate", "queues", "cores", "autoscale", "supervisor"]
          if pathlib.Path(__file__).with_name(f"{name}.py").exists()]


def modules():
    return {name: importlib.import_module(name) for name in SUITES}


def chosen(suites, names):
    """{suite: names picked of it}: those that are named, or whose names are; everything when nothing is named."""
    wanted = [name for name in names if name in suites] or suites
    rest = [name for name in names if name not in suites]
    picked = {name: [n for n in rest if n in suites[name].NAMES] for name in wanted}
    return {name: of_it for name, of_it in picked.items() if of_it or not rest or name in names}


def parse(suites):
    lines = []
    for name, suite in suites.items():
        lines += [f"{name}, about {suite.MINUTES} minutes: {suite.__doc__.splitlines()[0]}",
                  *[f"  {key:16} {text}" for key, text in suite.NAMES.items()]]
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, epilog="\n".join(lines),
        description="Benchmarks side by side with what one would take instead; docs/benchmarks.md says what is measured.")
    build = ROOT / "build"
    parser.add_argument("--bin", type=pathlib.Path, default=build / "release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--peers", type=pathlib.Path, default=build / "interop", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=pathlib.Path, default=build / "bench", help=argparse.SUPPRESS)
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--missing", action="append", default=[], metavar="PEER=WHY", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each thing; medians are shown (5)")
    parser.add_argument("--seconds", type=float, default=2, help="about so long is each run (2)")
    parser.add_argument("--keep-table", action="store_true", help="leave bench/results/table.md as it is")
    parser.add_argument("--no-results", action="store_true", help="write nothing to bench/results")
    parser.add_argument("--accept", action="store_true", help="make what micro counts the reference")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these suites, and of them only these names")
    args = parser.parse_intermixed_args()
    known = {*suites, *[name for suite in suites.values() for name in suite.NAMES]}
    for name in args.names:
        if name not in known:
            parser.error(f"there is no {name}; there are: {' '.join(sorted(known))}")
    args.without = dict(missing.split("=", 1) for missing in args.missing)
    return args


def rows_of(name, suite, args, names):
    """A suite that breaks is a failed row, and the others go on."""
    print(f"bench: {name}, about {suite.MINUTES} minutes when all of it runs", file=sys.stderr, flush=True)
    try:
        return suite.run(args, names)
    except Exception as error:
        traceback.print_exc()
        return [table.failed(f"suite {name}", error)]


def report_of(suites, picked, args):
    report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "runs": args.runs, "seconds": args.seconds, "names": args.names, "skipped": args.without,
              "machine": machine.describe(args.data), "versions": {"flotilla": machine.flotilla_version(ROOT)}}
    rows = report["rows"] = []
    for name in picked:
        try:
            report["versions"].update(suites[name].versions(args) if hasattr(suites[name], "versions") else {})
        except Exception as error:
            rows.append(table.failed(f"versions of {name}", error))
    for name, names in picked.items():
        rows += rows_of(name, suites[name], args, names)
    report["load_after"] = os.getloadavg()
    return report


def write_json(report):
    results = ROOT / "bench/results"
    results.mkdir(exist_ok=True)
    path = results / f"{report['date'][:19].replace(':', '')}.json"
    path.write_text(json.dumps(report, indent=1, default=str) + "\n")


def end(*_):
    """At SIGTERM: an exception, so that every `finally` stops what it started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def main():
    signal.signal(signal.SIGTERM, end)
    suites = modules()
    args = parse(suites)
    if args.needs:
        picked = chosen(suites, args.names)
        print(*dict.fromkeys(peer for name, names in picked.items() for peer in suites[name].needs(names)))
        return 0
    args.data.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(args.data)  # the servers' folders: on the disk of the project
    picked = chosen(suites, args.names)
    report = report_of(suites, picked, args)
    if not args.no_results:
        write_json(report)  # first: what was measured is not lost, whatever the report says of it
    text = table.markdown(report, {name: suites[name] for name in picked})
    print(text)
    if not args.no_results and not args.keep_table:
        (ROOT / "bench/results/table.md").write_text(text)
    return 1 if any("error" in row for row in report["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
