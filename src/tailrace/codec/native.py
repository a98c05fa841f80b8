"""The native codec behind the same interface: turns `tailrace_core`'s plain tuples and errors into ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import tailrace_core

from tailrace.codec.reference import CONFLICT_HINT, HAS_ISAL, Inflater
from tailrace.codec.types import BATCH_BYTES, LINE_BYTES_MAX, Rejected
from tailrace.errors import OrderConflict, SegmentCorrupt
from tailrace.model.keys import KeySchema
from tailrace.model.schema import AttributeSeen, NumberRange, Seen


class NativeDecoder:
    """See `tailrace.codec.types.Decoder`."""

    def __init__(
        self,
        order_prefix: str,
        *,
        keys: KeySchema | None = None,
        batch_bytes: int = BATCH_BYTES,
        line_bytes_max: int = LINE_BYTES_MAX,
        known: Seen | None = None,
    ) -> None:
        # ISA-L inflates two to three times as fast as what is built into the core, so it goes first where it is installed.
        self._inflater = Inflater() if HAS_ISAL else None
        ranges = [
            (
                name,
                tag,
                *((n.int64, n.whole_digits, n.scale) if (n := seen.numbers) is not None else (True, 0, 0)),
            )
            for (name, tag), seen in (known or {}).items()
            if tag != "NULL"
        ]
        schema = None if keys is None else [(a.name, a.tag) for a in keys.attributes]
        self._core = tailrace_core.Decoder(
            order_prefix, schema, batch_bytes, line_bytes_max, ranges, self._inflater is not None
        )

    def push(self, data: bytes) -> list[pa.RecordBatch]:
        if self._inflater is None:
            return self._batches(self._core.push, data)
        return [batch for plain in self._inflater.push(data) for batch in self._batches(self._core.push, plain)]

    def finish(self) -> list[pa.RecordBatch]:
        rest = [] if self._inflater is None else list(self._inflater.finish())
        batches = [batch for plain in rest for batch in self._batches(self._core.push, plain)]
        return batches + self._batches(self._core.finish)

    def _batches(self, call: Callable[..., list[Any]], *data: bytes) -> list[pa.RecordBatch]:
        try:
            return [_record_batch(batch) for batch in call(*data)]
        except tailrace_core.CorruptError as error:
            raise _corrupt(error) from error

    @property
    def rows(self) -> int:
        return int(self._core.rows)

    @property
    def seen(self) -> Seen:
        return {
            (name, tag): AttributeSeen(count, None if int64 is None else NumberRange(int64, whole_digits, scale))
            for name, tag, count, int64, whole_digits, scale in self._core.seen()
        }

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return tuple(Rejected(*line) for line in self._core.rejected())


def _record_batch(exported: Any) -> pa.RecordBatch:
    """Names that hold a NUL come apart from the batch: the C interface would cut them."""
    batch = pa.record_batch(exported)
    if exported.names is None:
        return batch
    fields = [field.with_name(name) for field, name in zip(batch.schema, exported.names, strict=True)]
    return pa.record_batch(batch.columns, schema=pa.schema(fields))


def _corrupt(error: Exception) -> SegmentCorrupt:
    return SegmentCorrupt(str(error), hint="Fetch the file again; it is cut or damaged.")


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """See `tailrace.codec.types.Engine.fold_latest`."""
    try:
        return pa.array(tailrace_core.fold_latest(table, list(keys), order))
    except tailrace_core.OrderConflictError as error:
        message, row, _other = error.args
        raise OrderConflict(
            message,
            hint=CONFLICT_HINT,
            key=tuple(table.column(i)[row].as_py() for i in keys),
            position=table.column(order)[row].as_py(),
        ) from error
