"""The frames of a load: the same columns, rows, order keys and quarantine as in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from spark_world import TABLE, World, awkward_items

from tailrace.decide.load import side_by_side
from tailrace.decide.schema import plan_columns
from tailrace.decide.spread import parts
from tailrace.errors import SegmentCorrupt, SegmentMissing, ServiceUnavailable
from tailrace.model.keys import KeySchema
from tailrace.model.positions import CLASS_CHANGE, order_key
from tailrace.runtimes.spark.frames import by_range, decoded, surveyed, worked
from tailrace.runtimes.spark.session import failures_in_words
from tailrace.targets.planning import incoming
from tailrace.targets.target import Limits
from tailrace.testing.target_contract import COMPOSITE, MIXED, NUMBER, PK, Change, delete, put


def sorted_rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def collected(frame: Any) -> pa.Table:
    return pa.Table.from_batches(frame._collect_as_arrow())


@pytest.mark.parametrize("keys", [PK, NUMBER, COMPOSITE, MIXED], ids=["S", "N", "S+S", "N+B"])
def test_every_value_comes_through_as_one_process_decodes_it(spark: Any, tmp_path: Path, keys: KeySchema) -> None:
    world = World(tmp_path, keys)
    items = awkward_items(keys)
    for first in range(0, len(items), 20):
        world.publish([Change("r", item) for item in items[first : first + 20]])
    one = world.decoded(world.segments)
    job, cut = world.job(), parts([[s] for s in world.segments], 1)
    survey = surveyed(spark, job, cut)
    assert survey.seen == one.seen
    assert [s.rows for s in survey.loaded] == list(one.rows)
    columns = plan_columns((), survey.seen, keys).columns
    assert {c.type.kind for c in columns} >= {"string", "number_text", "json", "binary", "bool", "list_string"}
    found, expected = collected(decoded(spark, job, columns, cut)), incoming(one.table, columns)
    assert found.schema.names == expected.schema.names
    assert sorted_rows(found) == sorted_rows(expected)


def test_a_number_that_only_the_last_file_needs_wide_is_wide_in_all(spark: Any, tmp_path: Path) -> None:
    world = World(tmp_path, PK)
    world.publish([put(1, "a", n={"N": "9007199254740993"})], kind="stream")
    world.publish([put(2, "b", n={"N": "0.12345678901234567890"})], kind="stream")
    world.publish([put(3, "c", n={"N": "1E-130"}), delete(4, "a")], kind="stream")
    job, cut = world.job(), parts([[s] for s in world.segments], 1)
    columns = plan_columns((), surveyed(spark, job, cut).seen, PK).columns
    found = collected(decoded(spark, job, columns, cut))
    place = next(n for n, c in enumerate(columns) if c.attribute == "n")
    assert found[f"c{place}"].to_pylist() == ["9007199254740993", "0.1234567890123456789", "1E-130", None]
    assert found["op"].to_pylist() == ["u", "u", "u", "d"]
    assert found["pos"].to_pylist() == [order_key(1, CLASS_CHANGE, n) for n in (1, 2, 3, 4)]


def test_what_cannot_be_represented_is_set_aside_as_one_process_sets_it_aside(spark: Any, tmp_path: Path) -> None:
    lines = [
        put(1),
        b'{"Item": {"pk": {"S": "x"}, "n": {"N": "1e200"}}}',
        put(2, "b", s={"S": "a\0b"}),
        b"{",
        put(3, "c"),
    ]
    worlds = [World(tmp_path / name, PK) for name in ("spark", "one")]
    for world in worlds:
        world.publish(lines, kind="stream")
        world.publish([put(9, "z")], kind="stream")
    limits = Limits(nul=False)
    job, cut = worlds[0].job(limits), parts([[s] for s in worlds[0].segments], 1)
    survey = surveyed(spark, job, cut)
    assert [(s.rows, s.quarantined) for s in survey.loaded] == [(2, 3), (1, 0)]
    columns = plan_columns((), survey.seen, PK).columns
    assert collected(decoded(spark, job, columns, cut))["c0"].to_pylist() == ["a", "c", "z"]

    worlds[1].load_in_one_process(limits)
    there = [[(file.name, file.records) for file in world.landing.quarantined()] for world in worlds]
    assert there[0] == there[1] != []
    surveyed(spark, job, cut)
    assert len(list(worlds[0].landing.quarantine_names())) == 1, "a repeated task set the same aside twice"


def test_compacted_segments_are_read_side_by_side_and_still_say_where_their_own_lines_stand(
    spark: Any, tmp_path: Path
) -> None:
    world = World(tmp_path, PK)
    for number in range(1, 6):
        world.publish([put(number, f"k{number}"), *([b"{"] if number == 3 else [])], kind="stream")
    world.compact()
    groups = side_by_side(world.segments)
    assert len(groups) == 1
    survey = surveyed(spark, world.job(), parts(groups, 1 << 20))
    assert [(s.segment.number, s.rows, s.quarantined) for s in survey.loaded] == [
        (1, 1, 0), (2, 1, 0), (3, 1, 1), (4, 1, 0), (5, 1, 0),
    ]  # fmt: skip
    columns = plan_columns((), survey.seen, PK).columns
    found = collected(decoded(spark, world.job(), columns, parts(groups, 1 << 20)))
    assert found["c0"].to_pylist() == ["k1", "k2", "k3", "k4", "k5"]


def test_damage_is_told_in_its_own_words_with_its_place(spark: Any, tmp_path: Path) -> None:
    world = World(tmp_path, PK)
    world.publish([put(1)], kind="stream")
    bad = world.publish([put(2, "b")], kind="stream", rows=2)
    with pytest.raises(SegmentCorrupt, match="holds 1 records where the manifest says 2") as caught:
        surveyed(spark, world.job(), parts([[s] for s in world.segments], 1))
    assert caught.value.facts["segment"] == bad.name
    world.landing.store.delete(f"{TABLE}/{bad.name}")
    with pytest.raises(SegmentMissing) as missing:
        surveyed(spark, world.job(), parts([[s] for s in world.segments], 1))
    assert missing.value.facts["segment"] == bad.name


def test_a_segment_that_vanishes_between_the_passes_ends_the_job_in_words(spark: Any, tmp_path: Path) -> None:
    world = World(tmp_path, PK)
    segment = world.publish([put(1)], kind="stream")
    job, cut = world.job(), parts([[segment]], 1)
    columns = plan_columns((), surveyed(spark, job, cut).seen, PK).columns
    world.landing.store.delete(f"{TABLE}/{segment.name}")
    with pytest.raises(ServiceUnavailable, match="A segment that the manifest lists is gone"), failures_in_words():
        collected(decoded(spark, job, columns, cut))


def test_each_range_of_keys_has_one_task_with_all_changes_of_its_keys_also_without_any(
    spark: Any, tmp_path: Path
) -> None:
    world = World(tmp_path, NUMBER)
    for number in range(1, 5):
        texts = ("1", "1.0", "1E0", "10E-1")
        change = Change("u", {"pk": {"N": texts[number - 1]}, "v": {"N": str(number)}}, number)
        others = [Change("u", {"pk": {"N": str(n)}}, 100 * number + n) for n in range(2, 30)]
        world.publish([change, *others], kind="stream")
    job, cut = world.job(), parts([[s] for s in world.segments], 1)
    columns = plan_columns((), surveyed(spark, job, cut).seen, NUMBER).columns
    splits = [(5,), (12,), (13,), (100,)]
    frame = by_range(spark, job, columns, cut, [0], splits)
    found = worked(frame, splits, lambda number, rows: (number, sorted(rows["c0"].to_pylist())))
    per_range = [range(1, 5), range(5, 12), range(12, 13), range(13, 30), range(0)]
    assert found == [(n, sorted([*keys] * 4)) for n, keys in enumerate(per_range)]
