# SPDX-License-Identifier: Apache-2.0
"""Every method with an empty request, methods and services that do not exist."""
import pathlib

import declared
from frame import scenario

DOCUMENT = pathlib.Path(__file__).resolve().parents[4] / "docs/compatibility.md"


# Answered without a field; scenarios of their own look at them.
ANSWERED = {"ListNamespaces", "GetClusterInfo", "GetSystemInfo", "GetSearchAttributes"}


@scenario(differs={name: "not served" for name, status in declared.statuses(DOCUMENT.read_text("utf-8")).items()
                   if status == "UNIMPLEMENTED"})
async def empty_request(p):
    """No field is set: the first thing that a server misses."""
    for name in declared.methods():
        if name not in ANSWERED:
            await p.call(name, timeout=8, raw=b"")
