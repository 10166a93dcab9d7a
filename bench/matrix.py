# SPDX-License-Identifier: Apache-2.0
"""Workers x servers x workloads: ours and the official SDKs on the Temporal dev server and on our engine."""
MINUTES = 20
NAMES = {"ours": "our workflow worker and IO activity worker"}


def needs(names):
    return ["python_sdk", "temporal_server", "go_worker"]


def run(args, names):
    return []


def sections(rows):
    return []


def goals(rows):
    return []
