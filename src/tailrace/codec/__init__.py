"""DynamoDB JSON lines to Arrow: the native core or the Python reference, which keep one contract.

``docs/formats/decoding.md`` is the contract. Nothing here knows where bytes come from or go to.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tailrace.codec import events, reference
from tailrace.codec.reference import inflate
from tailrace.codec.tables import arrow_type, decoded_columns, field_index, project, unify, widen
from tailrace.codec.types import BATCH_BYTES, CODEC_CONTRACT, META_FIELDS, Decoder, Engine, Rejected
from tailrace.errors import ConfigInvalid, SegmentCorrupt
from tailrace.model import positions
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column, Seen, join_seen

__all__ = [
    "BATCH_BYTES",
    "META_FIELDS",
    "DecodedSegments",
    "Decoder",
    "Engine",
    "Rejected",
    "arrow_type",
    "decode_segments",
    "decoded_columns",
    "engine",
    "field_index",
    "fold_latest",
    "inflate",
    "named",
    "project",
    "records_of",
    "rejecting",
    "unify",
    "widen",
]

ORDER_PREFIX: Final = positions.order_prefix(1, positions.CLASS_CHANGE)  # for files without a landing zone

log = logging.getLogger(__name__)


@functools.cache
def _python() -> Engine:
    from tailrace import __version__

    return Engine("python", __version__, reference.ReferenceDecoder, reference.fold_latest)


@functools.cache
def _native() -> Engine | None:
    """None where `tailrace_core` is not installed; a broken or foreign one is an error."""
    try:
        import tailrace_core
    except ModuleNotFoundError as error:
        if error.name != "tailrace_core":
            raise
        return None
    if tailrace_core.CONTRACT != CODEC_CONTRACT:
        raise ConfigInvalid(
            f"tailrace-core {tailrace_core.__version__} does not belong to this tailrace",
            hint="Install both packages in the same version, or set TAILRACE_CODEC=python.",
        )
    if tailrace_core.PROFILE != "release":
        log.warning("tailrace-core is a %s build and therefore slow", tailrace_core.PROFILE)
    from tailrace.codec import native

    return Engine("native", tailrace_core.__version__, native.NativeDecoder, native.fold_latest)


@functools.cache
def engine(name: str = "auto") -> Engine:
    """The codec by name: ``native``, ``python``, or ``auto``, which is native where that is installed.

    TAILRACE_CODEC, where set, decides what ``auto`` is. Raises ConfigInvalid.
    """
    if name == "auto":
        name = os.environ.get("TAILRACE_CODEC") or "auto"
    if name not in ("auto", "native", "python"):
        raise ConfigInvalid(f"There is no codec {name!r:.40}", hint="TAILRACE_CODEC is one of auto, native, python.")
    if name == "python":
        return _python()
    found = _native()
    if found is None and name == "native":
        raise ConfigInvalid(
            "The native codec is not installed",
            hint="Install tailrace[fast], or set TAILRACE_CODEC=python.",
        )
    if found is None:
        log.info("tailrace-core is not installed: decoding in Python, which is slower and otherwise the same")
    return found or _python()


@dataclass(frozen=True, slots=True)
class DecodedSegments:
    """Several inputs under one schema: `rows` and `rejected` per input, rows of `table` input by input."""

    table: pa.Table
    seen: Seen
    rows: tuple[int, ...]
    rejected: tuple[tuple[Rejected, ...], ...]


def decode_segments(
    parts: Iterable[Iterable[bytes]],
    order_prefix: str,
    *,
    keys: KeySchema | None = None,
    known: Seen | None = None,
    threads: int = 1,
) -> DecodedSegments:
    """Decode whole files, each given as chunks of its bytes (gzip'd or plain).

    `order_prefix` begins every order key. Raises SegmentCorrupt when one file is damaged (`part` of its facts
    counts from 0); nothing is returned then.
    """

    def decode(number: int, part: Iterable[bytes]) -> tuple[list[pa.RecordBatch], Decoder]:
        decoder = engine().decoder(order_prefix, keys=keys, known=known)
        try:
            batches = [batch for chunk in part for batch in decoder.push(chunk)]
            return batches + decoder.finish(), decoder
        except SegmentCorrupt as error:
            error.facts["part"] = number
            raise

    if threads > 1:
        with ThreadPoolExecutor(threads, thread_name_prefix="tailrace-decode") as pool:
            decoded = list(pool.map(decode, itertools.count(), parts))
    else:
        decoded = list(map(decode, itertools.count(), parts))
    seen: Seen = functools.reduce(join_seen, (decoder.seen for _, decoder in decoded), {})
    return DecodedSegments(
        table=unify((batch for batches, _ in decoded for batch in batches), seen, known),
        seen=seen,
        rows=tuple(decoder.rows for _, decoder in decoded),
        rejected=tuple(decoder.rejected for _, decoder in decoded),
    )


def rejecting(
    decoded: DecodedSegments, reasons: Mapping[int, str], part: Callable[[int], Iterable[bytes]]
) -> DecodedSegments:
    """The same without these rows, which are rejected, each with its reason. `part` gives an input's bytes once more."""
    rows: list[int] = []
    rejected: list[tuple[Rejected, ...]] = []
    start = 0
    for number, (count, before) in enumerate(zip(decoded.rows, decoded.rejected, strict=True)):
        wanted = {row - start: why for row, why in reasons.items() if start <= row < start + count}
        more = reference.rejected_rows(part(number), wanted, before) if wanted else []
        rejected.append(tuple(sorted([*before, *more], key=lambda r: r.line)))
        rows.append(count - len(wanted))
        start += count
    kept = decoded.table.filter(pa.array(row not in reasons for row in range(start)))
    return DecodedSegments(kept, decoded.seen, tuple(rows), tuple(rejected))


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """Indices of the latest row per key. `keys` and `order` are column numbers. Raises OrderConflict."""
    return engine().fold_latest(table, keys, order)


def records_of(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """What a decoder takes, out of any file of records: a segment or a file of an export as it is, a Lambda event,
    what GetRecords gave or bare stream records as lines of a segment. Found out by looking; gzip'd or not.

    Raises SegmentCorrupt, at once or while iterating.
    """
    rest = iter(chunks)
    taken: list[bytes] = []
    head = b""
    for piece in inflate(_remembering(rest, taken)):
        head += piece[: events.HEAD_BYTES * 64]
        if len(head.strip()) >= events.HEAD_BYTES:
            break
    whole = itertools.chain(taken, rest)
    return events.segment_of(inflate(whole)) if events.is_event(head) else whole


def _remembering(chunks: Iterator[bytes], taken: list[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        taken.append(chunk)
        yield chunk


def named(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """The meta fields of a decoded table, then these columns of it under their names and types."""
    meta = table.select(range(len(META_FIELDS)))
    wanted = project(table, columns)
    schema = pa.schema([*meta.schema, *wanted.schema])
    return pa.Table.from_arrays([*meta.columns, *wanted.columns], schema=schema)
