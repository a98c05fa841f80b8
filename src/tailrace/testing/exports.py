"""A table with point-in-time recovery, in memory: writes, exports in AWS's own layout, consistent reads.

For our tests and the simulator's. Its clock moves only when told to; its exports land in whatever store it is given.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.capture.exports import ExportAnswer, ExportRequest, Status
from tailrace.capture.table import Item
from tailrace.errors import NotFound, PermissionMissing, TailraceError, UserFault
from tailrace.landing.store import Store
from tailrace.local.export_files import ExportFacts, export_objects, full_lines, incremental_lines
from tailrace.local.history import TableHistory
from tailrace.model.exports import Restorable
from tailrace.model.keys import KeySchema
from tailrace.model.manifest import Incarnation
from tailrace.testing.tables import PAGE_ITEMS, MemoryTable

ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"


@dataclass(slots=True)
class _Export:
    request: ExportRequest
    arn: str
    begun: float
    status: Status = "IN_PROGRESS"
    code: str = ""


@dataclass
class ModelTable(MemoryTable):
    """Keeps `ExportSource` beside `TableSource`. `now` is Unix seconds.

    `lag_seconds`: how far what is restorable is behind. `export_seconds`: how long an export takes. `equal_images`: whether
    a window has a record for a key whose image it left as it was. `failing`: codes with which the next exports fail.
    `damaging`: what is wrong with the files of the next ones ("missing", "cut", "unfinished"). `errors`: by operation, the next
    calls fail so. `denied`: operations that answer AccessDenied.
    """

    store: Store
    name: str
    keys: KeySchema
    now: float
    lag_seconds: float = 300.0
    export_seconds: float = 300.0
    equal_images: bool = False
    partitions: int = 2
    recovery: bool = True
    table_id: str = "11111111-2222-3333-4444-555555555555"
    failing: list[str] = field(default_factory=list)
    damaging: list[str] = field(default_factory=list)
    errors: dict[str, list[TailraceError]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    history: TableHistory = field(default_factory=lambda: TableHistory(0))
    page_items: int = PAGE_ITEMS
    _exports: dict[str, _Export] = field(default_factory=dict)
    _recovery_begun: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(self.keys, self.page_items)

    # ---- writing

    def put(self, item: Item) -> None:
        """Write an item now; writing the same again is a write."""
        super().put(item)
        self.history.record({name: item[name] for name in self.keys.names}, item, int(self.now * 1_000_000))

    def delete(self, key: Item) -> None:
        """Delete an item now; of one that is not there nothing is recorded."""
        if super().get_items([key]):
            super().delete(key)
            self.history.record(key, None, int(self.now * 1_000_000))

    def state_at(self, seconds: float) -> list[Item]:
        """The items before a moment."""
        return list(self.history.state_at(int(seconds * 1_000_000)))

    def switch_recovery(self, on: bool) -> None:
        """Off and on again begins anew: nothing before it can be restored."""
        if on and not self.recovery:
            self._recovery_begun = self.now
        self.recovery = on

    def shorten_recovery(self, seconds: float) -> None:
        """Nothing older than this can be restored any more."""
        self._recovery_begun = max(self._recovery_begun, self.now - seconds)

    # ---- ExportSource

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.name}"

    def incarnation(self) -> Incarnation:
        self._meet("incarnation")
        return Incarnation(ACCOUNT, REGION, self.name, self.table_id, "", "", self.keys)

    def restorable(self) -> Restorable | None:
        self._meet("restorable")
        return self.covered()

    def covered(self) -> Restorable | None:
        """What recovery covers now, whatever a caller is told."""
        if not self.recovery:
            return None
        return Restorable(-int(-self._recovery_begun // 1), int(self.now - self.lag_seconds))

    def enable_recovery(self) -> None:
        self._meet("enable_recovery")
        self.switch_recovery(True)

    def start(self, request: ExportRequest) -> ExportAnswer:
        self._meet("start")
        for export in self._exports.values():
            if export.request.token == request.token:
                assert export.request == request, "a token was used for two requests"
                return self._answer(export)
        restorable = self.covered()
        if restorable is None:
            raise _refused("PointInTimeRecoveryUnavailableException", "recovery is off")
        start = request.moment if request.window is None else request.window.start
        if start < restorable.earliest or request.moment > restorable.latest:
            raise _refused("InvalidExportTimeException", "outside what can be restored")
        arn = f"{self.arn}/export/{int(self.now * 1000):014d}-{len(self._exports):08x}"
        export = self._exports[arn] = _Export(request, arn, self.now)
        return self._answer(export)

    def describe(self, arn: str) -> ExportAnswer:
        self._meet("describe")
        if arn not in self._exports:
            raise NotFound("There is no such export", hint="A model forgets.", arn=arn)
        export = self._exports[arn]
        if export.status == "IN_PROGRESS" and self.now >= export.begun + self.export_seconds:
            self._finish(export)
        return self._answer(export)

    def find(self, prefix: str, since_ms: int) -> ExportAnswer | None:
        self._meet("find")
        for export in reversed(self._exports.values()):
            if export.request.prefix == prefix and export.status != "FAILED":
                return self._answer(export)
        return None

    def _finish(self, export: _Export) -> None:
        if self.failing:
            export.status, export.code = "FAILED", self.failing.pop(0)
            return
        request = export.request
        window = None if request.window is None else (request.window.start * 1000, request.window.end * 1000)
        facts = ExportFacts(
            export_arn=export.arn,
            table_arn=self.arn,
            table_id=self.table_id,
            bucket=request.bucket,
            prefix=request.prefix,
            started_ms=int(export.begun * 1000),
            ended_ms=int(self.now * 1000),
            moment_ms=request.moment * 1000,
            window_ms=window,
            view="NEW_IMAGE",
        )
        if window is None:
            lines = full_lines(self.history.state_at(request.moment * 1_000_000))
        else:
            bounds = window[0] * 1000, window[1] * 1000
            lines = incremental_lines(self.history.changes(*bounds, equal_images=self.equal_images), facts.view)
        root = posixpath.dirname(request.prefix[: request.prefix.index(f"/{self.name}/") + 1])
        damage = self.damaging.pop(0) if self.damaging else ""
        for key, data in export_objects(facts, lines, self.partitions).objects:
            is_data = "/data/" in key
            if (damage == "missing" and is_data) or (damage == "unfinished" and key.endswith("manifest-summary.json")):
                damage = ""  # one object of it
                continue
            cut = 1 if damage == "cut" and is_data else 0
            self.store.create(key.removeprefix(f"{root}/"), data[: len(data) - cut])
        export.status = "COMPLETED"

    def _answer(self, export: _Export) -> ExportAnswer:
        request = export.request
        return ExportAnswer(export.arn, export.status, request.prefix, request.moment, request.window, code=export.code)

    def _meet(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.denied:
            raise PermissionMissing("not authorized", hint="It is a model.", operation=operation, table=self.name)
        if self.errors.get(operation):
            raise self.errors[operation].pop(0)

    # ---- TableSource

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        self._meet("get_items")
        return super().get_items(keys)


def _refused(code: str, message: str) -> UserFault:
    facts: Mapping[str, Any] = {"aws_code": code}
    return UserFault(message, hint="It is a model.", **facts)
