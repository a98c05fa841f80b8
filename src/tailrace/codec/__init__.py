"""DynamoDB JSON lines to Arrow: the native core or the Python reference, which keep one contract.

``docs/formats/decoding.md`` is the contract. Nothing here knows where bytes come from or go to.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tailrace.codec import events, reference
from tailrace.codec.tables import arrow_type, decoded_columns, field_index, project, unify
from tailrace.codec.types import BATCH_BYTES, CODEC_CONTRACT, META_FIELDS, Decoder, Engine, Rejected
from tailrace.decide.schema import plan_columns
from tailrace.errors import ConfigInvalid, NotFound, RecordInvalid, SegmentCorrupt
from tailrace.model import positions
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Seen, join_seen

__all__ = [
    "BATCH_BYTES",
    "META_FIELDS",
    "DecodedSegments",
    "Decoder",
    "Engine",
    "Rejected",
    "arrow_type",
    "decode",
    "decode_any",
    "decode_segments",
    "decoded_columns",
    "engine",
    "field_index",
    "fold_latest",
    "project",
    "unify",
]

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


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """Indices of the latest row per key. `keys` and `order` are column numbers. Raises OrderConflict."""
    return engine().fold_latest(table, keys, order)


def decode_any(source: bytes | str | Path) -> DecodedSegments:
    """Decode a file of an export, a segment, a Lambda event or what GetRecords gave; found out by looking.

    `source` is a path or the bytes themselves, gzip'd or not. The lines of an event are its records. Raises
    SegmentCorrupt, NotFound.
    """
    data = source if isinstance(source, bytes) else _read(Path(source))
    prefix = positions.order_prefix(1, positions.CLASS_CHANGE)
    if events.is_event(next(reference.inflate(data), b"")):
        data = events.segment_of(b"".join(reference.inflate(data)))
    return decode_segments([[data]], prefix)


def decode(source: bytes | str | Path) -> pa.Table:
    """`decode_any` for a person: the meta fields, then a column per attribute and type, named as in a target.

    Raises RecordInvalid when a line cannot be represented.
    """
    decoded = decode_any(source)
    for rejected in decoded.rejected[0]:
        raise RecordInvalid(
            f"A record cannot be represented: {rejected.reason}",
            hint="`tailrace decode` sets such records aside in a report and decodes the rest.",
            kind=rejected.kind,
            line=rejected.line,
            offset=rejected.offset,
        )
    columns = plan_columns((), decoded.seen, None, reserved=META_FIELDS).columns
    meta = decoded.table.select(range(len(META_FIELDS)))
    for name, array in zip((c.name for c in columns), project(decoded.table, columns).columns, strict=True):
        meta = meta.append_column(name, array)
    return meta


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"The file cannot be read: {error.strerror}", hint="Check its name.", path=path) from error
