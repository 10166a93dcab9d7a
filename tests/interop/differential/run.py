#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same scenarios on our engine and on a real Temporal server, in one run; what they answered is compared.

Exit 0 when every step of every scenario is the same, or differs where it is declared to; 1 otherwise. How a scenario is
added: README.md."""
import argparse
import asyncio
import difflib
import pathlib
import sys
import time

import grpc

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "support")]
import declared  # noqa: E402
import frame  # noqa: E402
import transcript  # noqa: E402
from fleet import Fleet  # noqa: E402
from profiles import PROFILES  # noqa: E402

SHOWN = 30  # lines of one step's difference
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Server:
    """One server that is played on, for the scenarios of one profile."""

    def __init__(self, target, parallel):
        self.target, self.slots = target, asyncio.Semaphore(parallel)
        self.fields = set()  # of transcript.FIELDS, that it set
        self.channel = grpc.aio.insecure_channel(target, options=LIMITS)

    async def ready(self):
        """Wait until it serves the namespace that scenarios use."""
        deadline = time.monotonic() + 60
        while True:
            try:
                play = frame.Play(None, self.channel, self.target)
                await play.ask("DescribeNamespace", timeout=5)
                return
            except frame.Refused as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.target} does not answer: {error}") from None
                await asyncio.sleep(0.1)

    async def play(self, scenario):
        async with self.slots:
            play = frame.Play(scenario, self.channel, self.target)
            lines = await play.played()
            self.fields |= play.fields
            return lines


class Pair:
    """Our engine and the real server, started as a profile says, or already running."""

    def __init__(self, ours, real, parallel):
        self.ours, self.real = Server(ours, parallel), Server(real, parallel)

    async def play(self, scenario):
        """The differences: label to lines of a diff."""
        ours, real = await asyncio.gather(self.ours.play(scenario), self.real.play(scenario))
        return {label: (real.get(label, []), ours.get(label, []))
                for label in list(real) + [label for label in ours if label not in real]
                if real.get(label) != ours.get(label)}, (real, ours)


def start(args, profile, fleets):
    """Both servers of a profile, by their own flags."""
    settings = PROFILES[profile]
    engine, real = Fleet(args.bin), Fleet(args.bin, args.temporal)
    fleets += [engine, real]
    real.real_server(*settings["real"])
    engine.engine(*settings["ours"])
    return engine.target, real.target


def undeclared(scenario, differences):
    """What is wrong with these differences: those that nobody declared, and those declared that are gone."""
    wrong = {label: pair for label, pair in differences.items() if label not in scenario.differs}
    gone = [label for label in scenario.differs if label not in differences]
    return wrong, gone


def show(scenario, wrong, gone):
    """- is the real server's, + is ours."""
    print(f"DIFFERS  {scenario.area}: {scenario.name}")
    for label, (real, ours) in wrong.items():
        print(f"  step {label}")
        lines = [line for line in difflib.unified_diff(real, ours, lineterm="", n=2) if not line.startswith("@@")][2:]
        print(*("    " + line for line in lines[:SHOWN]), sep="\n")
        if len(lines) > SHOWN:
            print(f"    ... {len(lines) - SHOWN} more (--show has all)")
    for label in gone:
        print(f"  step {label} is declared to differ, and does not")


def show_transcripts(name, both):
    for whose, transcript in zip(("real", "ours"), both):
        print(f"== {name} on {whose}")
        for label, lines in transcript.items():
            print(f"-- {label}", *("   " + line for line in lines), sep="\n")


async def play_all(args, scenarios, pairs):
    """Each scenario once, many at a time; those that differ once more, one at a time. The number that differ."""
    async def first(scenario):
        differences, both = await pairs[scenario.profile].play(scenario)
        return scenario, *undeclared(scenario, differences), both
    together = [s for s in scenarios if not s.alone]
    results = await asyncio.gather(*map(first, together))
    for scenario in (s for s in scenarios if s.alone):
        results.append(await first(scenario))
    differ = 0
    for scenario, wrong, gone, both in results:
        if (wrong or gone) and not args.once:  # a busy machine is no difference: it must be seen twice
            _, wrong, gone, both = await first(scenario)
        if wrong or gone:
            differ += 1
            show(scenario, wrong, gone)
        if args.show:
            show_transcripts(scenario.name, both)
    return differ


async def run(args, scenarios):
    fleets = []
    try:
        pairs = {}
        for profile in sorted({s.profile for s in scenarios}):
            if args.servers:
                named = dict(item.split("=", 1) for item in args.servers.split(","))
                targets = named["ours"], named["real"]
            else:
                targets = await asyncio.to_thread(start, args, profile, fleets)
            pairs[profile] = Pair(*targets, args.parallel)
        for pair in pairs.values():
            await asyncio.gather(pair.ours.ready(), pair.real.ready())
        differ = await play_all(args, scenarios, pairs)
        return differ, same_fields(pairs.values()) if not args.only else []
    finally:
        for fleet in reversed(fleets):
            fleet.__exit__(None, None, None)


def same_fields(pairs):
    """Fields that are declared to differ, and were set by both servers or by none."""
    ours, real = (set().union(*(getattr(pair, whose).fields for pair in pairs)) for whose in ("ours", "real"))
    return [name for name in transcript.FIELDS if (name in ours) == (name in real)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(HERE.parents[2] / "build/release/bin"), help="folder of our programs")
    parser.add_argument("--temporal", help="the real server's command line (temporal)")
    parser.add_argument("--servers", metavar="ours=HOST:PORT,real=HOST:PORT", help="play on servers that run already")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="a scenario, or all of an area (file of scenarios/); may be given several times")
    parser.add_argument("--parallel", type=int, default=16, help="scenarios at a time on one server (16)")
    parser.add_argument("--once", action="store_true", help="report differences that a second, quiet play would not show")
    parser.add_argument("--show", action="store_true", help="print the transcripts")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--check", action="store_true", help="only check that docs/compatibility.md lists the differences")
    args = parser.parse_args()
    scenarios = frame.load_scenarios()
    if args.list:
        print(*(f"{s.area}: {s.name}" for s in scenarios.values()), sep="\n")
        return 0
    wrong = declared.check(scenarios, HERE.parents[2] / "docs/compatibility.md")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if args.check:
        return bool(wrong)
    unknown = [n for n in args.only if n not in scenarios and n not in {s.area for s in scenarios.values()}]
    if unknown or not (args.servers or args.temporal):
        parser.error(f"there is no scenario {unknown[0]}" if unknown else "--temporal or --servers is needed")
    chosen = [s for s in scenarios.values() if not args.only or s.name in args.only or s.area in args.only]
    began = time.monotonic()
    differ, same = asyncio.run(run(args, chosen))
    wrong += [f"the field {name} is declared to differ, and does not" for name in same]
    print(*(line for line in wrong if line.startswith("the field")), sep="\n", end="")
    print(f"{len(chosen) - differ} of {len(chosen)} scenarios as on the real server ({time.monotonic() - began:.0f} s)")
    return bool(differ or wrong)


if __name__ == "__main__":
    sys.exit(main())
