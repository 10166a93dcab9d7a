# SPDX-License-Identifier: Apache-2.0
"""Messages and errors as lines of text that are the same on two servers that behave the same.

What differs from run to run is replaced: ids that servers make become "uuid 1", "uuid 2" in the order in which they
appear, times become "a time", tokens become "a token", the ending that a scenario's own names have becomes "*"."""
import re

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.protobuf import symbol_database
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
import temporalio.api.errordetails.v1  # noqa: F401: its types are unpacked by name
import temporalio.api.update.v1  # noqa: F401

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKENS = {"task_token", "next_page_token", "conflict_token"}
NUMBERS = {"task_id", "history_size_bytes", "last_heartbeat_timestamp", "rate_per_second"}
# Not compared: what a server says of itself, and its advice of the moment.
DROPPED = {"server_version", "stack_trace", "poller_scaling_decision", "backlog_count_hint"}
# Fields that one of the two servers sets and the other does not, with the reason; docs/compatibility.md lists them.
FIELDS = {
    "NamespaceInfo.limits": "newer servers tell them, and SDKs of 2026 look",
    "NamespaceInfo.Capabilities.worker_poll_complete_on_shutdown": "served here; in newer servers",
    "NamespaceInfo.Capabilities.poller_autoscaling": "served here; in newer servers",
    "NamespaceInfo.Capabilities.worker_heartbeats": "served here, and told; there they are off unless a setting says so",
    "WorkflowExecutionSignaledEventAttributes.request_id": "by it repeated signals are known after a restart; newer servers tell it",
    "GetSystemInfoResponse.Capabilities.nexus": "Nexus is not served",
}
VARYING = {"execution_duration", "current_retry_interval"}  # durations that are measured
LONG = re.compile(r"(.)\1{40,}")  # a run of one letter, told by its length
INCIDENT = re.compile(r"please retry \([0-9a-f]{8}\)")


class Names:
    """The ids of one scenario on one server, by the order in which they appear."""

    def __init__(self, ending):
        self.ending, self.seen, self.fields = ending, {}, set()

    def plain(self, text):
        text = UUID.sub(lambda m: f"uuid {self.seen.setdefault(m[0], len(self.seen) + 1)}", text)
        text = LONG.sub(lambda m: f"{m[1]}... ({len(m[0])} times)", INCIDENT.sub("please retry (...)", text))
        return text.replace(self.ending, "*")


def duration(value):
    seconds = value.seconds + value.nanos / 1e9
    return f"{seconds:.12g} s" if value.nanos % 1_000_000 == 0 else "some time"


def message_lines(message, names):
    """The fields that are set, in the order of their numbers, nested by indentation."""
    lines = []
    of = message.DESCRIPTOR.full_name.removeprefix(message.DESCRIPTOR.file.package + ".")
    for field, value in message.ListFields():
        full = f"{of}.{field.name}"
        if full in FIELDS:
            names.fields.add(full)
        elif field.name not in DROPPED and not is_no_limit(of, value) and not is_pause(message, of, field):
            lines += field_lines(field, value, names)
    return lines


def is_pause(message, of, field):
    """The pause before a run that continues another: what is left to a second after the start of that one."""
    return (of == "WorkflowExecutionStartedEventAttributes" and field.name == "first_workflow_task_backoff"
            and message.continued_execution_run_id and message.first_workflow_task_backoff.ToNanoseconds() <= 10 ** 9)


def is_no_limit(of, value):
    """A timeout of zero in a description, which says no more than one that is not there."""
    return of == "WorkflowExecutionConfig" and isinstance(value, Duration) and not value.ToNanoseconds()


def field_lines(field, value, names):
    if field.message_type and field.message_type.GetOptions().map_entry:
        lines = [f"{field.name}:"]
        inner = field.message_type.fields_by_name["value"]
        for key in sorted(value, key=names.plain):
            lines += ["  " + line for line in value_lines(inner, names.plain(str(key)), value[key], names)]
        return lines
    if field.is_repeated:
        lines = []
        for item in value:
            lines += value_lines(field, field.name + "[]", item, names)
        return lines
    return value_lines(field, field.name, value, names)


def value_lines(field, label, value, names):
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return submessage_lines(label, value, names)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return [f"{label}: {known.name if known else value}"]
    if field.name in TOKENS:
        return [f"{label}: a token"]
    if field.name in NUMBERS:
        return [f"{label}: a number"]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return [f"{label}: {names.plain(value.decode('utf-8', 'backslashreplace'))!r}"]
    if field.type == FieldDescriptor.TYPE_STRING:
        return [f"{label}: {names.plain(value)!r}"]
    return [f"{label}: {value}"]


def submessage_lines(label, value, names):
    if isinstance(value, Timestamp):
        return [f"{label}: {'a time' if value.seconds > 0 else 'no time'}"]
    if isinstance(value, Duration):
        return [f"{label}: {'a duration' if label in VARYING else duration(value)}"]
    if isinstance(value, Payload):
        metadata = ", ".join(f"{k}={value.metadata[k].decode('utf-8', 'backslashreplace')}" for k in sorted(value.metadata))
        text = names.plain(value.data.decode("utf-8", "backslashreplace"))
        return [f"{label}: payload {text[:200]!r}{f' of {len(text)} bytes' if len(text) > 200 else ''} ({metadata})"]
    if isinstance(value, HistoryEvent):
        return event_lines(value, names)
    if isinstance(value, Any):
        return [f"{label}:"] + ["  " + line for line in any_lines(value, names)]
    return [f"{label}:"] + ["  " + line for line in message_lines(value, names)]


def event_lines(event, names):
    lines = [f"{event.event_id} {EventType.Name(event.event_type).removeprefix('EVENT_TYPE_')}"]
    for field, value in event.ListFields():
        if field.name in ("event_id", "event_type", "event_time", "task_id"):
            continue
        if field.containing_oneof:
            lines += ["    " + line for line in message_lines(value, names)]
        else:
            lines += ["    " + line for line in field_lines(field, value, names)]
    return lines


def any_lines(packed, names):
    """An Any: its type's short name, and its fields when the type is known."""
    full = packed.type_url.rpartition("/")[2]
    try:
        message = GetMessageClass(symbol_database.Default().pool.FindMessageTypeByName(full))()
    except KeyError:
        return [full]
    packed.Unpack(message)
    return [full.rpartition(".")[2]] + ["  " + line for line in message_lines(message, names)]


def error_lines(error, names):
    """A frame.Refused: code, message, details."""
    if error.code == "DEADLINE_EXCEEDED":  # said by the client or by the server, whoever is first
        return [f"error {error.code}"]
    lines = [f"error {error.code}: {names.plain(error.message)}"]
    for packed in error.details:
        inner = any_lines(packed, names)
        lines += [f"  detail {inner[0]}"] + ["  " + line for line in inner[1:]]
    return lines
