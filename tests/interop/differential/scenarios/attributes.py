# SPDX-License-Identifier: Apache-2.0
"""Custom search attributes: made, listed, taken away; their values in starts and upserts."""
from frame import command, payload, scenario

TYPES = {"Text": 1, "Keyword": 2, "Int": 3, "Double": 4, "Bool": 5, "Datetime": 6, "List": 7}


def named(p, kind):
    return f"{kind}{p.ending}"


@scenario(alone=True)
async def attributes_made_and_removed(p):
    """Each type; those that exist; those that are none."""
    await p.call("AddSearchAttributes", "all types", search_attributes={
        named(p, k): v for k, v in TYPES.items() if k in ("Keyword", "Int", "List")})
    await p.call("AddSearchAttributes", "again", search_attributes={named(p, "Keyword"): 2})
    await p.call("AddSearchAttributes", "of another type", search_attributes={named(p, "Keyword"): 3})
    await p.call("AddSearchAttributes", "of the server", search_attributes={"WorkflowId": 2})
    await p.call("AddSearchAttributes", "without a type", search_attributes={named(p, "None"): 0})
    await p.call("AddSearchAttributes", "of an unknown type", search_attributes={named(p, "None"): 77})
    await p.call("AddSearchAttributes", "without a name", search_attributes={"": 2})
    await p.call("AddSearchAttributes", "in an unknown namespace", namespace="no-such-namespace",
                 search_attributes={named(p, "None"): 2})

    async def there():
        listed = await p.ask("ListSearchAttributes")
        return named(p, "Keyword") in listed.custom_attributes
    await p.until(there, "the attributes")
    listed = await p.ask("ListSearchAttributes")
    p.note("made", *sorted(f"{k} {v}" for k, v in listed.custom_attributes.items() if p.ending in k))
    await p.call("RemoveSearchAttributes", "of the server", search_attributes=["WorkflowId"])
    await p.call("RemoveSearchAttributes", "unknown", search_attributes=["NoSuch"])
    await p.call("RemoveSearchAttributes", "none")
    await p.call("RemoveSearchAttributes", "all", search_attributes=[named(p, k) for k in ("Keyword", "Int", "List")])


@scenario(alone=True)
async def attributes_have_values(p):
    """Of the right type and of wrong ones, at a start and later."""
    kinds = ("Keyword", "Int", "Double", "Bool", "Datetime", "List", "Text")
    await p.call("AddSearchAttributes", search_attributes={named(p, k): TYPES[k] for k in kinds})

    async def there():
        return named(p, "Keyword") in (await p.ask("ListSearchAttributes")).custom_attributes
    await p.until(there, "the attributes")
    values = {"a text": '"x"', "a number": "5", "a fraction": "5.5", "a truth": "true", "a time": '"2026-01-02T03:04:05Z"',
              "a list": '["x","y"]', "null": "null", "no JSON": "{", "an object": '{"a":1}', "a list of one": '["x"]',
              "an empty list": "[]", "two numbers": "[1,2]"}
    for kind in kinds:
        for label, value in values.items():
            workflow_id = f"{p.id}-{kind}-{label}"
            await p.start(workflow_id, f"{kind}: {label}", search_attributes={"indexed_fields": {named(p, kind): payload(value)}})
    for workflow_id in [f"{p.id}-{kind}-{label}" for kind in kinds for label in values]:
        try:
            await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": workflow_id})
        except Exception:
            pass
    await p.call("RemoveSearchAttributes", search_attributes=[named(p, k) for k in kinds])


@scenario
async def attributes_in_events(p):
    """Those of the server that clients may set."""
    for name, value in (("TemporalChangeVersion", '["a-1"]'), ("BinaryChecksums", '["x"]'), ("BuildIds", '["b"]'),
                        ("BatcherUser", '"u"'), ("TemporalScheduledStartTime", '"2026-01-02T03:04:05Z"'),
                        ("TemporalScheduledById", '"s"'), ("TemporalSchedulePaused", "true"),
                        ("TemporalNamespaceDivision", '"d"'), ("ExecutionStatus", '"Running"'), ("StartTime", '"2026"'),
                        ("RunId", '"r"'), ("TemporalPauseInfo", '["p"]')):
        workflow_id = f"{p.id}-{name}"
        await p.start(workflow_id, name, search_attributes={"indexed_fields": {name: payload(value)}})
        await p.history(workflow_id, label=f"history with {name}")
        await p.terminate(workflow_id, label=f"terminate {name}")


@scenario
async def attributes_changed_by_the_workflow(p):
    """Upserts of attributes and of the memo, and what they leave."""
    await p.start(memo={"fields": {"a": payload("1"), "b": payload("2")}})
    await p.complete(await p.poll(), command(
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={"indexed_fields": {"TemporalChangeVersion": payload('["x-1"]')}}),
        command("MODIFY_WORKFLOW_PROPERTIES", upserted_memo={"fields": {"a": payload("null"), "c": payload("3"),
                                                                        "b": {"metadata": {"encoding": b"binary/null"}}}}))
    await p.history()
    await p.describe()
    await p.terminate()
