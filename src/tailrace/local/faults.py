"""Faults on demand: which request is to be troubled, how, and how often."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import unquote

from tailrace.local.streams import table_of_iterator

RequestFault: TypeAlias = Literal["error", "throttle", "slow", "lost_answer"]
StatementFault: TypeAlias = Literal[
    "statement_refused", "serialization", "statement_timeout", "statement_cancelled", "statement_slow", "connection_lost",
    "reply_lost",
]  # fmt: skip
EventFault: TypeAlias = Literal["event_lost", "event_twice", "event_late"]
RecordFault: TypeAlias = Literal["refuse_records"]
ChangeFault: TypeAlias = Literal["change_twice", "change_late"]
REQUEST_KINDS: Final = get_args(RequestFault)
STATEMENT_KINDS: Final = get_args(StatementFault)
EVENT_KINDS: Final = get_args(EventFault)
RECORD_KINDS: Final = get_args(RecordFault)
CHANGE_KINDS: Final = get_args(ChangeFault)
FUNCTIONS: Final = "/2015-03-31/functions/"
KINDS: Final = (*REQUEST_KINDS, *STATEMENT_KINDS, *EVENT_KINDS, *RECORD_KINDS, *CHANGE_KINDS)


@dataclass(slots=True)
class Fault:
    """Strikes `count` requests of `operation` (None: any) on `table` (None: any; for S3 a bucket), behind the next `skip`.

    ``error``: answers `status` and does nothing. ``throttle``: the service's own throttling error.
    ``slow``: waits `seconds` first.
    ``lost_answer``: the request is carried out and the caller gets a 500.

    ``event_lost``, ``event_twice``, ``event_late`` (by `seconds` of the movable clock): asynchronous calls of function `table`.

    ``refuse_records``: every second record of a PutRecordBatch to the delivery stream `table`.
    ``change_twice``, ``change_late`` (after the next one): changes of `table` on their way to Kinesis.

    The others strike statements in a warehouse: `operation` is a statement's first word, `table` a cluster or workgroup.
    ``statement_refused``: an error of its own. ``serialization``: error 1023. ``statement_cancelled``: as by CancelStatement.
    ``statement_slow``: it begins `seconds` later. ``connection_lost``: the connection ends, and the statement is not carried
    out. ``reply_lost``: it is carried out, then the connection ends.
    """

    kind: RequestFault | StatementFault | EventFault | RecordFault | ChangeFault
    operation: str | None = None
    table: str | None = None
    count: int = 1
    status: int = 500
    seconds: float = 1.0
    skip: int = 0

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Fault:
        """Raises ValueError for what is no fault."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in request if name not in known]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not known here; a fault has {', '.join(known)}")
        fault = cls(**request)
        check_count(fault.count)
        check_seconds(fault.seconds)
        if not isinstance(fault.skip, int) or fault.skip < 0:
            raise ValueError(f"skip is a number of requests that are left alone, not {fault.skip!r}")
        if not isinstance(fault.status, int) or not 400 <= fault.status <= 599:
            raise ValueError(f"status is 400 to 599, not {fault.status!r}")
        return fault


def check_count(value: object) -> int:
    """Raises ValueError for what is no number of requests."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"count is a number of requests, not {value!r}")
    return value


def check_seconds(value: object) -> float:
    """Raises ValueError for what nobody would wait for."""
    if not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise ValueError(f"seconds is 0 to 3600, not {value!r}")
    return value


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, fault: Fault) -> None:
        self._pending.append(fault)

    def clear(self) -> None:
        self._pending.clear()

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._pending]

    def strike(self, operation: str, tables: Set[str]) -> Fault | None:
        """The fault that meets this request, which counts as met."""
        return self._struck(REQUEST_KINDS, operation, tables)

    def strike_statement(self, verb: str, warehouse: str) -> Fault | None:
        """The fault that meets this statement, which counts as met."""
        return self._struck(STATEMENT_KINDS, verb, {warehouse})

    def strike_event(self, function: str) -> Fault | None:
        """The fault that meets this asynchronous call, which counts as met."""
        return self._struck(EVENT_KINDS, "Invoke", {function})

    def strike_change(self, table: str) -> Fault | None:
        """The fault that meets this change on its way to Kinesis, which counts as met."""
        return self._struck(CHANGE_KINDS, "", {table})

    def strike_records(self, delivery_stream: str) -> Fault | None:
        """The fault that meets this PutRecordBatch, which counts as met."""
        return self._struck(RECORD_KINDS, "PutRecordBatch", {delivery_stream})

    def _struck(self, kinds: Sequence[str], operation: str, tables: Set[str]) -> Fault | None:
        for fault in self._pending:
            if fault.kind not in kinds:
                continue
            if fault.operation in (None, operation) and (fault.table is None or fault.table in tables):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.count -= 1
                if fault.count == 0:
                    self._pending.remove(fault)
                return fault
        return None


def operation_of(method: str, path: str, query: str, target: str) -> str:
    """``PutItem`` from the target header; for S3 the call that method, path and query mean."""
    if target:
        return target.rpartition(".")[2]
    if path.startswith(FUNCTIONS):
        return "Invoke" if path.endswith("/invocations") else ""
    if path.strip("/").count("/") == 0:
        return {"GET": "ListObjectsV2", "PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(
            method, "DeleteObjects"
        )
    if "uploadId=" in query or query.startswith("uploads"):
        return {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}.get(
            method, "CompleteMultipartUpload" if "uploadId=" in query else "CreateMultipartUpload"
        )
    return {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}.get(method, "")


def tables_of(path: str, body: bytes) -> Set[str]:
    """What a request names: the tables of DynamoDB and Streams, a bucket, a warehouse, a function, a delivery stream."""
    if path.startswith(FUNCTIONS):
        return {function_name(unquote(path.removeprefix(FUNCTIONS).partition("/")[0]))}
    try:
        request = json.loads(body)
    except ValueError:
        return {path.strip("/").partition("/")[0]}
    if not isinstance(request, dict):
        return set()
    names = [request.get(name) for name in ("WorkgroupName", "ClusterIdentifier", "DeliveryStreamName")]
    names += [request.get("TableName"), request.get("StreamArn"), table_of_iterator(request.get("ShardIterator"))]
    names += request.get("RequestItems", ())
    names += [operation.get("TableName") for entry in request.get("TransactItems", ()) for operation in entry.values()]
    return {name.rpartition(":table/")[2].partition("/")[0] for name in names if isinstance(name, str)}


def function_name(reference: str) -> str:
    """The name of a Lambda function, of its name or ARN with or without a version."""
    return reference.split(":")[6] if reference.startswith("arn:") else reference.partition(":")[0]
