"""PITR exports through boto3: what Tailrace asks of DynamoDB's backups, and one table's answers. Knows calls, no rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from tailrace.aws import translate
from tailrace.errors import TailraceError
from tailrace.model.exports import Restorable, Window
from tailrace.model.keys import KeySchema
from tailrace.model.manifest import Incarnation

VIEW_TYPE: Final = "NEW_IMAGE"  # the old image costs space, and nothing that we keep needs it

CLOCK_SKEW_MS: Final = 3_600_000  # between AWS and us, when looking for an export that we may have begun

Status: TypeAlias = Literal["IN_PROGRESS", "COMPLETED", "FAILED"]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export and where to; the empty `prefix` is the bucket's root.

    `window` None: the whole table as it was at `moment`, in whole seconds. `view` is what a window shows.
    """

    bucket: str
    prefix: str
    token: str
    moment: int
    window: Window | None = None
    view: str = VIEW_TYPE


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """How an export to `prefix` of `bucket` stands. `window` and `moment` are as AWS echoes them.

    `code` and `message` say why it FAILED.
    """

    arn: str
    status: Status
    prefix: str
    moment: int | None = None
    window: Window | None = None
    items: int | None = None
    code: str = ""
    message: str = ""
    bucket: str = ""


class ExportSource(Protocol):
    """One table's backups. Raises Throttled, ServiceUnavailable, PermissionMissing, NotFound, UserFault."""

    def incarnation(self) -> Incarnation:
        """Which table answers under this name now. Its stream, if it has one, is no part of it."""

    def restorable(self) -> Restorable | None:
        """What can be exported now; None where point-in-time recovery is off."""

    def enable_recovery(self) -> None:
        """Switch point-in-time recovery on."""

    def start(self, request: ExportRequest) -> ExportAnswer:
        """Begin an export. Repeating a request within eight hours answers with the export that it began."""

    def describe(self, arn: str) -> ExportAnswer:
        """How it stands."""

    def find(self, prefix: str, since_ms: int) -> ExportAnswer | None:
        """An export to this prefix, not FAILED, that was begun after `since_ms`, by whomever."""


class DynamoDbExportSource:
    """`ExportSource` over a boto3 DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._table_arn = ""

    def incarnation(self) -> Incarnation:
        table = self._call("DescribeTable", self._client.describe_table, TableName=self._table)["Table"]
        self._table_arn = table["TableArn"]
        _, _, _, region, account, _ = self._table_arn.split(":", 5)
        return Incarnation(
            account=account,
            region=region,
            table=self._table,
            table_id=table["TableId"],
            stream_arn="",
            view_type="",
            key_schema=KeySchema.from_table_description(table),
        )

    def restorable(self) -> Restorable | None:
        answer = self._call(
            "DescribeContinuousBackups", self._client.describe_continuous_backups, TableName=self._table
        )
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED" or "LatestRestorableDateTime" not in recovery:
            return None
        earliest = recovery["EarliestRestorableDateTime"].timestamp()
        return Restorable(-int(-earliest // 1), int(recovery["LatestRestorableDateTime"].timestamp()))

    def enable_recovery(self) -> None:
        self._call(
            "UpdateContinuousBackups",
            self._client.update_continuous_backups,
            TableName=self._table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )

    def start(self, request: ExportRequest) -> ExportAnswer:
        what: dict[str, Any] = {"ExportType": "FULL_EXPORT", "ExportTime": _moment(request.moment)}
        if request.window is not None:
            what = {
                "ExportType": "INCREMENTAL_EXPORT",
                "IncrementalExportSpecification": {
                    "ExportFromTime": _moment(request.window.start),
                    "ExportToTime": _moment(request.window.end),
                    "ExportViewType": request.view,
                },
            }
        if request.prefix:
            what["S3Prefix"] = request.prefix
        answer = self._call(
            "ExportTableToPointInTime",
            self._client.export_table_to_point_in_time,
            TableArn=self._arn(),
            S3Bucket=request.bucket,
            ClientToken=request.token,
            ExportFormat="DYNAMODB_JSON",
            **what,
        )
        return _answer(answer["ExportDescription"])

    def describe(self, arn: str) -> ExportAnswer:
        return _answer(self._call("DescribeExport", self._client.describe_export, ExportArn=arn)["ExportDescription"])

    def find(self, prefix: str, since_ms: int) -> ExportAnswer | None:
        for summary in self._summaries():
            if _begun_ms(summary["ExportArn"]) < since_ms - CLOCK_SKEW_MS:
                return None
            if summary["ExportStatus"] == "FAILED":
                continue
            found = self.describe(summary["ExportArn"])
            if found.prefix == prefix and found.status != "FAILED":
                return found
        return None

    def exports(self) -> Iterator[ExportAnswer]:
        """All that AWS still lists, those of the last 90 days, newest first; one request for each."""
        return (self.describe(summary["ExportArn"]) for summary in self._summaries())

    def _summaries(self) -> Iterator[Any]:
        """Newest first."""
        request = {"TableArn": self._arn(), "MaxResults": 25}
        while True:
            page = self._call("ListExports", self._client.list_exports, **request)
            yield from page["ExportSummaries"]
            if "NextToken" not in page:
                return
            request["NextToken"] = page["NextToken"]

    def _arn(self) -> str:
        if not self._table_arn:
            self.incarnation()
        return self._table_arn

    def _call(self, operation: str, method: Any, **arguments: Any) -> Any:
        try:
            return method(**arguments)
        except Exception as error:
            raise _explained(translate(error, operation=operation, table=self._table)) from error


def _explained(error: TailraceError) -> TailraceError:
    """Refusals that a person can do something about, in a sentence."""
    code = error.facts.get("aws_code")
    if code == "PointInTimeRecoveryUnavailableException":
        error.hint = "Switch point-in-time recovery on, or set `enable_pitr = true`."
    elif code == "InvalidExportTimeException":
        error.hint = "The moment is outside what point-in-time recovery covers; see `tailrace status`."
    return error


def _answer(described: Any) -> ExportAnswer:
    window = described.get("IncrementalExportSpecification")
    moment = described.get("ExportTime")
    return ExportAnswer(
        arn=described["ExportArn"],
        status=described["ExportStatus"],
        prefix=described.get("S3Prefix", ""),
        moment=None if moment is None else _seconds(moment),
        window=None if not window else Window(_seconds(window["ExportFromTime"]), _seconds(window["ExportToTime"])),
        items=described.get("ItemCount"),
        code=described.get("FailureCode", ""),
        message=described.get("FailureMessage", ""),
        bucket=described.get("S3Bucket", ""),
    )


def _begun_ms(arn: str) -> int:
    """The last part of an export's ARN begins with the moment of its start, in milliseconds."""
    digits = arn.rpartition("/")[2].partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
