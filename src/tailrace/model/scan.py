"""A scan of the whole table as the manifest remembers it: how far each of its parts is read and published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tailrace.model.documents import array, build

SCAN_SEGMENTS_MAX: Final = 1_000_000  # of AWS

ScanPosition: TypeAlias = Mapping[str, Mapping[str, str]]
"""A LastEvaluatedKey in DynamoDB JSON, binaries as base64 text."""


@dataclass(frozen=True, slots=True)
class ScanPart:
    """One scan segment. `after`: the LastEvaluatedKey of its last published page; None: none yet, or `is_done`.

    `pages` counts the published ones. A page without items counts like any other: only the missing key is the end.
    """

    after: ScanPosition | None = None
    pages: int = 0
    is_done: bool = False

    def __post_init__(self) -> None:
        if self.after is not None and not (self.after and all(len(typed) == 1 for typed in self.after.values())):
            raise ValueError(f"{self.after!r:.80} is no key")

    def to_json(self) -> dict[str, Any]:
        return {"after": self.after, "pages": self.pages, "is_done": self.is_done}


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far the base of `epoch` is scanned. The number of `parts` is TotalSegments: fixed for the scan's life.

    `finished_ms`: when the last page of the last part had been read. `last_number`: its newest segment, 0 before the first.
    `rows`, `bytes` (stored), `units` (read capacity units, as the service counted them): of all published pages.
    """

    epoch: int
    parts: tuple[ScanPart, ...]
    begun_ms: int
    finished_ms: int | None = None
    last_number: int = 0
    rows: int = 0
    bytes: int = 0
    units: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= SCAN_SEGMENTS_MAX:
            raise ValueError(f"a scan of {len(self.parts)} segments")

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "parts": [part.to_json() for part in self.parts],
            "begun_ms": self.begun_ms,
            "finished_ms": self.finished_ms,
            "last_number": self.last_number,
            "rows": self.rows,
            "bytes": self.bytes,
            "units": self.units,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ScanState:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no state."""
        return build(cls, {**value, "parts": tuple(build(ScanPart, part) for part in array(value["parts"]))})
