"""One load of a table on Spark: look at its segments, decode them, have each range of keys done by an executor, commit."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tailrace.aws import Aws, AwsSettings
from tailrace.codec import META_FIELDS
from tailrace.codec.tables import META_TYPES
from tailrace.decide.load import side_by_side
from tailrace.decide.spread import parts, ranges_wanted
from tailrace.model.segments import Segment
from tailrace.runtimes.spark.frames import by_range, surveyed, worked
from tailrace.runtimes.spark.tasks import Job, Site
from tailrace.targets.iceberg import IcebergTarget, spread
from tailrace.targets.target import Applied, Ledger, Load, LoadedSegment, TableSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SparkLoads:
    """Keeps `tailrace.jobs.load.LoadEngine` on Spark.

    `part_bytes`: compressed, of the segments that one task decodes. `range_bytes`: decoded, of the rows that one task lays out;
    it holds them in memory about three times.
    """

    spark: SparkSession
    target: IcebergTarget
    site: Site
    part_bytes: int = 32 << 20
    range_bytes: int = 128 << 20

    def takes(self, table: TableSpec, segments: Sequence[Segment]) -> bool:
        return spread.can_be_spread(table.mode, segments)

    def load(
        self, table: TableSpec, segments: Sequence[Segment], ledger: Ledger, loaded_ms: int
    ) -> tuple[Sequence[LoadedSegment], Applied]:
        job = Job(self.site, table.keys, self.target.limits, ledger.columns)
        found = surveyed(self.spark, job, self._parts(segments))
        some = pa.table([pa.nulls(len(found.moments), type_) for type_ in META_TYPES], names=META_FIELDS)
        some = some.set_column(1, META_FIELDS[1], pa.array(found.moments, META_TYPES[1]))
        load = Load(table, segments[0].epoch, found.loaded, some, found.seen, loaded_ms, ledger.fence)
        workers = self.spark.sparkContext.defaultParallelism
        ranges = ranges_wanted(found.bytes, self.range_bytes, workers)

        def run(share: spread.Share, fresh: Sequence[LoadedSegment]) -> list[spread.Outcome]:
            cut = self._parts([s.segment for s in fresh])
            log.info("%s: %d segments in %d tasks, %d ranges of keys", table.name, len(fresh), len(cut), share.ranges)
            frame = by_range(self.spark, job, share.columns, cut, share.key_places, share.splits)
            return worked(frame, share.splits, functools.partial(_work, self.site.aws, share))

        applied = spread.apply(self.target.lake, load, found.keys, ranges, run)
        return found.loaded, applied

    def _parts(self, segments: Sequence[Segment]) -> list[list[Sequence[Segment]]]:
        return parts(side_by_side(segments), self.part_bytes)


def _work(aws: AwsSettings, share: spread.Share, number: int, rows: pa.Table) -> spread.Outcome:
    """On an executor, with credentials of its own: the driver's may have expired since."""
    if spread.has_credentials(share):
        share = spread.renewed(share, _aws(aws).login())
    return spread.work(share, number, rows)


@functools.lru_cache(maxsize=8)
def _aws(settings: AwsSettings) -> Aws:
    return Aws(settings)
