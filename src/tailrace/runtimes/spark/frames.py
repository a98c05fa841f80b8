"""A load as Spark's frames: one task a part of the segments, then one a bucket of keys. The work itself is in `tasks`."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.decide.lake import Key
from tailrace.decide.spread import range_of
from tailrace.errors import DataInvalid, GapFound, TailraceError, UserFault
from tailrace.model.schema import Column
from tailrace.model.segments import Segment
from tailrace.runtimes.spark.session import failures_in_words, types
from tailrace.runtimes.spark.tasks import Job, Survey, rows, survey, together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Part = Sequence[Sequence[Segment]]
Batches = Iterator[pa.RecordBatch]
Result = TypeVar("Result")

TASK: Final = "task"
FOUND: Final = "found"
LABEL: Final = "label"
_ANSWER: Final = f"{TASK} long, {FOUND} binary"


def each(spark: SparkSession, count: int, work: Callable[[int], Result]) -> list[Result]:
    """`work` for 0, 1, … on the executors, a task each; results in order. Raises as `worked` does."""

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield _answer(number, functools.partial(work, number))

    return _answers(spark.range(0, count, 1, max(1, count)).mapInArrow(run, _ANSWER), range(count))


def _answer(task: int, work: Callable[[], Any]) -> pa.RecordBatch:
    """What a task did, or the error that it would have again; with any other one the task fails, and Spark repeats it."""
    try:
        found = work()
    except (UserFault, GapFound, DataInvalid) as error:
        found = error
    return pa.record_batch([[task], [pickle.dumps(found)]], names=[TASK, FOUND])


def _answers(frame: DataFrame, tasks: Sequence[int]) -> list[Any]:
    """The answers of these tasks, in this order. Raises the first error among them."""
    with failures_in_words():
        found = {row[TASK]: pickle.loads(bytes(row[FOUND])) for row in frame.collect()}
    for task in tasks:
        if isinstance(found[task], TailraceError):
            raise found[task]
    return [found[task] for task in tasks]


def surveyed(spark: SparkSession, job: Job, parts: Sequence[Part]) -> Survey:
    """First pass: what all segments hold together, in their order."""
    return together(each(spark, len(parts), lambda number: survey(job, parts[number])))


def decoded(spark: SparkSession, job: Job, columns: Sequence[Column], parts: Sequence[Part]) -> DataFrame:
    """Second pass: all rows, as `planning.incoming` names them."""
    return _decoded(spark, job, columns, parts, incoming_type(columns), lambda batch: batch)


def by_range(
    spark: SparkSession,
    job: Job,
    columns: Sequence[Column],
    parts: Sequence[Part],
    keys: Sequence[int],
    splits: Sequence[Key],
) -> DataFrame:
    """The same, those of a range of keys in one task, and of no other range; every range has a task, also without rows.

    `keys`: the numbers of the key's columns. In front comes a number that stands for the range; a row for each range holds
    nothing else.
    """
    t = types()
    labels = _labels(spark, len(splits) + 1)
    schema = t.StructType([t.StructField(LABEL, t.LongType()), *incoming_type(columns).fields])
    names = schema.names

    def labelled(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = zip(*(batch.column(place).to_pylist() for place in keys), strict=True)
        numbers = pa.array([labels[range_of(splits, key)] for key in found], pa.int64())
        return pa.record_batch([numbers, *batch.columns], names=names)

    rows = _decoded(spark, job, columns, parts, schema, labelled)
    nothing = (f"CAST(NULL AS {field.dataType.simpleString()}) AS {field.name}" for field in schema.fields[1:])
    each_label = f"explode(array({', '.join(f'{n}L' for n in labels)})) AS {LABEL}"
    return rows.union(spark.range(0, 1, 1, 1).selectExpr(each_label, *nothing)).repartition(len(labels), LABEL)


def _decoded(
    spark: SparkSession,
    job: Job,
    columns: Sequence[Column],
    parts: Sequence[Part],
    schema: Any,
    finish: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> DataFrame:
    def run(batches: Batches) -> Batches:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for group in parts[number]:
                    yield from map(finish, rows(job, columns, group))

    return spark.range(0, len(parts), 1, max(1, len(parts))).mapInArrow(run, schema)


def worked(frame: DataFrame, splits: Sequence[Key], work: Callable[[int, pa.Table], Result]) -> list[Result]:
    """`work` for each range of `by_range`, with its number and its rows; results in the order of ranges.

    Raises ServiceUnavailable where Spark gave up. An error of ours that would come again is raised as it is.
    """
    labels = _labels(frame.sparkSession, len(splits) + 1)
    numbers = {label: number for number, label in enumerate(labels)}

    def run(batches: Batches) -> Batches:
        held = pa.Table.from_batches(list(batches))
        [label] = set(held.column(0).to_pylist())
        rows = held.select(range(1, held.num_columns))
        yield _answer(label, functools.partial(work, numbers[label], rows.filter(pc.is_valid(rows["pos"]))))

    return _answers(frame.mapInArrow(run, _ANSWER), labels)


@functools.lru_cache(maxsize=64)
def _labels(spark: SparkSession, count: int) -> tuple[int, ...]:
    """A number for each range such that Spark's hash sends each to a task of its own, out of so many."""
    found: dict[int, int] = {}
    first = 0
    while len(found) < count:
        hashed = spark.range(first, first + 16 * count, 1, 1).selectExpr("id", f"pmod(hash(id), {count}) AS task")
        for row in hashed.collect():
            found.setdefault(row["task"], row["id"])
        first += 16 * count
    return tuple(found[task] for task in range(count))


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
