# SPDX-License-Identifier: Apache-2.0
"""Namespaces: registered, changed, described, listed, deprecated; and the server's own answers."""
from frame import Refused, scenario, seconds

DAY = 24 * 3600


async def visible(p, name):
    async def there():
        try:
            return await p.ask("DescribeNamespace", namespace=name)
        except Refused:
            return None
    await p.until(there, f"namespace {name}")


@scenario
async def namespace_register(p):
    """What is refused, and what all may be said of one."""
    day = {"seconds": DAY}
    for label, fields in {
            "no name": {"namespace": ""}, "no retention": {"namespace": "a-" + p.ending},
            "a short retention": {"namespace": "b-" + p.ending, "workflow_execution_retention_period": seconds(10)},
            "a negative retention": {"namespace": "c-" + p.ending, "workflow_execution_retention_period": {"seconds": -1}},
            "a name of 1001 bytes": {"namespace": "n" * 1001, "workflow_execution_retention_period": day},
            "a name with blanks": {"namespace": "a b " + p.ending, "workflow_execution_retention_period": day},
            "a name with a slash": {"namespace": "a/b" + p.ending, "workflow_execution_retention_period": day},
            "a global one": {"namespace": "d-" + p.ending, "workflow_execution_retention_period": day, "is_global_namespace": True},
            "another cluster": {"namespace": "e-" + p.ending, "workflow_execution_retention_period": day,
                                "active_cluster_name": "elsewhere"},
            "one that exists": {"namespace": "default", "workflow_execution_retention_period": day}}.items():
        await p.call("RegisterNamespace", label, **fields)
    name = "ns-" + p.ending
    await p.call("RegisterNamespace", namespace=name, description="what it is for", owner_email="me@example.org",
                 workflow_execution_retention_period={"seconds": 3 * DAY}, data={"a": "1", "b": "2"}, security_token="secret")
    await p.call("RegisterNamespace", "again", namespace=name, workflow_execution_retention_period=day)
    await visible(p, name)
    answer = await p.call("DescribeNamespace", namespace=name)
    await p.call("DescribeNamespace", "by id", namespace="", id=answer.namespace_info.id)
    await p.call("DescribeNamespace", "by both", namespace="other", id=answer.namespace_info.id)


@scenario(differs={"the server's own": "there is no namespace of the engine's own",
                   "an id that is none": "an id that nobody has is not found, whatever it looks like"})
async def namespace_describe(p):
    """What is refused; the default one."""
    await p.call("DescribeNamespace", "default")
    await p.call("DescribeNamespace", "nothing", namespace="")
    await p.call("DescribeNamespace", "unknown", namespace="none-" + p.ending)
    await p.call("DescribeNamespace", "an unknown id", namespace="", id="11111111-2222-4333-8444-555555555555")
    await p.call("DescribeNamespace", "an id that is none", namespace="", id="x")
    await p.call("DescribeNamespace", "the server's own", namespace="temporal-system")


@scenario
async def namespace_update(p):
    """Each part of it, and what is refused."""
    name = "ns-" + p.ending
    await p.call("RegisterNamespace", namespace=name, workflow_execution_retention_period={"seconds": 3 * DAY},
                 data={"a": "1"}, description="old", owner_email="old@example.org")
    await visible(p, name)
    for label, fields in {
            "nothing": {}, "the description": {"update_info": {"description": "new"}},
            "the owner": {"update_info": {"owner_email": "new@example.org"}},
            "more data": {"update_info": {"data": {"b": "2"}}}, "changed data": {"update_info": {"data": {"a": "3"}}},
            "retention": {"config": {"workflow_execution_retention_ttl": {"seconds": 5 * DAY}}},
            "a short retention": {"config": {"workflow_execution_retention_ttl": seconds(10)}},
            "a negative retention": {"config": {"workflow_execution_retention_ttl": {"seconds": -5}}},
            "no bad binary": {"delete_bad_binary": "none"},
            "a cluster": {"replication_config": {"active_cluster_name": "elsewhere"}},
            "its cluster": {"replication_config": {"active_cluster_name": "active"}},
            "promotion": {"promote_namespace": True},
            "deprecated": {"update_info": {"state": 2}}, "registered again": {"update_info": {"state": 1}},
            "unknown": {"namespace": "none-" + p.ending}}.items():
        await p.call("UpdateNamespace", label, **{"namespace": name, **fields})
    await p.call("DescribeNamespace", namespace=name)


@scenario(differs={"aliases": "attributes have their names here, and no columns",
                   "bad binaries": "binaries are not known by checksums"})
async def namespace_update_of_what_is_not_kept(p):
    """Aliases of search attributes' columns, checksums of bad binaries."""
    name = "ns-" + p.ending
    await p.call("RegisterNamespace", namespace=name, workflow_execution_retention_period={"seconds": 3 * DAY})
    await visible(p, name)
    await p.call("UpdateNamespace", "aliases", namespace=name,
                 config={"custom_search_attribute_aliases": {"Keyword01": "Colour"}})
    await p.call("UpdateNamespace", "bad binaries", namespace=name,
                 config={"bad_binaries": {"binaries": {"sum": {"reason": "broken"}}}})


@scenario
async def namespace_deprecated(p):
    """It is told so, and still serves what is there."""
    name = "ns-" + p.ending
    await p.call("RegisterNamespace", namespace=name, workflow_execution_retention_period={"seconds": 3 * DAY})
    await visible(p, name)
    await p.call("DeprecateNamespace", namespace=name)
    await p.call("DeprecateNamespace", "unknown", namespace="none-" + p.ending)
    await p.call("DeprecateNamespace", "again", namespace=name)

    async def deprecated():
        return (await p.ask("DescribeNamespace", namespace=name)).namespace_info.state == 2
    await p.until(deprecated, "its end")
    await p.call("DescribeNamespace", namespace=name)


@scenario
async def namespace_of_its_own(p):
    """A run in another namespace than the default one."""
    name = "ns-" + p.ending
    await p.call("RegisterNamespace", namespace=name, workflow_execution_retention_period={"seconds": 3 * DAY})
    await visible(p, name)
    p.namespace = name

    async def started():
        try:
            return await p.ask("StartWorkflowExecution", workflow_id=p.id, workflow_type={"name": "T"},
                               task_queue={"name": p.queue})
        except Refused:
            return None
    await p.until(started, "a start")
    from frame import command
    await p.complete(await p.poll(), command("COMPLETE_WORKFLOW_EXECUTION"))
    await p.history()
    p.namespace = "default"
    await p.history(label="not in the default one")


@scenario(alone=True)
async def namespace_list(p):
    """A page, and that there are more."""
    first = await p.ask("ListNamespaces", page_size=1)
    p.note("first page", len(first.namespaces), bool(first.next_page_token))


@scenario
async def server_says_of_itself(p):
    """Capabilities, cluster, health."""
    await p.call("GetSystemInfo")
    cluster = await p.ask("GetClusterInfo")
    p.note("cluster", cluster.cluster_name, cluster.history_shard_count, cluster.persistence_store, cluster.visibility_store,
           bool(cluster.cluster_id), *(f"{k} {v}" for k, v in sorted(cluster.supported_clients.items())))
