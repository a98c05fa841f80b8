"""An export as a stream of batches: what its manifests list, checked, exact, in order, and nothing left running."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from made_exports import DAMAGE, ITEMS, PREFIX, QUARTER, T0, Made, delete, full, upsert, window
from pyarrow import parquet

import tailrace
from tailrace.aws import Aws
from tailrace.codec import engine
from tailrace.errors import ExportInvalid, NotFound, RecordInvalid, TailraceError, UsageInvalid
from tailrace.inputs import find_inputs, open_place
from tailrace.reading import read_export, read_pieces

CHANGES = [
    upsert("k1", T0 + 0.000001, n={"N": "1.50"}),
    upsert("k20", T0 + 5, n={"N": "2"}, tags={"SS": ["b", "a"]}),
    delete("k2", T0 + 7),
    upsert("k3", T0 + 9, old={"id": {"S": "k3"}}, n={"S": "x"}, m={"M": {"a": {"L": [{"N": "1.0"}]}}}),
]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "tailrace-read":
            thread.join(10)
            assert not thread.is_alive()


def by_id(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(({k: v for k, v in row.items() if v is not None} for row in table.to_pylist()), key=lambda r: r["id"])


# ---- what is read -----------------------------------------------------------------------------------------


def test_a_full_export_is_its_items(tmp_path: Path) -> None:
    folder = full().copy(tmp_path)
    table = read_export(folder).read_all()
    assert table.select(["_tr_op", "id", "n"]).sort_by("n").to_pylist() == [
        {"_tr_op": "r", "id": f"k{i}", "n": i} for i in range(9)
    ]


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_a_window_is_its_changes_in_both_views(tmp_path: Path, view: str) -> None:
    folder = window(CHANGES, view=view).copy(tmp_path)
    rows = by_id(read_export(folder).read_all().drop_columns(["_tr_pos", "_tr_expired"]))
    at = T0 * 1_000_000
    assert rows == [
        {"_tr_op": "u", "_tr_ts": at + 1, "id": "k1", "n": Decimal("1.5")},
        {"_tr_op": "d", "_tr_ts": at + 7_000_000, "id": "k2"},
        {"_tr_op": "u", "_tr_ts": at + 5_000_000, "id": "k20", "n": Decimal(2), "tags": ["a", "b"]},
        {"_tr_op": "u", "_tr_ts": at + 9_000_000, "id": "k3", "n__s": "x", "m": '{"a":[1]}'},
    ]


@pytest.mark.parametrize("root", ["", "ddb/", f"{PREFIX}/", f"{PREFIX}/AWSDynamoDB/"])
@pytest.mark.parametrize("made", [full(), window(CHANGES)], ids=["full", "window"])
def test_the_folder_may_have_been_copied_anywhere_and_be_named_from_above(
    tmp_path: Path, root: str, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = made.copy(tmp_path / "copy", root)
    expected = (made.facts.window_ms is None and 9) or 4
    for source in (own, f"{own}/", own.parent, tmp_path / "copy", own / "manifest-summary.json"):
        assert read_export(source).read_all().num_rows == expected
    monkeypatch.chdir(own)
    assert read_export(".").read_all().num_rows == expected
    (tmp_path / "link").symlink_to(own)
    assert read_export(tmp_path / "link").read_all().num_rows == expected


def test_only_what_the_manifest_lists_is_read(tmp_path: Path) -> None:
    folder = full().copy(tmp_path)
    (folder / "data" / "stray.json.gz").write_bytes(gzip.compress(b'{"Item":{"id":{"S":"stray"}}}\n'))
    (folder / "data" / "half.json.gz.part").write_bytes(b"\x1f\x8b")
    window([upsert("other", T0)], number=7).copy(tmp_path / "other")
    assert {row["id"] for row in by_id(read_export(folder).read_all())} == {f"k{i}" for i in range(9)}


def test_windows_share_a_data_folder_and_are_read_apart(tmp_path: Path) -> None:
    first = window(CHANGES).copy(tmp_path)
    second = window([upsert("later", T0 + QUARTER)], T0 + QUARTER, T0 + 2 * QUARTER, number=2).copy(tmp_path)
    assert read_export(first).read_all().num_rows == 4
    assert read_export(second).read_all()["id"].to_pylist() == ["later"]


def test_empty_partitions_and_an_empty_export_are_no_trouble(tmp_path: Path) -> None:
    assert read_export(full(ITEMS[:1], partitions=9).copy(tmp_path / "one")).read_all()["n"].to_pylist() == [0]
    reader = read_export(full([]).copy(tmp_path / "none"))
    assert (reader.schema.names, reader.read_all().num_rows) == (["_tr_op", "_tr_ts", "_tr_pos", "_tr_expired"], 0)


def test_it_is_read_from_s3_as_from_disk(s3: Aws, tmp_path: Path) -> None:
    client = s3.client("s3")
    for made in (full(), window(CHANGES)):
        for key, data in made.objects.items():
            client.put_object(Bucket="lake", Key=key, Body=data)
    client.put_object(Bucket="lake", Key="loose/a.json", Body=b'{"Item":{"id":{"S":"loose"}}}')
    assert (
        read_export(f"s3://lake/{full().facts.folder}")
        .read_all()
        .equals(read_export(full().copy(tmp_path / "full")).read_all())
    )
    manifest = f"s3://lake/{window(CHANGES).facts.folder}/manifest-summary.json"
    endpoint = s3.settings.endpoint_url
    assert (
        read_export(manifest, endpoint_url=endpoint)
        .read_all()
        .equals(read_export(window(CHANGES).copy(tmp_path / "window")).read_all())
    )
    with pytest.raises(UsageInvalid, match="2 exports"):
        read_export(f"s3://lake/{PREFIX}")
    with pytest.raises(NotFound):
        read_export("s3://lake/nothing/here")
    assert tailrace.decode(f"s3://lake/{PREFIX}/").num_rows == 13
    assert tailrace.decode("s3://lake/loose/a.json")["id"].to_pylist() == ["loose"]
    assert tailrace.decode("s3://lake/loose")["id"].to_pylist() == ["loose"]
    client.delete_object(Bucket="lake", Key=full().data[0])
    with pytest.raises(ExportInvalid, match="is missing") as caught:
        read_export(f"s3://lake/{full().facts.folder}")
    assert caught.value.facts == {"file": f"s3://lake/{full().data[0]}"}


def test_decode_takes_a_folder_with_exports_too(tmp_path: Path) -> None:
    full().copy(tmp_path)
    window([upsert("k1", T0)]).copy(tmp_path)
    table = tailrace.decode(tmp_path)
    assert (table.num_rows, set(table["_tr_op"].to_pylist())) == (10, {"r", "u"})


def test_the_order_is_that_of_the_manifest_for_any_number_of_threads(tmp_path: Path) -> None:
    items = [{"id": {"S": f"k{i}"}, "n": {"N": str(i)}} for i in range(5000)]
    folder = full(items, partitions=60).copy(tmp_path)
    one = read_export(folder, threads=1).read_all()
    assert read_export(folder, threads=13).read_all().equals(one)
    mixed = read_export(folder, threads=13, keep_order=False).read_all()
    assert mixed.sort_by("n").equals(one.sort_by("n"))
    [export] = open_place(folder).all_exports()
    listed = [tailrace.decode(source.name)["n"].to_pylist() for source in export.inputs]
    assert one["n"].to_pylist() == [n for numbers in listed for n in numbers]


@pytest.mark.parametrize("codec", ["python", "native"])
def test_both_codecs_read_alike(codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if codec == "native" and importlib.util.find_spec("tailrace_core") is None:
        pytest.skip("tailrace-core is not installed")
    monkeypatch.setenv("TAILRACE_CODEC", codec)
    engine.cache_clear()
    try:
        assert engine().name == codec
        folder = window(CHANGES).copy(tmp_path)
        found = read_export(folder)
        assert found.schema.names[4:] == ["id", "m", "n", "tags", "n__s"]
        assert read_export(folder, schema=found.schema).read_all().equals(found.read_all())
    finally:
        engine.cache_clear()


# ---- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("make", [lambda: full(partitions=16), lambda: window(CHANGES)], ids=["full", "window"])
def test_damage_of_every_kind_is_refused_before_the_first_row(
    tmp_path: Path, make: Callable[[], Made], damage: str
) -> None:
    made, (spoil, said) = make(), DAMAGE[damage]
    spoil(made)
    folder = made.copy(tmp_path)
    for read in (read_export, tailrace.decode, find_and_read):
        with pytest.raises(ExportInvalid, match=said) as caught:
            read(folder)
        assert "Copy the export again" in caught.value.hint
        assert str(tmp_path) in str(caught.value)


def find_and_read(folder: Path) -> None:
    for _ in read_pieces(find_inputs([folder])):
        pass


def test_with_a_schema_damage_raises_when_the_file_is_read(tmp_path: Path) -> None:
    schema = read_export(full().copy(tmp_path / "whole")).schema
    made = full()
    DAMAGE["data file compressed anew"][0](made)
    reader = read_export(made.copy(tmp_path / "damaged"), schema=schema)
    with pytest.raises(ExportInvalid, match="another MD5"):
        reader.read_all()


def test_an_export_that_was_only_begun_is_not_read(tmp_path: Path) -> None:
    made = full()
    for file in ("manifest-summary", "manifest-files"):
        del made.objects[made.key(f"{file}.json")], made.objects[made.key(f"{file}.md5")]
    folder = made.copy(tmp_path)
    for read in (read_export, tailrace.decode):
        with pytest.raises(ExportInvalid, match="is not finished"):
            read(folder)
    finished = full(moment=T0 + QUARTER, number=2)
    finished.copy(tmp_path)
    assert read_export(tmp_path).read_all().num_rows == 9
    assert tailrace.decode(tmp_path).num_rows == 9


def test_one_export_at_a_time_and_none_twice(tmp_path: Path) -> None:
    folder = full().copy(tmp_path / "a")
    window(CHANGES).copy(tmp_path / "a")
    with pytest.raises(UsageInvalid, match="2 exports") as caught:
        read_export(tmp_path)
    assert str(folder) in caught.value.hint
    full().copy(tmp_path / "b")
    with pytest.raises(ExportInvalid, match="twice"):
        tailrace.decode(tmp_path)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("absent", NotFound),
        ("empty", NotFound),
        ("a-file", NotFound),
        ("http://example.org/x", UsageInvalid),
        ("s3://NOT_A_BUCKET/x", UsageInvalid),
    ],
)
def test_what_is_no_export_is_told(
    source: str, error: type[TailraceError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("a-file").touch()
    with pytest.raises(error):
        read_export(source)


def test_a_record_that_cannot_be_represented_raises_and_says_where(tmp_path: Path) -> None:
    folder = full([*ITEMS, {"id": {"S": "bad"}, "n": {"N": "NaN"}}]).copy(tmp_path)
    with pytest.raises(RecordInvalid, match="NaN") as caught:
        read_export(folder)
    assert list(caught.value.facts) == ["path", "kind", "line", "offset"]


# ---- the schema -------------------------------------------------------------------------------------------


def test_a_discovered_schema_given_back_reads_the_same(tmp_path: Path) -> None:
    folder = window(CHANGES).copy(tmp_path)
    found = read_export(folder)
    again = read_export(folder, schema=found.schema)
    assert again.schema.equals(found.schema, check_metadata=True)
    assert again.read_all().equals(found.read_all())
    # From a Parquet file, too: it keeps what the fields are.
    parquet.write_table(read_export(folder).read_all(), tmp_path / "rows.parquet")
    kept = parquet.read_schema(tmp_path / "rows.parquet")
    assert read_export(folder, schema=kept).read_all().equals(read_export(folder).read_all())


def test_the_schema_fits_every_value_whatever_file_it_stands_in(tmp_path: Path) -> None:
    items = [{"id": {"S": f"k{i}"}, "n": {"N": str(i)}} for i in range(40)]
    items[17]["n"] = {"N": "0.25"}
    items[33]["far"] = {"N": "1E-130"}
    reader = read_export(full(items, partitions=16).copy(tmp_path))
    assert reader.schema.field("n").type == pa.decimal128(38, 2)
    numbers = sorted(reader.read_all()["n"].to_pylist())
    assert numbers == sorted(Decimal(item["n"]["N"]) for item in items)


def test_a_schema_of_ones_own_picks_columns_and_types(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("amount", pa.decimal128(38, 4), metadata={"attribute": "n", "tag": "N"}),
            pa.field("n__s", pa.string(), metadata={"attribute": "n"}),
            pa.field("m", pa.string(), metadata={"tag": "M"}),
            pa.field("absent", pa.binary()),
            pa.field("_tr_op", pa.string()),
        ]
    )
    reader = read_export(window(CHANGES).copy(tmp_path), schema=schema)
    assert reader.schema.equals(schema, check_metadata=True)
    assert by_id(reader.read_all()) == [
        {"id": "k1", "amount": Decimal("1.5"), "_tr_op": "u"},
        {"id": "k2", "_tr_op": "d"},
        {"id": "k20", "amount": Decimal(2), "_tr_op": "u"},
        {"id": "k3", "n__s": "x", "m": '{"a":[1]}', "_tr_op": "u"},
    ]
    as_text = pa.field("n", pa.string(), metadata={"tag": "N"})
    found = read_export(window(CHANGES).copy(tmp_path), schema=pa.schema([as_text, schema.field("n__s")])).read_all()
    assert sorted(found["n"].drop_null().to_pylist()) == ["1.5", "2"]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (pa.field("n", pa.int64()), "is int64"),
        (pa.field("n", pa.decimal128(38, 0)), "is decimal128"),
        (pa.field("n", pa.string()), "no column for it"),
        (pa.field("tags", pa.string()), "'tags' holds SS, and the schema has no column for it"),
    ],
)
def test_a_value_that_does_not_fit_the_schema_raises_and_is_never_nulled(
    tmp_path: Path, field: pa.Field, said: str
) -> None:
    changes = [c for c in CHANGES if c.new is None or "S" not in c.new.get("n", {})]
    reader = read_export(window(changes).copy(tmp_path), schema=pa.schema([field]))
    with pytest.raises(RecordInvalid, match=said):
        reader.read_all()


@pytest.mark.parametrize(
    "type_",
    [
        pa.float64(),
        pa.int32(),
        pa.decimal128(12, 2),
        pa.decimal128(38, -2),
        pa.large_string(),
        pa.list_(pa.bool_()),
        pa.null(),
    ],
)
def test_a_type_that_no_value_is_read_as_is_refused_at_once(tmp_path: Path, type_: pa.DataType) -> None:
    with pytest.raises(UsageInvalid, match=r"is read as|DynamoDB type") as caught:
        read_export(full().copy(tmp_path), schema=pa.schema([pa.field("n", type_)]))
    assert caught.value.facts == {"field": "n"}


@pytest.mark.parametrize("tag", ["S", "NULL", "X", "SS"])
def test_a_tag_that_does_not_go_with_the_type_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(UsageInvalid, match="DynamoDB type"):
        read_export(full().copy(tmp_path), schema=pa.schema([pa.field("n", pa.int64(), metadata={"tag": tag})]))


# ---- what takes it ----------------------------------------------------------------------------------------


def test_duckdb_takes_the_reader_as_it_is(tmp_path: Path) -> None:
    folder = full().copy(tmp_path)
    orders = read_export(folder)  # noqa: F841  (DuckDB finds it by its name)
    assert duckdb.sql("SELECT count(*), sum(n) FROM orders").fetchall() == [(9, 36)]
    assert duckdb.from_arrow(read_export(folder)).filter("n > 6").fetchall()[0][4:] == ("k7", 7)


def test_parquet_is_written_from_the_reader(tmp_path: Path) -> None:
    reader = read_export(full().copy(tmp_path))
    with parquet.ParquetWriter(tmp_path / "out.parquet", reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 9


# ---- resources --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve files of several batches each."""
    items = [{"id": {"S": f"k{i}"}, "s": {"S": "x" * 250_000}} for i in range(600)]
    return full(items, partitions=12).copy(tmp_path_factory.mktemp("large"))


def test_a_reader_that_is_closed_or_forgotten_early_leaves_no_thread_and_no_file(large: Path) -> None:
    schema = read_export(large).schema
    before = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else set()
    reader = read_export(large, schema=schema)
    reader.read_next_batch()
    reader.close()
    for thread in threading.enumerate():
        if thread.name == "tailrace-read":
            thread.join(10)
            assert not thread.is_alive(), "it does not go on although nobody reads"
    del reader
    if before:
        assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to ask for the greatest memory")
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_stays_flat_also_where_the_reader_is_slower_than_the_decoders(large: Path, threads: int) -> None:
    code = """if True:
        import sys, time, tailrace
        rows = 0
        for batch in tailrace.read_export(sys.argv[1], threads=int(sys.argv[2])):
            rows += batch.num_rows
            time.sleep(0.02)
        print(rows, *(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
    """
    command = [sys.executable, "-c", code, str(large), str(threads)]
    rows, peak = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    assert int(rows) == 600
    assert int(peak) < 300 << 10, "kilobytes, for 150 MB of JSON"


def test_a_file_that_goes_away_under_way_is_an_error(tmp_path: Path) -> None:
    folder = full().copy(tmp_path)
    reader = read_export(folder)
    shutil.rmtree(folder / "data")
    with pytest.raises(NotFound):
        reader.read_all()
