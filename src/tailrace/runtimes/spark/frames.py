"""A load as Spark's frames: one task a part of the segments, then one a bucket of keys. The work itself is in `tasks`."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from tailrace.errors import TailraceError
from tailrace.model.schema import Column, Seen, join_seen
from tailrace.model.segments import Segment
from tailrace.runtimes.spark.session import failures_in_words, types
from tailrace.runtimes.spark.tasks import Job, Survey, rows, survey

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Part = Sequence[Sequence[Segment]]
Batches = Iterator[pa.RecordBatch]
Result = TypeVar("Result")

TASK: Final = "task"
FOUND: Final = "found"


def each(spark: SparkSession, count: int, work: Callable[[int], Result]) -> list[Result]:
    """`work` for 0, 1, … on the executors, a task each; results in order.

    Raises the TailraceError of the first task that had one: it would fail as it did, so Spark is not asked to try again.
    """

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                try:
                    found: Result | TailraceError = work(number)
                except TailraceError as error:
                    found = error
                yield pa.record_batch([[number], [pickle.dumps(found)]], names=[TASK, FOUND])

    frame = spark.range(0, count, 1, max(1, count)).mapInArrow(run, f"{TASK} long, {FOUND} binary")
    with failures_in_words():
        answers = {row[TASK]: pickle.loads(bytes(row[FOUND])) for row in frame.collect()}
    for number in range(count):
        if isinstance(answers[number], TailraceError):
            raise answers[number]
    return [answers[number] for number in range(count)]


def surveyed(spark: SparkSession, job: Job, parts: Sequence[Part]) -> Survey:
    """First pass: what all segments hold together, in their order."""
    found = each(spark, len(parts), lambda number: survey(job, parts[number]))
    seen: Seen = functools.reduce(join_seen, (part.seen for part in found), {})
    return Survey(seen, tuple(one for part in found for one in part.loaded))


def decoded(spark: SparkSession, job: Job, columns: Sequence[Column], parts: Sequence[Part]) -> DataFrame:
    """Second pass: all rows, as `planning.incoming` names them."""

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for group in parts[number]:
                    yield from rows(job, columns, group)

    return spark.range(0, len(parts), 1, max(1, len(parts))).mapInArrow(run, incoming_type(columns))


def by_key(frame: DataFrame, keys: Sequence[int], tasks: int) -> DataFrame:
    """The same rows, all of a key in one task. `keys`: the numbers of the key's columns."""
    return frame.repartition(tasks, *(f"c{number}" for number in keys))


def incoming_type(columns: Sequence[Column]) -> Any:
    """Spark's type of `planning.incoming`."""
    t = types()
    fields = [t.StructField(f"c{number}", spark_type(column)) for number, column in enumerate(columns)]
    meta = (("op", t.StringType()), ("ts", t.LongType()), ("pos", t.StringType()), ("expired", t.BooleanType()))
    return t.StructType([*fields, *(t.StructField(name, type_) for name, type_ in meta)])


def spark_type(column: Column) -> Any:
    """Spark's type of a column; Arrow's is `codec.arrow_type`."""
    t = types()
    kind, is_list = column.type.kind.removeprefix("list_"), column.type.kind.startswith("list_")
    match kind:
        case "int64":
            found = t.LongType()
        case "decimal":
            found = t.DecimalType(38, column.type.scale)
        case "binary":
            found = t.BinaryType()
        case "bool":
            found = t.BooleanType()
        case _:
            found = t.StringType()
    return t.ArrayType(found) if is_list else found
