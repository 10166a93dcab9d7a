# SPDX-License-Identifier: Apache-2.0
"""A strict reader of metrics pages: Prometheus text 0.0.4 and OpenMetrics 1.0. Whatever a scraper might refuse, or take
for something else, is an error here; so are the habits that promtool's lint complains about. Standard library only."""
import math
import re
import urllib.request

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus sends.
ACCEPT_OPENMETRICS = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
ESCAPED, ESCAPED_MORE = re.compile(r"([^\\]|\\[\\n])*"), re.compile(r'([^\\"]|\\[\\n"])*')  # help, in the two formats
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?Inf|NaN")
CANONICAL_BOUND = re.compile(r"-?(\d+\.\d+|\d(\.\d+)?e[+-]\d+)|\+Inf")  # as OpenMetrics has it
UNITS = ("seconds", "bytes")


class Bad(AssertionError):
    """The page is not what it says."""


class Family:
    def __init__(self, name, kind):
        self.name, self.kind, self.help, self.unit = name, kind, None, None
        self.samples = []  # (sample name, {label: value}, number), as they came


def page(address, accept=None, path="/metrics"):
    """(content type, text) of a metrics page."""
    request = urllib.request.Request(f"http://{address}{path}", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode("utf-8")


def unescape(text):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def sample(line):
    """(name, labels, number) of a sample's line."""
    name = NAME.match(line)
    if not name:
        raise Bad(f"no name: {line!r}")
    at, labels = name.end(), {}
    if line[at:at + 1] == "{":
        at += 1
        while line[at:at + 1] != "}":
            label = LABEL.match(line, at)
            if not label:
                raise Bad(f"no label at {at}: {line!r}")
            if label[1] in labels:
                raise Bad(f"label {label[1]} twice: {line!r}")
            if label[1].startswith("__"):
                raise Bad(f"label {label[1]} is reserved: {line!r}")
            labels[label[1]] = unescape(label[2])
            at = label.end()
            if line[at:at + 1] == ",":
                at += 1
                if line[at:at + 1] == "}":
                    raise Bad(f"a comma before the end: {line!r}")
            elif line[at:at + 1] != "}":
                raise Bad(f"no comma at {at}: {line!r}")
        at += 1
    if line[at:at + 1] != " " or not NUMBER.fullmatch(line[at + 1:]):
        raise Bad(f"no number: {line!r}")
    return name[0], labels, float(line[at + 1:])


def families(text, openmetrics):
    """The page's families by name, each line checked on its own."""
    found, current = {}, None
    if openmetrics:
        if not text.endswith("# EOF\n"):
            raise Bad("it does not end in # EOF")
        text = text[:-len("# EOF\n")]
    if text and not text.endswith("\n"):
        raise Bad("the last line has no end")
    for line in text.split("\n")[:-1]:
        if not line:
            raise Bad("an empty line")
        if line.startswith("# "):
            parts = line[2:].split(" ", 2)
            if len(parts) != 3 or parts[0] not in ("HELP", "TYPE", "UNIT") or not NAME.fullmatch(parts[1]):
                raise Bad(f"what is this? {line!r}")
            if current is None or current.name != parts[1]:
                if parts[1] in found:
                    raise Bad(f"family {parts[1]} twice")
                current = found[parts[1]] = Family(parts[1], None)
            if current.samples:
                raise Bad(f"after samples of its family: {line!r}")
            what = {"HELP": "help", "TYPE": "kind", "UNIT": "unit"}[parts[0]]
            if getattr(current, what) is not None:
                raise Bad(f"twice: {line!r}")
            if what == "help" and not (ESCAPED_MORE if openmetrics else ESCAPED).fullmatch(parts[2]):
                raise Bad(f"a bad escape: {line!r}")
            if what == "unit" and not openmetrics:
                raise Bad(f"no such line in the text format: {line!r}")
            setattr(current, what, parts[2])
        else:
            name, labels, number = sample(line)
            if current is None or name not in names_of(current, openmetrics):
                raise Bad(f"{name} is no sample of {current and current.name}")
            current.samples.append((name, labels, number))
    return found


def names_of(family, openmetrics):
    """What samples of the family may be called."""
    if family.kind == "histogram":
        return [family.name + suffix for suffix in ("_bucket", "_sum", "_count")]
    if family.kind == "counter" and openmetrics:
        return [family.name + "_total"]
    return [family.name]


def check_histogram(family, openmetrics):
    series = {}
    for name, labels, number in family.samples:
        rest = {k: v for k, v in labels.items() if k != "le"}
        series.setdefault(tuple(sorted(rest.items())), []).append((name[len(family.name):], labels.get("le"), number))
    order = [tuple(sorted((k, v) for k, v in labels.items() if k != "le")) for _, labels, _ in family.samples]
    if len(series) != sum(1 for a, b in zip([None, *order], order) if a != b):
        raise Bad(f"{family.name}: the lines of a series do not stand together")
    for labels, lines in series.items():
        buckets, rest = lines[:-2], lines[-2:]
        if [kind for kind, _, _ in rest] != ["_sum", "_count"] or any(kind != "_bucket" for kind, _, _ in buckets):
            raise Bad(f"{family.name}{labels}: lines {[kind for kind, _, _ in lines]}")
        if any(bound is None for _, bound, _ in buckets) or any(bound is not None for _, bound, _ in rest):
            raise Bad(f"{family.name}{labels}: le is where it should not be, or not where it should")
        if openmetrics and not all(CANONICAL_BOUND.fullmatch(bound) for _, bound, _ in buckets):
            raise Bad(f"{family.name}{labels}: bounds {[bound for _, bound, _ in buckets]}")
        bounds = [float(bound) for _, bound, _ in buckets]
        counts = [number for _, _, number in buckets]
        if not bounds or bounds[-1] != math.inf or bounds != sorted(set(bounds)):
            raise Bad(f"{family.name}{labels}: bounds {bounds}")
        if counts != sorted(counts) or counts[-1] != rest[1][2] or any(c < 0 or c != int(c) for c in counts):
            raise Bad(f"{family.name}{labels}: counts {counts}, {rest[1][2]} in all")
        if math.isnan(rest[0][2]):
            raise Bad(f"{family.name}{labels}: the sum is NaN")


def check_family(family, openmetrics):
    kinds = ("counter", "gauge", "histogram", *(("unknown",) if openmetrics else ()))
    if family.kind not in kinds:
        raise Bad(f"{family.name}: type {family.kind}")
    if not family.samples:
        raise Bad(f"{family.name} has no samples")
    seen = [(name, tuple(sorted(labels.items()))) for name, labels, _ in family.samples]
    if len(seen) != len(set(seen)):
        raise Bad(f"{family.name}: a series twice")
    if family.kind == "counter" and any(not number >= 0 for _, _, number in family.samples):
        raise Bad(f"{family.name}: a counter below 0")
    if family.kind == "histogram":
        check_histogram(family, openmetrics)
    elif any("le" in labels for _, labels, _ in family.samples):
        raise Bad(f"{family.name}: le outside of a histogram")
    unit = next((unit for unit in UNITS if family.name.endswith("_" + unit)), None)
    if openmetrics and family.unit != unit:
        raise Bad(f"{family.name}: unit {family.unit}, by its name {unit}")


def lint(found, openmetrics, naming):
    """What promtool would say of names."""
    for family in found.values():
        sdk_counter = naming != "tally" and family.name.startswith("temporal_")
        if not family.help:
            yield f"{family.name}: no help"
        if not openmetrics and family.kind == "counter" and not family.name.endswith("_total") and not sdk_counter:
            yield f"{family.name}: a counter without _total"
        if family.kind == "gauge" and re.search(r"_(total|count|sum|bucket)$", family.name) \
                and family.name != "approximate_backlog_count":  # as Temporal's server calls it
            yield f"{family.name}: a gauge with the suffix of another kind"
        if family.kind == "histogram" and not family.name.endswith("_seconds") and not (sdk_counter and naming == "core"):
            yield f"{family.name}: a histogram without a unit"


def check(content_type, text, naming="tally", user=()):
    """The families of a page that is right in all respects; user: names of user code, which need no help."""
    if content_type not in (TEXT, OPENMETRICS):
        raise Bad(f"content type {content_type!r}")
    openmetrics = content_type == OPENMETRICS
    found = families(text, openmetrics)
    for family in found.values():
        check_family(family, openmetrics)
    said = [line for line in lint(found, openmetrics, naming) if not line.split(":")[0].startswith(tuple(user) or ("\0",))]
    if said:
        raise Bad("; ".join(said))
    return found


def value(found, name, **labels):
    """The sum of the samples of that name that have these labels; None without one."""
    numbers = [number for family in found.values() for sample_name, have, number in family.samples
               if sample_name == name and all(have.get(k) == v for k, v in labels.items())]
    return sum(numbers) if numbers else None
