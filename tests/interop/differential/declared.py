# SPDX-License-Identifier: Apache-2.0
"""The differences that scenarios declare stand in docs/compatibility.md, and those that stand there are declared."""
import re

import frame
import transcript

ROW = re.compile(r"^\| `(\w+)`(?:: ([^|]+?))? \|")
FIELD = re.compile(r"^\| every answer: `([\w.]+)` \|")
RPC = re.compile(r"^\| (\w+) \| (served|UNIMPLEMENTED|not in 1\.29\.1)\b")


def section(text, title):
    """The lines of a document under a heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found[1].splitlines() if found else []


def rows(document):
    """(scenario, step) of each row of the table of differences."""
    return {(m[1], m[2] or "") for line in section(document, "Differences") if (m := ROW.match(line))}


def statuses(document):
    """Method to status, of the tables of calls."""
    return {m[1]: m[2] for line in section(document, "Calls") if (m := RPC.match(line))}


def methods():
    names = []
    for messages in frame.SERVICES.values():
        types = messages.DESCRIPTOR.message_types_by_name
        names += [t[:-7] for t in types if t.endswith("Request") and t[:-7] + "Response" in types]
    return names


def check(scenarios, path):
    """Sentences about what does not agree."""
    document = path.read_text(encoding="utf-8")
    told = {row for row in rows(document) if row[1] or row[0] in scenarios}
    made = {(s.name, label) for s in scenarios.values() if s.name != "empty_request" for label in s.differs}
    wrong = [f"{path.name} does not list the difference {name}: {label}" for name, label in sorted(made - told)]
    wrong += [f"{path.name} lists {name}: {label}, which no scenario declares" for name, label in sorted(told - made)]
    status = statuses(document)
    wrong += [f"{path.name} does not list the call {name}" for name in methods() if name not in status]
    wrong += [f"{path.name} lists {name}, which is no call" for name in status if name not in methods()]
    fields = {m[1] for line in section(document, "Differences") if (m := FIELD.match(line))}
    wrong += [f"{path.name} does not list the field {name}" for name in sorted(set(transcript.FIELDS) - fields)]
    wrong += [f"{path.name} lists the field {name}, which is compared" for name in sorted(fields - set(transcript.FIELDS))]
    return wrong
