"""What one executor does with its part of a load: look at segments, decode them, make rows of them. Knows no Spark.

Everything here may run twice, also at once, because Spark repeats what was lost: what is written has the name of its content.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa

from tailrace.aws import Aws, AwsSettings
from tailrace.codec import Decoder, Rejected, engine, field_index
from tailrace.codec.reference import rejected_rows
from tailrace.decide.load import order_prefix_of
from tailrace.errors import SegmentCorrupt, SegmentMissing
from tailrace.jobs.load import counted, known, set_aside
from tailrace.landing import Landing, open_store, split_url
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column, Seen, join_seen
from tailrace.model.segments import Segment
from tailrace.targets.planning import incoming, unfit
from tailrace.targets.target import Limits, LoadedSegment

SAMPLES: Final = (
    50  # rows of a batch, and of a part, that are looked at: ranges of keys need not be of quite the same weight
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a table's landing zone is, for a process that may be on another machine. `base`: of a relative url."""

    url: str
    base: str
    table: str
    aws: AwsSettings

    def landing(self) -> Landing:
        return _landing(self)


@functools.lru_cache(maxsize=8)  # a worker process serves many tasks, and a client of S3 takes a second to make
def _landing(site: Site) -> Landing:
    is_s3 = split_url(site.url)[0] == "s3"
    client = Aws(site.aws).client("s3") if is_s3 else None
    return Landing(open_store(site.url, client, Path(site.base)), site.table)


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks of a load share. `columns`: those that the target has before it."""

    site: Site
    keys: KeySchema
    limits: Limits
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the segments of a part hold, all that is rejected of them being set aside.

    `bytes`: decoded. Of some rows, evenly spread: `keys`, HASH first, and `moments` in microseconds, where they have one.
    """

    seen: Seen = field(default_factory=dict)
    loaded: tuple[LoadedSegment, ...] = ()
    bytes: int = 0
    keys: tuple[tuple[Any, ...], ...] = ()
    moments: tuple[int | None, ...] = ()


def together(found: Sequence[Survey]) -> Survey:
    """Of all, in order."""
    seen: Seen = {}
    for one in found:
        seen = join_seen(seen, one.seen)
    return Survey(
        seen,
        tuple(itertools.chain.from_iterable(one.loaded for one in found)),
        sum(one.bytes for one in found),
        tuple(itertools.chain.from_iterable(one.keys for one in found)),
        tuple(itertools.chain.from_iterable(one.moments for one in found)),
    )


def survey(job: Job, part: Sequence[Sequence[Segment]]) -> Survey:
    """Decode a part without keeping its rows. Raises SegmentMissing and SegmentCorrupt, with the segment in their facts."""
    found = together([_survey(job, group) for group in part])
    return replace(found, keys=_thinned(found.keys), moments=_thinned(found.moments))


def _thinned(sample: tuple[T, ...]) -> tuple[T, ...]:
    """At most `SAMPLES` of them, evenly spread: the driver holds those of all parts."""
    return sample[:: -(-len(sample) // SAMPLES) or 1]


def _survey(job: Job, group: Sequence[Segment]) -> Survey:
    landing = job.site.landing()
    reasons: dict[int, str] = {}
    row = size = 0
    keys: list[tuple[Any, ...]] = []
    moments: list[int | None] = []
    decoding = _batches(job, group, known(job.columns))
    while True:
        try:
            batch = next(decoding)
        except StopIteration as end:
            decoder: Decoder = end.value
            break
        size += batch.nbytes
        some = batch.take(pa.array(range(0, batch.num_rows, max(1, batch.num_rows // SAMPLES)), pa.int64()))
        keys += _keys(some, job.keys)
        moments += some.column(1).to_pylist()
        reasons |= {row + at: why for at, why in unfit(pa.Table.from_batches([batch]), job.limits).items()}
        row += batch.num_rows
    rejected: Sequence[Rejected] = decoder.rejected
    if len(group) > 1 and (rejected or reasons):
        return survey(job, [[segment] for segment in group])  # each says where its own lines stand
    if reasons:
        more = rejected_rows(landing.read_segment(group[0]), reasons, rejected)
        rejected = sorted([*rejected, *more], key=lambda r: r.line)
    loaded = counted(group, decoder.rows - len(reasons), len(rejected))
    set_aside(landing, group[0], rejected)
    return Survey(decoder.seen, loaded, size, tuple(keys), tuple(moments))


def _keys(batch: pa.RecordBatch, schema: KeySchema) -> list[tuple[Any, ...]]:
    """Keys as they were decoded."""
    places = [field_index(batch.schema, attribute.name, attribute.tag) for attribute in schema.attributes]
    columns = [batch.column(place).to_pylist() for place in places if place is not None]
    return list(zip(*columns, strict=True)) if len(columns) == len(places) else []


def rows(job: Job, columns: Sequence[Column], group: Sequence[Segment]) -> Generator[pa.RecordBatch, None, None]:
    """The rows of segments that were surveyed, as `planning.incoming` gives them.

    `columns` are those that follow from all surveys, so every value fits. Raises SegmentMissing and SegmentCorrupt.
    """
    fitting = 0
    decoding = _batches(job, group, known(columns))
    while True:
        try:
            batch = next(decoding)
        except StopIteration as end:
            decoder: Decoder = end.value
            break
        changes = pa.Table.from_batches([batch])
        reasons = unfit(changes, job.limits)
        if reasons:
            changes = changes.filter(pa.array(row not in reasons for row in range(changes.num_rows)))
        fitting += changes.num_rows
        yield from incoming(changes, columns).combine_chunks().to_batches()
    counted(group, fitting, len(decoder.rejected) + decoder.rows - fitting)


def _batches(job: Job, group: Sequence[Segment], seen: Seen) -> Generator[pa.RecordBatch, None, Decoder]:
    """Decoded batches; at its end the decoder."""
    landing = job.site.landing()
    decoder = engine().decoder(order_prefix_of(group[0]), keys=job.keys, known=seen)
    try:
        chunks = landing.read_segment(group[0]) if len(group) == 1 else [landing.read_neighbours(group)]
        for chunk in chunks:
            yield from decoder.push(chunk)
        yield from decoder.finish()
    except (SegmentMissing, SegmentCorrupt) as error:
        error.facts = {"table": landing.table, "segment": group[0].name, **error.facts}
        raise
    return decoder
