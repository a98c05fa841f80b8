"""Faults on demand: which request is to be troubled, how, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

FaultKind: TypeAlias = Literal["error", "throttle", "slow", "lost_answer"]
KINDS: Final = get_args(FaultKind)


@dataclass(slots=True)
class Fault:
    """Strikes the next `count` requests of `operation` (None: any) on `table` (None: any).

    ``error``: answers `status` and does nothing. ``throttle``: the service's own throttling error.
    ``slow``: waits `seconds` first.
    ``lost_answer``: the request is carried out and the caller gets a 500.
    """

    kind: FaultKind
    operation: str | None = None
    table: str | None = None
    count: int = 1
    status: int = 500
    seconds: float = 1.0

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Fault:
        """Raises ValueError for what is no fault."""
        try:
            fault = cls(**request)
        except TypeError as error:
            raise ValueError(str(error)) from error
        if fault.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        return fault


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._pending.append(fault)

    def clear(self) -> None:
        self._pending.clear()

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._pending]

    def strike(self, operation: str, tables: str) -> Fault | None:
        """The fault that meets this request; `tables` is text in which a table's name would stand."""
        for fault in self._pending:
            if fault.operation in (None, operation) and (fault.table is None or fault.table in tables):
                fault.count -= 1
                if fault.count <= 0:
                    self._pending.remove(fault)
                return fault
        return None
