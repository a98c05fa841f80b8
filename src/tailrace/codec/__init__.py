"""DynamoDB JSON lines to Arrow: chooses between the native core and the Python reference, which keep one contract.

``docs/formats/decoding.md`` is the contract. Nothing here knows where bytes come from or go to.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tailrace.codec import reference
from tailrace.codec.tables import arrow_type, decoded_columns, field_index, project, unify
from tailrace.codec.types import BATCH_BYTES, META_FIELDS, Decoded, Decoder, Rejected
from tailrace.errors import ConfigInvalid
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Seen, join_seen

__all__ = [
    "BATCH_BYTES",
    "META_FIELDS",
    "Decoded",
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
    "project",
    "unify",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """One implementation of the codec: `name` is ``native`` or ``python``."""

    name: str
    version: str
    decoder: Any  # a class that keeps `types.Decoder`, called with its keyword arguments
    fold_latest: Any


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
    from tailrace.codec import native

    if tailrace_core.CONTRACT != native.CONTRACT:
        raise ConfigInvalid(
            f"tailrace-core {tailrace_core.__version__} does not belong to this tailrace",
            hint="Install both packages in the same version, or set TAILRACE_CODEC=python.",
        )
    if tailrace_core.PROFILE != "release":
        log.warning("tailrace-core is a %s build and therefore slow", tailrace_core.PROFILE)
    return Engine("native", tailrace_core.__version__, native.NativeDecoder, native.fold_latest)


@functools.cache
def engine(name: str = "auto") -> Engine:
    """The codec by name: ``native``, ``python``, or ``auto`` (native where it is installed; TAILRACE_CODEC decides first)."""
    if name == "auto":
        name = os.environ.get("TAILRACE_CODEC", "auto")
    if name not in ("auto", "native", "python"):
        raise ConfigInvalid(
            f"There is no codec {name!r}", hint="TAILRACE_CODEC is one of auto, native, python."
        )
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
    """Several inputs under one schema. `rows` and `rejected` are per input, in input order; so are the rows of `table`."""

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

    Raises SegmentCorrupt when one of them is damaged; nothing is returned then.
    """

    def decode(part: Iterable[bytes]) -> tuple[list[pa.RecordBatch], Decoder]:
        decoder: Decoder = engine().decoder(order_prefix, keys=keys, known=known)
        batches = [batch for chunk in part for batch in decoder.push(chunk)]
        return batches + decoder.finish(), decoder

    if threads > 1:
        with ThreadPoolExecutor(threads, thread_name_prefix="tailrace-decode") as pool:
            decoded = list(pool.map(decode, parts))
    else:
        decoded = [decode(part) for part in parts]
    seen: Seen = {}
    for _, decoder in decoded:
        seen = join_seen(seen, decoder.seen)
    return DecodedSegments(
        table=unify([batch for batches, _ in decoded for batch in batches], seen),
        seen=seen,
        rows=tuple(decoder.rows for _, decoder in decoded),
        rejected=tuple(decoder.rejected for _, decoder in decoded),
    )


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """Indices of the latest row per key. `keys` and `order` are column numbers. Raises OrderConflict."""
    indices: pa.UInt64Array = engine().fold_latest(table, keys, order)
    return indices
