"""What both codecs take and give. The rules are in ``docs/formats/decoding.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import pyarrow as pa

from tailrace.model.schema import Seen

CODEC_CONTRACT: Final = 1
"""Of the border between this package and `tailrace_core`; both must agree."""

META_FIELDS: Final = ("_tr_op", "_tr_ts", "_tr_pos", "_tr_expired")
"""The first four fields of every decoded batch. An attribute may bear such a name too: go by position."""

BATCH_BYTES: Final = 8 << 20  # of uncompressed input in one batch
LINE_BYTES_MAX: Final = 16 << 20  # a 400 KB item with both images in its most verbose spelling fits
DEPTH_MAX: Final = 64  # DynamoDB allows 32
REJECTED_RAW_MAX: Final = 1 << 20  # bytes of a rejected line that are kept


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that cannot be represented: where it stands, why, its bytes (`cut`: only the first MiB)."""

    line: int
    offset: int
    kind: str
    reason: str
    raw: bytes
    cut: bool = False


class Decoder(Protocol):
    """One stream of DynamoDB JSON lines, gzip'd or not, pushed in pieces of any size.

    Raises SegmentCorrupt from `push` or `finish` when the gzip stream is damaged or cut; batches already
    returned must then be thrown away. `seen` and `rejected` are complete after `finish`.
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


@dataclass(frozen=True, slots=True)
class Engine:
    """One implementation of the codec.

    `decoder(order_prefix, *, keys=None, batch_bytes=…, line_bytes_max=…, known=None)` makes a `Decoder`.
    `known` pre-sets attributes and number ranges (counts are ignored), so that early batches are wide enough.
    `fold_latest(table, keys, order)`: see `tailrace.codec.fold_latest`.
    """

    name: Literal["native", "python"]
    version: str
    decoder: Callable[..., Decoder]
    fold_latest: Callable[[pa.Table, Sequence[int], int], pa.UInt64Array]
