# SPDX-License-Identifier: Apache-2.0
"""Lists and counts: what queries find, and the sentences for those that are none. `$Keyword` and the like stand for
search attributes of the scenario, `@w1` for its workflow of that name."""
import re

from frame import Refused, payload, scenario

KINDS = {"Text": 1, "Keyword": 2, "Int": 3, "Double": 4, "Bool": 5, "Datetime": 6, "List": 7}

RUNS = {
    "w1": ("T1", {"Keyword": '"a"', "Int": "5", "Text": '"Hello there, world"', "Double": "1.5", "Bool": "true",
                  "List": '["a","b"]'}),
    "w2": ("T1", {"Keyword": '"b"', "Int": "6", "Text": '"snake_case caf\u00e9 O\'Brien"', "Double": "2", "Bool": "false",
                  "Datetime": '"2024-05-05T05:05:05Z"', "List": '["c","two words"]'}),
    "w3": ("T2", {"Keyword": '"1"', "Int": "-5", "Text": '"hello-there"', "List": '["A","a-b"]'}),
    "w4": ("T2", {}),
    "w5": ("T3", {"Keyword": '"ab"', "Int": "7"}),
    "w6": ("T3", {"TemporalNamespaceDivision": '"div"', "Keyword": '"a"'}),
}
CLOSED = ("w2", "w4")

REFUSED = r"""
workflowid = 'w1'
WorkflowID = 'w1'
WorkflowId IN ()
WorkflowId IN 'w1'
WorkflowId = ('w1')
WorkflowId STARTS_WITH 5
WorkflowId STARTS_WITH ('w1','w2')
WorkflowId LIKE 'w%'
WorkflowId NOT LIKE 'w%'
WorkflowId REGEXP 'w.*'
WorkflowId IS TRUE
WorkflowId = NULL
WorkflowId = null
WorkflowId = w1
WorkflowId = `w1`
'w1' = WorkflowId
5 = 5
1
true
'abc'
WorkflowId
! WorkflowId = 'w1'
WorkflowId = 'w1' XOR WorkflowId = 'w2'
WorkflowId = 'w1' AND
WorkflowId = 'w1' AND NOT
AND WorkflowId = 'w1'
(WorkflowId = 'w1'
WorkflowId = 'w1')
WorkflowId = 'w1
WorkflowId =
WorkflowId == 'w1'
WorkflowId <=> 'w1'
WorkflowId !> 'w1'
= 'w1'
WorkflowId 'w1'
WorkflowId = 'w1' 'w2'
WorkflowId = 'w1'; drop table x
select * from x
WorkflowId = concat('w','1')
lower(WorkflowId) = 'w1'
WorkflowId + 1 = 2
WorkflowId = 'w1' + 'w2'
WorkflowId = -'w1'
-WorkflowId = 'w1'
table1.WorkflowId = 'w1'
x.y.z = 'w1'
WorkflowId = 'w1' LIMIT 1
WorkflowId = 'w1' LIMIT 1 OFFSET 2
LIMIT 1
WorkflowId = 'w1' ORDER BY StartTime
WorkflowId = 'w1' ORDER BY StartTime DESC
WorkflowId = 'w1' ORDER BY StartTime DESC, CloseTime ASC
ORDER BY StartTime
order by Foo
ORDER BY
ORDER
GROUP BY ExecutionStatus
GROUP BY WorkflowType
GROUP BY Foo
GROUP BY ExecutionStatus, WorkflowType
GROUP BY
GROUP ExecutionStatus
GROUP BY 'ExecutionStatus'
GROUP BY 1
GROUP BY WorkflowId
GROUP BY TaskQueue
GROUP BY $Keyword
GROUP BY StartTime
GROUP BY RunId
GROUP BY `ExecutionStatus`
GROUP BY $Bool
GROUP BY $Int
GROUP BY $List
GROUP BY $Text
GROUP BY TemporalNamespaceDivision
group by (ExecutionStatus)
WorkflowType = 'T1' GROUP BY ExecutionStatus
WorkflowType = 'T1' GROUP BY ExecutionStatus ORDER BY StartTime
WorkflowType = 'T1' ORDER BY StartTime GROUP BY ExecutionStatus
GROUP BY ExecutionStatus LIMIT 1
Foo = 'x'
Foo IS NULL
Foo
`Foo Bar` = 'x'
Foo.Bar = 'x'
$Keyword = 'a' AND Foo = 'b' AND Bar = 'c'
ExecutionStatus = 'running'
ExecutionStatus = 'Foo'
ExecutionStatus = ''
ExecutionStatus = '1'
ExecutionStatus = 1.5
ExecutionStatus IN ('Running','Foo')
ExecutionStatus STARTS_WITH 'Run'
ExecutionStatus STARTS_WITH 'Running'
ExecutionStatus = 'Timed Out'
ExecutionStatus = 'Timedout'
ExecutionStatus = 'Paused'
StartTime > '2024-01-01T00:00:00'
StartTime > '2024-01-01 00:00:00'
StartTime > '2024-01-01'
StartTime > '2024'
StartTime > 'now'
StartTime > ''
StartTime > '1700000000000000000'
StartTime > 1.5
StartTime > null
StartTime > 99999999999999999999
StartTime BETWEEN '2024-01-01T00:00:00Z' AND 'x'
StartTime STARTS_WITH '2024'
StartTime > '2024-13-01T00:00:00Z'
StartTime > '2024-02-30T00:00:00Z'
StartTime > '2024-1-1T00:00:00Z'
StartTime > '2024-01-01T24:00:00Z'
StartTime > '2024-01-01t00:00:00z'
ExecutionDuration < '01:00'
ExecutionDuration < '00:00:60'
ExecutionDuration < '1w'
ExecutionDuration < '1h 30m'
ExecutionDuration < 'abc'
ExecutionDuration < ''
ScheduledById = 'x'
ScheduledById IS NULL
ScheduledStartTime > '2024-01-01T00:00:00Z'
NamespaceDivision = 'x'
TemporalWorkflowId = 'w1'
TemporalStartTime > '2024-01-01T00:00:00Z'
TemporalExecutionStatus = 'Running'
Temporal$Keyword = 'a'
TemporalFoo = 'a'
TemporalUsedWorkerDeploymentVersions = 'x'
TemporalBool01 = true
Keyword01 = 'a'
$Keyword = null
$Keyword LIKE 'a%'
$Text = ''
$Text IN ('hello')
$Text STARTS_WITH 'hel'
$Text > 'a'
$Text = 5
$Text = true
$Text = 1.5
$Text BETWEEN 'a' AND 'b'
$Text = ('hello', 'x')
$Text LIKE 'a'
$Int = 0x5
$Bool BETWEEN false AND true
$Bool IS TRUE
$Bool IS FALSE
$Bool
NOT $Bool
$Datetime > 'x'
$Datetime > 1.5
$Datetime STARTS_WITH '2024'
$List = ('a','b')
$List > 'a'
$List STARTS_WITH 'a'
$List BETWEEN 'a' AND 'b'
$List = 5
$List = true
$List IN (5)
$List LIKE 'a'
WorkflowId = 'w1' and
WORKFLOWID = 'w1'
count(*) > 1
date = 'x'
key = 'a'
order = 'x'
select = 'x'
WorkflowId = date '2024-01-01'
(WorkflowId, RunId) = ('a','b')
(WorkflowId) = 'w1'
WorkflowId = (('w1'))
WorkflowId IN ('w1', null)
WorkflowId IN (w1)
WorkflowId IN (('w1'))
WorkflowId between 'a'
WorkflowId > 'a' > 'b'
WorkflowId = 'w1' = 'w2'
WorkflowId is not 'w1'
WorkflowId is 'w1'
WorkflowId = N'w1'
1=1
1=1 OR WorkflowId='x'
WorkflowId = 'w1' AND 1
WorkflowId = 'w1' AND (1)
()
(())
*
WorkflowId = *
WorkflowId = 'w1' ,
,
;
#
WorkflowId = 0x41
WorkflowId = 1e
WorkflowId = 5abc
StartTime > 0x10
WorkflowId = 'w1' AND WorkflowType = T1
WorkflowType=T1
_x = 'y'
ü = 'y'
WorkflowId|'a'
WorkflowId & 1 = 1
~WorkflowId = 1
WorkflowId << 1 = 1
WorkflowId div 2 = 1
WorkflowId mod 2 = 1
WorkflowId % 2 = 1
WorkflowId is unknown
WorkflowId not null
WorkflowId not 'w1'
not
WorkflowId not = 'w1'
WorkflowId = not 'w1'
WorkflowId = 'w1' not
WorkflowId rlike 'a'
WorkflowId = 'w1' procedure x
WorkflowId = 'w1' into outfile 'x'
WorkflowId = 'w1' order by 'x' foo
WorkflowId = 'w1' order by null
WorkflowId = 'w1' order by rand()
""".strip().split("\n")

FOUND = r"""
WorkflowId = '@w1'
`WorkflowId` = '@w1'
WorkflowId != '@w1'
WorkflowId <> '@w1'
WorkflowId > '@w2'
WorkflowId >= '@w2'
WorkflowId < '@w2'
WorkflowId <= '@w2'
WorkflowId IN ('@w1','@w2')
WorkflowId in ('@w1')
WorkflowId NOT IN ('@w1','@w2')
WorkflowId BETWEEN '@w1' AND '@w3'
WorkflowId NOT BETWEEN '@w1' AND '@w3'
WorkflowId NOT STARTS_WITH '@w1'
WorkflowId IS NULL
WorkflowId IS NOT NULL
NOT WorkflowId = '@w1'
NOT (WorkflowId = '@w1' OR WorkflowId = '@w2')
(WorkflowId = '@w1')
((WorkflowId = '@w1'))
(WorkflowId = '@w1') AND (WorkflowType = 'T1')
WorkflowId = '@w1' && WorkflowType = 'T1'
WorkflowId = '@w1' || WorkflowId = '@w2'
WorkflowId = '@w1' OR WorkflowId = '@w2' AND WorkflowType = 'T2'
WorkflowType = 'T1'
WorkflowType != 'T1'
WorkflowType IN ('T1', 'T2')
WorkflowType STARTS_WITH 'T'
WorkflowType = 5
ExecutionStatus = 'Running'
ExecutionStatus = "Completed"
ExecutionStatus = 'Completed'
ExecutionStatus = 1
ExecutionStatus = 2
ExecutionStatus = 99
ExecutionStatus = 0
ExecutionStatus = -1
ExecutionStatus = true
ExecutionStatus != 'Running'
ExecutionStatus IN ('Running','Completed')
ExecutionStatus IN (1,2)
ExecutionStatus IN (1,'Completed')
ExecutionStatus NOT IN ('Running')
ExecutionStatus > 'Running'
ExecutionStatus > 1
ExecutionStatus BETWEEN 1 AND 2
ExecutionStatus BETWEEN 'Running' AND 'Completed'
ExecutionStatus IS NULL
ExecutionStatus IS NOT NULL
ExecutionStatus = 'TimedOut'
ExecutionStatus = 'ContinuedAsNew'
ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_RUNNING'
ExecutionStatus = 'Unspecified'
RunId = 'abc'
RunId IN ('a','b')
RunId = '00000000-0000-0000-0000-000000000000'
RunId != '00000000-0000-0000-0000-000000000000'
StartTime > '2024-01-01T00:00:00Z'
StartTime < '2024-01-01T00:00:00Z'
StartTime = '2024-01-01T00:00:00Z'
StartTime != '2024-01-01T00:00:00Z'
StartTime > '2024-01-01T00:00:00.123456789Z'
StartTime > '2024-01-01T00:00:00+02:00'
StartTime > 1700000000000000000
StartTime > 1700000000
StartTime > true
StartTime > -1
StartTime BETWEEN '2024-01-01T00:00:00Z' AND '2124-01-01T00:00:00Z'
StartTime NOT BETWEEN '2024-01-01T00:00:00Z' AND '2124-01-01T00:00:00Z'
StartTime BETWEEN 1 AND 9223372036854775807
StartTime IN ('2024-01-01T00:00:00Z')
StartTime IS NULL
StartTime IS NOT NULL
StartTime > '9999-12-31T23:59:59Z'
StartTime < '9999-12-31T23:59:59Z'
StartTime > '0001-01-01T00:00:00Z'
StartTime > '2024-01-01T00:00:00,5Z'
StartTime > '2024-01-01T0:00:00Z'
CloseTime > '2024-01-01T00:00:00Z'
CloseTime < '2124-01-01T00:00:00Z'
CloseTime IS NULL
CloseTime IS NOT NULL
CloseTime = '2024-01-01T00:00:00Z'
CloseTime != '2024-01-01T00:00:00Z'
CloseTime BETWEEN '2024-01-01T00:00:00Z' AND '2124-01-01T00:00:00Z'
CloseTime NOT BETWEEN '2024-01-01T00:00:00Z' AND '2124-01-01T00:00:00Z'
NOT CloseTime < '2124-01-01T00:00:00Z'
NOT CloseTime > '2024-01-01T00:00:00Z'
CloseTime > '2024-01-01T00:00:00Z' OR CloseTime IS NULL
ExecutionTime > '2024-01-01T00:00:00Z'
ExecutionTime < '2024-01-01T00:00:00Z'
ExecutionTime IS NULL
ExecutionDuration > 0
ExecutionDuration >= '0s'
ExecutionDuration > '1h'
ExecutionDuration < '1h'
ExecutionDuration < '1h30m'
ExecutionDuration < '01:00:00'
ExecutionDuration < '1:00:00'
ExecutionDuration < '100:00:00'
ExecutionDuration < '1d'
ExecutionDuration < '1d2h'
ExecutionDuration < '1.5d'
ExecutionDuration < '1.5h'
ExecutionDuration < '.5h'
ExecutionDuration < '-1h'
ExecutionDuration < '+1h'
ExecutionDuration < '0'
ExecutionDuration < '5'
ExecutionDuration < '3600000000000'
ExecutionDuration < 3600000000000
ExecutionDuration < 1.5
ExecutionDuration < '1us'
ExecutionDuration < '1µs'
ExecutionDuration < '1ms'
ExecutionDuration < '1ns'
ExecutionDuration < true
ExecutionDuration = '1h'
ExecutionDuration BETWEEN '0s' AND '1h'
ExecutionDuration IN ('1h', '2h')
ExecutionDuration IS NULL
ExecutionDuration IS NOT NULL
HistoryLength > 1
HistoryLength > '1'
HistoryLength > 'x'
HistoryLength > 1.5
HistoryLength > true
HistoryLength = 2
HistoryLength IS NULL
HistoryLength IS NOT NULL
HistoryLength IN (2,3)
HistoryLength IN (2,'x')
HistoryLength BETWEEN 1 AND 3
HistoryLength BETWEEN 1 AND 'x'
HistoryLength STARTS_WITH '1'
HistoryLength < 9999999999999999999999
StateTransitionCount > 0
StateTransitionCount IS NULL
TaskQueue = 'tq'
TaskQueue STARTS_WITH 't'
TaskQueue IS NULL
ParentWorkflowId IS NULL
ParentWorkflowId IS NOT NULL
ParentRunId IS NULL
RootWorkflowId = '@w1'
RootWorkflowId IS NULL
RootRunId IS NULL
BuildIds = 'x'
BuildIds IS NULL
TemporalChangeVersion = 'x'
TemporalChangeVersion IN ('x','y')
TemporalScheduledById = 'x'
TemporalScheduledStartTime > '2024-01-01T00:00:00Z'
TemporalSchedulePaused = true
TemporalNamespaceDivision = 'x'
TemporalNamespaceDivision IS NULL
TemporalNamespaceDivision IS NOT NULL
TemporalNamespaceDivision = 'div'
TemporalNamespaceDivision STARTS_WITH ''
WorkflowType = 'T1' OR TemporalNamespaceDivision = 'div'
BatcherUser = 'x'
BinaryChecksums = 'x'
TemporalPauseInfo = 'x'
TemporalPauseInfo IS NULL
TemporalWorkerDeployment = 'x'
TemporalWorkerDeploymentVersion = 'x'
TemporalWorkflowVersioningBehavior = 'x'
TemporalWorkflowVersioningBehavior = 'AutoUpgrade'
$Keyword = 'a'
$Keyword = 'A'
$Keyword != 'a'
$Keyword NOT IN ('a')
NOT $Keyword = 'a'
$Keyword IN ('a','b')
$Keyword > 'a'
$Keyword BETWEEN 'a' AND 'b'
$Keyword STARTS_WITH 'a'
$Keyword NOT STARTS_WITH 'a'
$Keyword IS NULL
$Keyword IS NOT NULL
$Keyword = 1
$Keyword = 1.5
$Keyword = true
$Keyword = '1'
$Text = 'hello'
$Text = 'Hello'
$Text = 'hello there'
$Text = 'hello-there'
$Text = 'nothing'
$Text != 'hello'
$Text = '!!'
$Text = 'hel*'
$Text = 'hel'
$Text IS NULL
$Text IS NOT NULL
$Text = 'O''Brien'
$Text = 'NOT hello'
$Text = 'a OR b'
$Text = '世界'
$Text = 'cafe'
$Text = 'café'
$Text = 'CAFÉ'
$Text = 'snake_case'
$Text = 'snake'
NOT $Text = 'hello'
$Int = 5
$Int = '5'
$Int = 'x'
$Int = 5.0
$Int = 5.5
$Int = true
$Int != 5
$Int > 4
$Int >= 5
$Int < 5
$Int IN (5, 6)
$Int IN (5, 'x')
$Int IN ('5')
$Int NOT IN (5)
$Int BETWEEN 4 AND 6
$Int BETWEEN 6 AND 4
$Int NOT BETWEEN 4 AND 6
$Int STARTS_WITH '5'
$Int IS NULL
$Int = -5
$Int = +5
$Int = 5e0
$Int = 99999999999999999999
$Int = ''
$Double = 1.5
$Double > 1
$Double > 1.4
$Double = '1.5'
$Double = 'x'
$Double = true
$Double = 2
$Double BETWEEN 1 AND 2
$Double BETWEEN 1 AND 'x'
$Double IN (1.5, 2)
$Double STARTS_WITH '1'
$Double = 1.5e0
$Double < .5
$Double != 1.5
$Bool = true
$Bool = TRUE
$Bool = false
$Bool = 'true'
$Bool = 'x'
$Bool = 1
$Bool = 0
$Bool = 1.5
$Bool != true
$Bool IN (true, false)
$Bool IN (true)
$Bool > false
$Bool STARTS_WITH 't'
$Bool IS NULL
NOT $Bool = true
$Datetime > '2024-01-01T00:00:00Z'
$Datetime < 1800000000000000000
$Datetime BETWEEN '2024-01-01T00:00:00Z' AND '2025-01-01T00:00:00Z'
$Datetime IS NULL
$List = 'a'
$List = 'A'
$List = 'c'
$List != 'a'
$List IN ('a','z')
$List NOT IN ('a')
$List IS NULL
$List IS NOT NULL
$List = ''
$List = 'two words'
$List = 'two'
NOT $List = 'a'
$List = 'a' AND $List = 'b'
$List = 'a-b'
$Keyword = 'a' AND $Int > 4 AND ExecutionStatus = 'Running'
$Keyword = 'a' OR $Int > 4
($Keyword = 'a' OR $Keyword = 'b') AND NOT ($Int = 5)
WorkflowId = '@w1' AND ($Keyword = 'a' OR ($Int = 5 AND NOT $Bool = true))
not (WorkflowId = '@w1') and not WorkflowId = '@w2'
not not WorkflowId = '@w1'
WorkflowId = '@w1'
WorkflowId='@w1'AND WorkflowType='T1'
WorkflowId is not null and CloseTime is null
WorkflowId IN (5, '@w1')
WorkflowType > 'T1' AND WorkflowType < 'T3'
""".strip().split("\n")


def text(p, query):
    """The query with the names of this scenario."""
    query = re.sub(r"\$(Text|Keyword|Int|Double|Bool|Datetime|List)", lambda m: m.group(1) + p.ending[:6], query)
    return query.replace("@", p.id + "-")


async def note_list(p, query, scope=""):
    """What the query finds, in order, and how many; or why it is refused."""
    full = f"{scope}({text(p, query)})" if scope else text(p, query)
    try:
        listed = await p.ask("ListWorkflowExecutions", query=full)
        counted = await p.ask("CountWorkflowExecutions", query=full)
        p.note(query, " ".join(x.execution.workflow_id.rpartition("-")[2] for x in listed.executions), str(counted.count))
    except Refused as error:
        p.note(query, str(error.code), error.message.replace(p.ending[:6], "*"))


async def make_attributes(p):
    await p.ask("AddSearchAttributes", search_attributes={text(p, "$" + k): v for k, v in KINDS.items()})

    async def there():
        return text(p, "$Keyword") in (await p.ask("ListSearchAttributes")).custom_attributes
    await p.until(there, "the attributes")


async def start_runs(p):
    for name, (kind, values) in RUNS.items():
        fields = {k if k.startswith("Temporal") else text(p, "$" + k): payload(v) for k, v in values.items()}
        await p.ask("StartWorkflowExecution", workflow_id=f"{p.id}-{name}", workflow_type={"name": kind},
                    task_queue={"name": p.queue}, request_id=f"{p.id}-{name}",
                    search_attributes={"indexed_fields": fields} if fields else None)
    for name in CLOSED:
        await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": f"{p.id}-{name}"})

    async def seen():
        closed = await p.ask("CountWorkflowExecutions", query=f"TaskQueue = '{p.queue}' AND ExecutionStatus = 'Terminated'")
        everything = await p.ask("CountWorkflowExecutions",
                                 query=f"TaskQueue = '{p.queue}' AND TemporalNamespaceDivision STARTS_WITH '' "
                                       f"OR TaskQueue = '{p.queue}' AND TemporalNamespaceDivision IS NULL")
        return closed.count == len(CLOSED) and everything.count == len(RUNS)
    await p.until(seen, "the runs")


@scenario(alone=True, timeout=90)
async def lists_find(p):
    """Each operator on each type of attribute."""
    await make_attributes(p)
    await start_runs(p)
    for query in FOUND:
        await note_list(p, query, f"TaskQueue = '{p.queue}' AND ")
    for name in RUNS:
        if name not in CLOSED:
            await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": f"{p.id}-{name}"})
    await p.ask("RemoveSearchAttributes", search_attributes=[text(p, "$" + k) for k in KINDS])


@scenario(alone=True, timeout=90)
async def lists_refuse(p):
    """What is no query, or none that can be served."""
    await make_attributes(p)
    for query in REFUSED:
        await note_list(p, query)
    await p.ask("RemoveSearchAttributes", search_attributes=[text(p, "$" + k) for k in KINDS])


@scenario
async def lists_have_pages(p):
    """Pages of a list, a scan, of open and of closed runs; sizes that make no sense."""
    for i in range(5):
        await p.ask("StartWorkflowExecution", workflow_id=f"{p.id}-{i}", workflow_type={"name": "T"},
                    task_queue={"name": p.queue}, request_id=f"{p.id}-{i}")
    for i in range(2):
        await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": f"{p.id}-{i}"})
    query = f"TaskQueue = '{p.queue}'"

    async def seen():
        counted = await p.ask("CountWorkflowExecutions", query=query + " GROUP BY ExecutionStatus")
        return sorted(group.count for group in counted.groups) == [2, 3]
    await p.until(seen, "the runs")
    for name in ("ListWorkflowExecutions", "ScanWorkflowExecutions"):
        token = b""
        for page in range(3):
            answer = await p.ask(name, query=query, page_size=2, next_page_token=token)
            token = answer.next_page_token
            p.note(f"{name}, page {page}", *(x.execution.workflow_id.rpartition("-")[2] for x in answer.executions),
                   "more" if token else "the end")
        for size in (0, -1, 100000):
            answer = await p.ask(name, query=query, page_size=size)
            p.note(f"{name}, size {size}", str(len(answer.executions)))
    counted = await p.ask("CountWorkflowExecutions", query=query + " GROUP BY ExecutionStatus")
    p.note("groups", str(counted.count), *sorted(
        f"{group.group_values[0].data.decode()} {dict(group.group_values[0].metadata)} {group.count}" for group in counted.groups))
    for i in range(2, 5):
        await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": f"{p.id}-{i}"})
