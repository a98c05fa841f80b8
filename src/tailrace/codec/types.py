"""What both codecs take and give. The rules are in ``docs/formats/decoding.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from tailrace.model.keys import KeySchema
from tailrace.model.schema import Seen

META_FIELDS: Final = ("_tr_op", "_tr_ts", "_tr_pos", "_tr_expired")
"""The first four fields of every decoded batch, in this order. An attribute may bear one of these names: go by position."""

BATCH_BYTES: Final = 8 << 20  # of uncompressed input in one batch
LINE_BYTES_MAX: Final = 16 << 20  # a 400 KB item with both images in its most verbose spelling fits
DEPTH_MAX: Final = 64  # DynamoDB allows 32
REJECTED_RAW_MAX: Final = 1 << 20  # bytes of a rejected line that are kept


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line that cannot be represented: where it stands, why, and its bytes (`cut`: only the first MiB of them)."""

    line: int
    offset: int
    kind: str
    reason: str
    raw: bytes
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """Everything that was in one or several inputs, under one schema, in input order."""

    table: pa.Table
    seen: Seen
    rejected: tuple[Rejected, ...]


class Decoder(Protocol):
    """One stream of DynamoDB JSON lines, gzip'd or not, pushed in pieces of any size.

    Raises SegmentCorrupt from `push` or `finish` when the gzip stream is damaged or cut; batches already returned must then
    be thrown away. `seen` and `rejected` grow while pushing and are complete after `finish`.
    """

    def push(self, data: bytes) -> list[pa.RecordBatch]:
        """Take more bytes; return the batches that became full, often none."""

    def finish(self) -> list[pa.RecordBatch]:
        """Say that the input has ended; return what is left. The decoder cannot be used after it."""

    @property
    def rows(self) -> int:
        """Good lines so far; they are rows in the batches, in order."""

    @property
    def seen(self) -> Seen: ...

    @property
    def rejected(self) -> tuple[Rejected, ...]: ...


class Engine(Protocol):
    """One implementation of the codec."""

    name: str  # "native" or "python"
    version: str

    def decoder(
        self,
        order_prefix: str,
        *,
        keys: KeySchema | None = None,
        batch_bytes: int = BATCH_BYTES,
        line_bytes_max: int = LINE_BYTES_MAX,
        known: Seen | None = None,
    ) -> Decoder:
        """A new decoder. `known` pre-sets attributes and number ranges (counts are ignored), so that early batches are wide enough."""

    def fold_latest(self, table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
        """Indices of the latest row per key. `keys` and `order` are column numbers. Raises OrderConflict."""
