"""Point-in-time recovery and exports as DynamoDB has them: five calls, and the objects that an export leaves in S3.

What is remembered of a table begins when recovery is switched on, and again when the endpoint starts: it is kept in memory only.
An export takes five minutes of the movable clock; its objects appear when somebody asks after that, or when the clock is moved.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tailrace.local.emulator import Emulator, Owner, ServiceError
from tailrace.local.export_files import ExportFacts, export_objects, full_lines, incremental_lines, started_marker
from tailrace.local.history import TableHistory

LAG_SECONDS: Final = 300  # of what can be restored
RECOVERY_DAYS: Final = 35
TOKEN_SECONDS: Final = 8 * 3600  # a client token is remembered so long after the export has ended
LIST_MAX: Final = 25
WINDOW_SECONDS: Final = (15 * 60, 24 * 3600)


Image: TypeAlias = Mapping[str, Any] | None


@dataclass(slots=True)
class Recovery:
    """Point-in-time recovery of one table. `begun` is the movable clock's Unix seconds."""

    begun: float
    days: int
    table_id: str
    history: TableHistory


@dataclass(slots=True)
class Export:
    """One export, from the request to its end."""

    arn: str
    owner: Owner
    table: str
    table_arn: str
    table_id: str
    request: Mapping[str, Any]  # as it came, without the token
    token: str
    started: float
    moment: float  # of a full export; of a window its end
    window: tuple[float, float] | None
    history: TableHistory
    status: str = "IN_PROGRESS"
    ended: float = 0.0
    failure: tuple[str, str] = ("", "")
    items: int = 0
    billed_bytes: int = 0
    manifest_key: str = ""


@dataclass(slots=True)
class Failure:
    """What the next export of a table ends with: one data file is written, and nothing after it."""

    code: str
    message: str = "planned"


@dataclass(slots=True)
class _Table:
    recovery: Recovery | None = None
    failures: deque[Failure] = field(default_factory=deque)


class Backups:
    """All tables' recovery, and all exports. `now` gives the movable clock's Unix seconds."""

    def __init__(self, emulator: Emulator, now: Callable[[], float], *, export_seconds: float, seed: int) -> None:
        self._emulator = emulator
        self._now = now
        self._export_seconds = export_seconds
        self._random = random.Random(seed)
        self._tables: dict[tuple[Owner, str], _Table] = {}
        self._exports: dict[str, Export] = {}
        emulator.watch(self._written)

    # ---- the calls

    async def describe(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        await self._described(str(request.get("TableName", "")), owner)
        return self._description(owner, str(request.get("TableName", "")))

    async def update(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        name = str(request.get("TableName", ""))
        specification = request.get("PointInTimeRecoverySpecification") or {}
        table = await self._described(name, owner)
        days = specification.get("RecoveryPeriodInDays", RECOVERY_DAYS)
        if not isinstance(days, int) or not 1 <= days <= RECOVERY_DAYS:
            raise ServiceError("ValidationException", f"RecoveryPeriodInDays must be 1 to {RECOVERY_DAYS}")
        kept = self._tables.setdefault((owner, name), _Table())
        if not specification.get("PointInTimeRecoveryEnabled"):
            kept.recovery = None
        elif kept.recovery is None:
            kept.recovery = await self._begin(table, owner, days)
        else:
            kept.recovery.days = days
        return self._description(owner, name)

    async def export(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        """ExportTableToPointInTime."""
        arn = str(request.get("TableArn", ""))
        if ":table/" not in arn:
            raise ServiceError("ValidationException", "Invalid table ARN")
        if request.get("S3Prefix") == "" or not request.get("S3Bucket"):
            raise ServiceError("ValidationException", "S3Bucket and, where it is given, S3Prefix must not be empty")
        owner, name = Owner.of_arn(arn), arn.rpartition(":table/")[2]
        try:
            await self._described(name, owner)
        except ServiceError as error:
            raise ServiceError("TableNotFoundException", str(error)) from error
        plain = {key: value for key, value in request.items() if key != "ClientToken"}
        token = str(request.get("ClientToken") or f"{self._random.getrandbits(128):032x}")
        repeated = self._of_token(token)
        if repeated is not None:
            if repeated.request != plain:
                raise ServiceError("ExportConflictException", "Duplicate request detected")
            return {"ExportDescription": _described_export(repeated)}
        export = self._new_export(arn, owner, name, plain, token)
        self._exports[export.arn] = export
        await self._put(export, *started_marker(_facts(export)))
        return {"ExportDescription": _described_export(export)}

    async def describe_export(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        arn = str(request.get("ExportArn", ""))
        if "/export/" not in arn:
            raise ServiceError("ValidationException", "Invalid Export ARN")
        await self.settle()
        if arn not in self._exports:
            raise ServiceError("ExportNotFoundException", f"Export not found: {arn}")
        return {"ExportDescription": _described_export(self._exports[arn])}

    async def list_exports(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        await self.settle()
        limit, only, start = request.get("MaxResults", LIST_MAX), request.get("TableArn"), request.get("NextToken")
        if not isinstance(limit, int) or not 1 <= limit <= LIST_MAX:
            raise ServiceError("ValidationException", f"MaxResults must be 1 to {LIST_MAX}")
        found = [
            export
            for arn, export in sorted(self._exports.items(), reverse=True)
            if export.owner == owner and only in (None, export.table_arn) and (start is None or arn < start)
        ]
        more = {"NextToken": found[limit - 1].arn} if len(found) > limit else {}
        return {"ExportSummaries": [_summary(export) for export in found[:limit]], **more}

    # ---- what happens meanwhile

    async def settle(self) -> None:
        """End the exports whose time is over."""
        for export in self._exports.values():
            if export.status == "IN_PROGRESS" and self._now() >= export.started + self._export_seconds:
                await self._finish(export)

    def fail_next(self, table: str, code: str) -> None:
        """The next export of this table to end will end as FAILED with this code, its files half written."""
        for (_, name), kept in self._tables.items():
            if name == table:
                kept.failures.append(Failure(code))
                return
        raise LookupError(f"point-in-time recovery was never on for a table {table!r}")

    def forget(self, table: str, owner: Owner) -> None:
        """The table is gone. Its exports are still described."""
        self._tables.pop((owner, table), None)

    def _written(
        self, table_arn: str, key_names: list[str], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
    ) -> None:
        kept = self._tables.get((Owner.of_arn(table_arn), table_arn.rpartition(":table/")[2]))
        if kept is None or kept.recovery is None:
            return
        image = new or old
        assert image is not None
        keys = {name: copy.deepcopy(image[name]) for name in key_names}
        kept.recovery.history.record(keys, None if new is None else copy.deepcopy(dict(new)), self._micros())

    def _micros(self) -> int:
        return int(self._now() * 1_000_000)

    # ---- inside the calls

    async def _begin(self, table: Mapping[str, Any], owner: Owner, days: int) -> Recovery:
        """What stands in the table now is where its history begins."""
        history = TableHistory(self._micros())
        names = [key["AttributeName"] for key in table["KeySchema"]]
        request: dict[str, Any] = {"TableName": table["TableName"]}
        while True:
            page = await self._emulator.call("Scan", request, owner)
            for item in page["Items"]:
                history.record({name: item[name] for name in names}, item, history.begin_us - 1)
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return Recovery(self._now(), days, table["TableId"], history)

    def _range(self, recovery: Recovery) -> tuple[float, float]:
        now = self._now()
        return max(recovery.begun, now - recovery.days * 86_400), now - LAG_SECONDS

    def _description(self, owner: Owner, name: str) -> dict[str, Any]:
        kept = self._tables.get((owner, name))
        recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if kept is not None and kept.recovery is not None:
            earliest, latest = self._range(kept.recovery)
            recovery = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": kept.recovery.days,
                "EarliestRestorableDateTime": earliest,
                "LatestRestorableDateTime": max(earliest, latest),
            }
        status = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
        return {"ContinuousBackupsDescription": status}

    def _new_export(self, arn: str, owner: Owner, name: str, request: Mapping[str, Any], token: str) -> Export:
        kept = self._tables.get((owner, name))
        if kept is None or kept.recovery is None:
            raise ServiceError(
                "PointInTimeRecoveryUnavailableException", f"Point in time recovery is not enabled for {name}"
            )
        now, window = self._now(), None
        if request.get("ExportType", "FULL_EXPORT") == "INCREMENTAL_EXPORT":
            window = self._window(request, kept.recovery)
            moment = window[1]
        else:
            moment = request.get("ExportTime", now)
            if "ExportTime" in request:
                self._check_moments(kept.recovery, moment)
        number = self._random.getrandbits(32)
        return Export(
            arn=f"{arn}/export/{int(now * 1000):014d}-{number:08x}",
            owner=owner,
            table=name,
            table_arn=arn,
            table_id=kept.recovery.table_id,
            request=request,
            token=token,
            started=now,
            moment=moment,
            window=window,
            history=kept.recovery.history,
        )

    def _window(self, request: Mapping[str, Any], recovery: Recovery) -> tuple[float, float]:
        specification = request.get("IncrementalExportSpecification") or {}
        start = specification.get("ExportFromTime")
        if start is None:
            raise ServiceError("ValidationException", "ExportFromTime is missing")
        end = specification.get("ExportToTime", self._range(recovery)[1])
        if start >= end:
            message = "Incremental export period from time should not be greater or equal to incremental export period to time"
            raise ServiceError("InvalidExportTimeException", message)
        least, most = WINDOW_SECONDS
        if not least <= end - start <= most:
            message = "Difference between export period from time and to time must be 15 minutes to 24 hours"
            raise ServiceError("InvalidExportTimeException", message)
        self._check_moments(recovery, start, end)
        return start, end

    def _check_moments(self, recovery: Recovery, *moments: float) -> None:
        earliest, latest = self._range(recovery)
        if not all(earliest <= moment <= latest for moment in moments):
            raise ServiceError("InvalidExportTimeException", "The moment is outside what can be restored")

    def _of_token(self, token: str) -> Export | None:
        for export in self._exports.values():
            remembered = export.status == "IN_PROGRESS" or self._now() < export.ended + TOKEN_SECONDS
            if export.token == token and remembered:
                return export
        return None

    async def _described(self, name: str, owner: Owner) -> dict[str, Any]:
        return dict((await self._emulator.call("DescribeTable", {"TableName": name}, owner))["Table"])

    # ---- the end of an export

    async def _finish(self, export: Export) -> None:
        export.ended = export.started + self._export_seconds
        facts = _facts(export)
        if facts.window_ms is None:
            lines = full_lines(export.history.state_at(int(export.moment * 1_000_000)))
        else:
            start, end = facts.window_ms
            lines = incremental_lines(export.history.changes(start * 1000, end * 1000), facts.view)
        files = export_objects(facts, lines)
        kept = self._tables.get((export.owner, export.table))
        planned = kept.failures.popleft() if kept is not None and kept.failures else None
        for key, data in files.objects if planned is None else files.objects[:1]:
            if not await self._put(export, key, data):
                return
        if planned is not None:
            export.status, export.failure = "FAILED", (planned.code, planned.message)
            return
        export.status, export.items = "COMPLETED", files.items
        export.billed_bytes, export.manifest_key = files.billed_bytes, files.manifest_key

    async def _put(self, export: Export, key: str, data: bytes) -> bool:
        """Write an object; where that fails the export has failed, as AWS says only when it is too late to refuse it."""
        status = await self._emulator.put_object(export.request["S3Bucket"], key, data, export.owner)
        if status == 200:
            return True
        code = {404: "S3NoSuchBucket", 403: "S3AccessDenied"}.get(status, "S3InternalError")
        export.status, export.ended = "FAILED", self._now()
        export.failure = (code, f"S3 answered {status} to the export's objects")
        return False


def _facts(export: Export) -> ExportFacts:
    specification = export.request.get("IncrementalExportSpecification") or {}
    window = export.window
    return ExportFacts(
        export_arn=export.arn,
        table_arn=export.table_arn,
        table_id=export.table_id,
        bucket=export.request["S3Bucket"],
        prefix=export.request.get("S3Prefix"),
        started_ms=int(export.started * 1000),
        ended_ms=int(export.ended * 1000),
        moment_ms=int(export.moment * 1000),
        window_ms=None if window is None else (int(window[0] * 1000), int(window[1] * 1000)),
        view=specification.get("ExportViewType", "NEW_AND_OLD_IMAGES"),
    )


def _summary(export: Export) -> dict[str, Any]:
    kind = export.request.get("ExportType", "FULL_EXPORT")
    return {"ExportArn": export.arn, "ExportStatus": export.status, "ExportType": kind}


def _described_export(export: Export) -> dict[str, Any]:
    """As AWS answers: what is known only at the end appears at the end, and a type that was not asked for never does."""
    asked = ("S3Bucket", "S3BucketOwner", "S3Prefix", "S3SseAlgorithm", "S3SseKmsKeyId", "ExportType")
    described: dict[str, Any] = {
        "ExportArn": export.arn,
        "ExportStatus": export.status,
        "StartTime": export.started,
        "TableArn": export.table_arn,
        "TableId": export.table_id,
        "ClientToken": export.token,
        "ExportFormat": "DYNAMODB_JSON",
        **{name: export.request[name] for name in asked if name in export.request},
    }
    if export.window is None:
        described["ExportTime"] = export.moment
    else:
        start, end = export.window
        view = _facts(export).view
        described["IncrementalExportSpecification"] = {
            "ExportFromTime": start, "ExportToTime": end, "ExportViewType": view
        }  # fmt: skip
    if export.status != "IN_PROGRESS":
        described["EndTime"] = export.ended
    if export.status == "FAILED":
        described["FailureCode"], described["FailureMessage"] = export.failure
    if export.status == "COMPLETED":
        described |= {
            "ExportManifest": export.manifest_key,
            "ItemCount": export.items,
            "BilledSizeBytes": export.billed_bytes,
        }
    return described
