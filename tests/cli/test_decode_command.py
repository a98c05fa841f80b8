"""``tailrace decode``: files in, one file out, and nothing half done. DuckDB reads what was written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from made_exports import DAMAGE, T0, delete, full, upsert, window
from pyarrow import parquet

from tailrace import convert, reading
from tailrace.cli import main
from tailrace.errors import RecordInvalid, SegmentCorrupt
from tailrace.inputs import find_inputs

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; at the end no unfinished file may be left in it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.rglob("*.part")) == []


def decode(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["decode", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def write(name: str, *items: dict[str, Any]) -> Path:
    """A file of base rows; gzip'd where its name says so."""
    data = b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def rows(output: str | Path) -> list[dict[str, Any]]:
    """What another reader finds in an output: NULLs and meta columns left out."""
    reader = {".parquet": "read_parquet", ".csv": "read_csv", ".ndjson": "read_json"}
    path = Path(output)
    if path.suffix == ".arrow":
        table = pa.ipc.open_file(path).read_all()
    else:
        table = duckdb.sql(f"FROM {reader[path.suffix]}('{path}')").to_arrow_table()
    return [{n: v for n, v in row.items() if v is not None and not n.startswith("_tr_")} for row in table.to_pylist()]


def report(name: str) -> dict[str, list[dict[str, Any]]]:
    """The records of a report, by their sort."""
    by_sort: dict[str, list[dict[str, Any]]] = {"rejected": [], "attribute": [], "summary": []}
    for line in Path(name).read_text().splitlines():
        record = json.loads(line)
        by_sort[record.pop("record")].append(record)
    return by_sort


AWKWARD = (
    {
        "id": {"N": "9007199254740993"},
        "price": {"N": "0.10"},
        "tags": {"SS": ["b", "a"]},
        "b": {"B": "AP8="},
        "s": {"S": ""},
    },
    {
        "id": {"N": "1"},
        "far": {"N": "1E-130"},
        "m": {"M": {"x": {"N": "1.50"}}},
        "flag": {"BOOL": False},
        "s": {"S": "é\u2028"},
    },
    {"id": {"N": "2"}, "price": {"N": "12345678901234567890"}, "far": {"N": "9.99E125"}, "ns": {"NS": ["2", "0.5"]}},
)


def test_parquet_and_arrow_hold_the_types_of_a_target() -> None:
    write("in.json", *AWKWARD)
    for output in ("out.parquet", "out.arrow"):
        decode("in.json", "-o", output)
        assert rows(output) == [
            {"id": 2**53 + 1, "price": Decimal("0.1"), "tags": ["a", "b"], "b": b"\0\xff", "s": ""},
            {"id": 1, "far": "1E-130", "m": '{"x":1.5}', "flag": False, "s": "é\u2028"},
            {"id": 2, "price": Decimal(12345678901234567890), "far": "9.99E+125", "ns": [Decimal("0.5"), Decimal(2)]},
        ]
    assert pa.ipc.open_file("out.arrow").schema.equals(parquet.read_schema("out.parquet"))


def test_ndjson_keeps_every_digit_and_leaves_null_out() -> None:
    write("in.json", *AWKWARD)
    decode("in.json", "-o", "out.ndjson")
    lines = Path("out.ndjson").read_bytes().decode().split("\n")
    documents = [json.loads(line, parse_float=str, parse_int=str) for line in lines if line]
    assert [{n: v for n, v in d.items() if not n.startswith("_tr_")} for d in documents] == [
        {"id": "9007199254740993", "price": "0.1", "tags": ["a", "b"], "b": "AP8=", "s": ""},
        {"id": "1", "far": "1E-130", "m": {"x": "1.5"}, "flag": False, "s": "é\u2028"},
        {"id": "2", "price": "12345678901234567890", "far": "9.99E+125", "ns": ["0.5", "2"]},
    ]
    assert all(d["_tr_op"] == "r" for d in documents)


def test_csv_tells_null_from_empty_and_keeps_every_digit() -> None:
    write("in.json", *AWKWARD)
    decode("in.json", "-o", "out.csv")
    text = Path("out.csv").read_text()
    assert ',"",' in text
    found = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in found] == ["9007199254740993", "1", "2"]
    assert [Decimal(row["price"]) for row in found if row["price"]] == [Decimal("0.1"), Decimal(12345678901234567890)]
    assert [row["far"] for row in found] == ["", "1E-130", "9.99E+125"]
    assert (found[0]["tags"], found[0]["b"], found[1]["m"], found[2]["ns"]) == (
        '["a","b"]',
        "AP8=",
        '{"x":1.5}',
        "[0.5,2]",
    )


def test_67_csv_holds_no_formulas_and_leaves_numbers_alone() -> None:
    formulas = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "=cmd|' /C calc'!A0"]
    write(
        "in.json",
        *({"s": {"S": text}, "=n": {"N": "-1.5"}, "far": {"N": "-1E-130"}} for text in formulas),
        {"s": {"S": "a=b"}},
    )
    decode("in.json", "-o", "out.csv")
    with open("out.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["s"] for row in found] == [f"'{text}" for text in formulas] + ["a=b"]
    assert {row["'=n"] for row in found} == {"-1.5", ""}
    assert {row["far"] for row in found} == {"-1E-130", ""}


# ---- inputs -----------------------------------------------------------------------------------------------


def stream_record(number: int) -> dict[str, Any]:
    change = {"Keys": {"id": {"N": str(number)}}, "NewImage": {"id": {"N": str(number)}}, "SequenceNumber": str(number)}
    return {"eventID": "x", "eventName": "INSERT", "dynamodb": change}


def test_several_shapes_go_into_one_output_in_their_order() -> None:
    write("export/data/a.json.gz", {"id": {"N": "1"}}, {"id": {"N": "2"}})
    Path("event.json").write_text(json.dumps({"Records": [stream_record(3), stream_record(4)]}, indent=1))
    Path("records").write_text(json.dumps(stream_record(5)))
    Path("answer").write_text(json.dumps({"Records": [stream_record(6)], "NextShardIterator": "x"}))
    change = {"Metadata": {"SequenceNumber": {"S": "7"}}, "Keys": {"id": {"N": "7"}}}
    Path("segment.json.gz").write_bytes(gzip.compress(json.dumps(change).encode()))
    result = decode("export", "event.json", "records", "answer", "segment.json.gz", "-o", "out.parquet")
    assert [row["id"] for row in rows("out.parquet")] == [1, 2, 3, 4, 5, 6, 7]
    assert parquet.read_table("out.parquet").column("_tr_op").to_pylist() == ["r", "r", "c", "c", "c", "c", "d"]
    assert result.stderr == "7 rows from 5 files into out.parquet\n"
    assert result.stdout == ""


def test_79_to_81_a_folder_gives_its_files_of_records_and_nothing_else() -> None:
    root = "AWSDynamoDB/01700000000000-a1b2c3d4"
    write(f"{root}/data/b.json.gz", {"id": {"N": "2"}})
    write(f"{root}/data/a.json.gz", {"id": {"N": "1"}})
    write(f"{root}/data/none.json.gz")
    for name in ("_started", "manifest-files.json", "manifest-summary.json", "manifest-files.md5", "data/a.checksum"):
        (Path(root) / name).write_text("not data")
    write("landing/orders/changes/c.json.gz", {"id": {"N": "3"}})
    beside = ("manifest.json", "manifest/1-2-119ed8c8.json", "quarantine/q.json.gz", "loaders/local.json")
    for name in (*beside, ".tailrace/x.json"):
        write(f"landing/orders/{name}", {"id": {"N": "9"}})
    decode(f"{root}/data", "landing", "-o", "out.parquet")
    assert [row["id"] for row in rows("out.parquet")] == [1, 2, 3]


def test_a_landing_zone_gives_its_segments_whatever_its_tables_are_called() -> None:
    tables = ("loaders", "manifest", "quarantine", "_orders")
    for number, table in enumerate(tables):
        write(f"landing/{table}/manifest.json", {"id": {"N": "9"}})
        write(f"landing/{table}/changes/c.json.gz", {"id": {"N": str(number)}})
        write(f"landing/{table}/loaders/local.json", {"id": {"N": "9"}})
    decode("landing", "-o", "out.parquet")
    assert sorted(row["id"] for row in rows("out.parquet")) == [0, 1, 2, 3]
    write("other/loaders/a.json", {"id": {"N": "1"}})  # no table's: nobody knows what it is, so it is looked into
    decode("other", "-o", "out.parquet")
    assert len(rows("out.parquet")) == 1


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_with_exports_gives_exactly_what_their_manifests_list(above: bool) -> None:
    exports = [full().copy(Path("copy")), window([upsert("k1", T0 + 1), delete("k2", T0 + 2)]).copy(Path("copy"))]
    write("copy/AWSDynamoDB/data/stray.json.gz", {"id": {"S": "stray"}})
    result = decode(*(["copy"] if above else exports), "-o", "out.parquet")
    assert sorted(row["id"] for row in rows("out.parquet")) == sorted([f"k{i}" for i in range(9)] + ["k1", "k2"])
    assert parquet.read_table("out.parquet").column("_tr_op").to_pylist().count("d") == 1
    said = result.stderr.splitlines()
    assert said[-1] == "11 rows from 8 files into out.parquet"
    assert said[:-1] == (["copy: 1 file beside the exports, which no manifest lists, is left out"] if above else [])


def test_files_of_an_export_and_the_export_are_read_once() -> None:
    folder = full().copy(Path("copy"))
    decode(folder, *sorted((folder / "data").iterdir()), "-o", "out.parquet")
    assert len(rows("out.parquet")) == 9


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_export_leaves_the_output_as_it_was(damage: str) -> None:
    made, (spoil, said) = full(partitions=16), DAMAGE[damage]
    spoil(made)
    made.copy(Path("copy"))
    Path("out.csv").write_text("yesterday's")
    result = decode("copy", "-o", "out.csv", code=1)
    assert re.search(said, result.stderr)
    assert "TAILRACE-405" in result.stderr
    assert "hint: Copy the export again" in result.stderr
    assert Path("out.csv").read_text() == "yesterday's"


def test_a_file_named_twice_is_read_once() -> None:
    write("in/a.json", {"id": {"N": "1"}})
    decode("in", "in/a.json", "in", "-o", "out.parquet")
    assert len(rows("out.parquet")) == 1


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.csv", "out.ndjson"])
def test_nothing_is_an_output_without_rows(output: str) -> None:
    Path("empty.json.gz").write_bytes(gzip.compress(b""))
    decode("empty.json.gz", "-o", output)
    assert Path(output).stat().st_size > 0 or output.endswith("ndjson")
    if not output.endswith("ndjson"):
        assert rows(output) == []


# ---- columns that change under way ------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.ndjson"])
def test_a_column_that_widens_late_is_wide_from_the_first_row(output: str) -> None:
    write("a.json", *({"n": {"N": str(i)}} for i in range(3)))
    write("b.json", {"n": {"N": "0.5"}})
    decode("a.json", "b.json", "-o", output)
    assert [row["n"] for row in rows(output)] == [0, 1, 2, Decimal("0.5")]
    write("c.json", {"n": {"N": "1E-130"}})
    decode("a.json", "b.json", "c.json", "-o", "far.parquet")
    assert [row["n"] for row in rows("far.parquet")] == ["0", "1", "2", "0.5", "1E-130"]


def test_the_plain_name_goes_to_the_type_that_is_most_frequent_in_the_end() -> None:
    write("a.json", {"p": {"S": "x"}}, {"p": {"S": "y"}})
    write("b.json", *({"p": {"N": str(i)}} for i in range(3)))
    result = decode("a.json", "b.json", "-o", "out.parquet")
    assert rows("out.parquet") == [{"p__s": "x"}, {"p__s": "y"}, {"p": 0}, {"p": 1}, {"p": 2}]
    assert "several types" in result.stderr


def test_columns_that_change_within_a_long_file() -> None:
    filler = {"S": "x" * 1_000_000}
    write(
        "in.json",
        *({"f": filler, "n": {"N": str(i)}} for i in range(12)),
        {"n": {"N": "12.5"}, "late": {"BOOL": True}},
    )
    found = convert.convert(find_inputs(["in.json"]), Path("out.parquet"), "parquet")
    assert (found.looks, found.rows) == (2, 13)
    assert {name: seen.count for (name, _), seen in found.seen.items()} == {"f": 12, "n": 13, "late": 1}
    table = parquet.read_table("out.parquet", columns=["n", "late"])
    assert table.column("n").to_pylist() == [*map(Decimal, range(12)), Decimal("12.5")]
    assert table.column("late").to_pylist() == [None] * 12 + [True]


def test_columns_that_do_not_change_need_one_look() -> None:
    write("a.json", {"n": {"N": "1"}})
    write("b.json", {"n": {"N": "200"}}, {"n": {"NULL": True}}, {})
    found = convert.convert(find_inputs(["a.json", "b.json"]), Path("out.parquet"), "parquet")
    assert (found.looks, found.rows, found.inputs) == (1, 4, 2)


def test_an_input_that_changes_between_the_looks_is_noticed() -> None:
    for change in ({"n": {"N": "2"}}, {"n": {"N": "1E-130"}}, {"new": {"S": "x"}}):
        first, second = write("a.json", {"n": {"N": "1"}}), write("b.json", {"n": {"N": "0.5"}})

        def change_it(look: int, count: int, change: Any = change) -> None:
            if look == 2:
                write("b.json", {"n": {"N": "0.5"}}, change)

        with pytest.raises(SegmentCorrupt, match="changed while it was read"):
            convert.convert(find_inputs([first, second]), Path("out.parquet"), "parquet", threads=1, on_read=change_it)
        assert not Path("out.parquet").exists()


# ---- the report -------------------------------------------------------------------------------------------


def test_rejected_lines_are_told_and_the_rest_flows() -> None:
    write(
        "a.json",
        {"n": {"N": "1"}},
        {"n": {"N": "0.5"}},
        {"n": {"S": "x"}},
        {"n": {"NULL": True}},
        {"far": {"N": "1E-130"}},
    )
    good = Path("a.json").read_bytes()
    Path("b.json.gz").write_bytes(gzip.compress(b'oops\n{"Item":{"n":{"N":"NaN"}}}\n' + good))
    result = decode("a.json", "b.json.gz", "-o", "out.parquet", "--report", "out.report", code=3)
    assert len(rows("out.parquet")) == 10
    found = report("out.report")
    assert [(r["file"], r["line"], r["offset"], r["kind"]) for r in found["rejected"]] == [
        ("b.json.gz", 1, 0, "not_json"),
        ("b.json.gz", 2, 5, "bad_number"),
    ]
    assert "NaN" in found["rejected"][1]["reason"]
    assert found["attribute"] == [
        {"attribute": "far", "types": {"N": {"count": 2, "column": "far", "fits": "text"}}, "conflict": False},
        {
            "attribute": "n",
            "types": {
                "N": {"count": 4, "column": "n", "fits": "decimal"},
                "S": {"count": 2, "column": "n__s"},
                "NULL": {"count": 2},
            },
            "conflict": True,
        },
    ]
    [summary] = found["summary"]
    assert summary == {
        "output": "out.parquet",
        "inputs": 2,
        "rows": 10,
        "rejected": 2,
        "conflicts": ["n"],
        "report": "out.report",
    }
    assert "2 lines are left out" in result.stderr


def test_rejected_lines_are_reported_once_though_read_twice() -> None:
    Path("a.json").write_text('oops\n{"Item":{"n":{"N":"1"}}}\n')
    write("b.json", {"n": {"N": "0.5"}})
    decode("a.json", "b.json", "-o", "out.parquet", "--report", "r", code=3)
    assert len(report("r")["rejected"]) == 1


def test_without_a_report_the_first_rejected_lines_are_said() -> None:
    Path("bad\n.json").write_text('{"Item":{}}\n' + "oops\n" * 9)
    result = decode("bad\n.json", "-o", "out.parquet", code=3)
    said = [line for line in result.stderr.splitlines() if line.startswith("rejected: ")]
    assert len(said) == 5
    assert said[0].startswith("rejected: bad\\n.json line 2: not_json")
    assert "--report" in result.stderr


def test_json_gives_one_document() -> None:
    write("in.json", {"n": {"N": "1"}})
    result = CliRunner().invoke(main, ["--json", "decode", "in.json", "-o", "out.parquet"])
    document = json.loads(result.stdout)
    assert (document["rows"], document["rejected"], document["attributes"][0]["attribute"]) == (1, 0, "n")


def test_a_large_file_of_something_else_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "REJECTED_BYTES_MAX", 100_000)
    monkeypatch.setattr(reading, "REJECTED_LOOK_BYTES", 100_000)
    Path("log.json").write_text('{"message":"something else"}\n' * 100_000)
    with pytest.raises(RecordInvalid, match="no records of DynamoDB") as caught:
        convert.convert(find_inputs(["log.json"]), Path("out.parquet"), "parquet")
    assert list(caught.value.facts) == ["path", "line"]
    assert not Path("out.parquet").exists()


# ---- nothing half done ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 100, -1, -9])
@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.csv", "out.ndjson", "-"])
def test_damaged_gzip_leaves_the_output_as_it_was(output: str, cut: int) -> None:
    write("good.json", {"n": {"N": "1"}})
    data = write("bad.json.gz", *({"n": {"N": str(i)}} for i in range(500))).read_bytes()
    Path("bad.json.gz").write_bytes(data[:cut] if cut != 1 else data + b"x")
    if output != "-":
        Path(output).write_text("yesterday's")
    result = decode("good.json", "bad.json.gz", "-o", output, "--report", "r", code=1)
    assert "TAILRACE-402" in result.stderr
    assert "bad.json.gz" in result.stderr
    assert "hint: Fetch the file again" in result.stderr
    assert result.stdout == ""
    assert output == "-" or Path(output).read_text() == "yesterday's"
    assert not Path("r").exists()


def test_the_second_look_leaves_nothing_half_done_either() -> None:
    write("a.json", {"n": {"N": "1"}})
    write("b.json", {"n": {"N": "0.5"}})

    def remove(look: int, count: int) -> None:
        if look == 2:
            Path("b.json").unlink(missing_ok=True)

    with pytest.raises(Exception, match="cannot be read"):
        convert.convert(find_inputs(["a.json", "b.json"]), Path("out.parquet"), "parquet", threads=1, on_read=remove)
    assert not Path("out.parquet").exists()


@pytest.mark.parametrize("option", ["--output", "--report"])
@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("absent/out.csv", 102),
        ("file/out.csv", 102),
        ("x" * 300 + ".csv", 102),
        ("loop/out.csv", 102),
        ("/proc/out.csv", 102),
        ("/sys/out.csv", 103),
    ],
)
def test_an_output_that_cannot_be_written_is_a_fault_of_its_name_or_of_rights(
    output: str, code: int, option: str
) -> None:
    write("file", {"n": {"N": "1"}})
    Path("loop").symlink_to("loop")
    before = sorted(os.listdir())
    other = ["-o", "-"] if option == "--report" else []
    result = decode("file", option, output, *other, code=2)
    assert f"error TAILRACE-{code}: The output cannot be written, and nothing was replaced" in result.stderr
    assert "hint: " in result.stderr
    assert sorted(os.listdir()) == before


def test_a_full_disk_is_an_error_and_leaves_the_old_output() -> None:
    write("in.json", *({"s": {"S": os.urandom(5000).hex()}} for _ in range(50)))
    code = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); from tailrace.cli import main; main()"
    Path("out.ndjson").write_text("yesterday's")
    done = subprocess.run(
        [sys.executable, "-c", code, "decode", "in.json", "-o", "out.ndjson"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, Path("out.ndjson").read_text()) == (1, "yesterday's")
    assert "error TAILRACE-204: The output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir()) == ["in.json", "out.ndjson"]


def test_a_report_on_a_full_disk_is_an_error_and_leaves_the_old_one() -> None:
    write("in.json", {"n": {"N": "1"}})
    Path("r.json").write_text("yesterday's")
    code = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); from tailrace.cli import main; main()"
    command = [sys.executable, "-c", code, "decode", "in.json", "-o", "-", "--report", "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, Path("r.json").read_text()) == (1, "yesterday's")
    assert "error TAILRACE-204: The output cannot be written, and nothing was replaced" in done.stderr
    assert sorted(os.listdir()) == ["in.json", "r.json"]


def test_a_symbolic_link_stays_one() -> None:
    write("in.json", {"n": {"N": "1"}})
    Path("real").mkdir()
    Path("link.parquet").symlink_to(Path("real/out.parquet"))
    decode("in.json", "-o", "link.parquet")
    assert Path("link.parquet").is_symlink()
    assert rows("real/out.parquet") == [{"n": 1}]


def test_an_output_has_the_permissions_of_any_new_file() -> None:
    write("in.json", {"n": {"N": "1"}})
    decode("in.json", "-o", "out.parquet")
    assert Path("out.parquet").stat().st_mode == Path("in.json").stat().st_mode


# ---- standard output --------------------------------------------------------------------------------------


def test_standard_output_takes_ndjson_and_csv() -> None:
    write("a.json", {"n": {"N": "1"}})
    write("b.json", {"n": {"N": "0.5"}})
    lines = decode("a.json", "b.json", "-o", "-").stdout.splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 0.5]
    text = decode("a.json", "b.json", "-o", "-", "--format", "csv").stdout
    assert [row["n"] for row in csv.DictReader(io.StringIO(text))] == ["1.0", "0.5"]


def tailrace(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tailrace", "decode", *arguments], **options)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_99_a_reader_that_goes_away_is_no_failure(form: str) -> None:
    write("in.json", {"n": {"N": "1"}})
    with tailrace("in.json", "-o", "-", "--format", form, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 0
    assert errors == b""


# ---- wrong usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.json", "-o", "out"], "--format"),
        (["in.json", "-o", "out.xml"], "--format"),
        (["in.json", "-o", "in.json", "--format", "ndjson"], "both input and output"),
        (["in.json", "-o", "./x/../in.json", "--format", "ndjson"], "both input and output"),
        (["in.json", "-o", "out.csv", "--report", "out.csv"], "both outputs"),
        (["in.json", "-o", "out.csv", "--report", "in.json"], "both input and output"),
        (["in.json", "-o", "/dev/null", "--format", "csv"], "regular file"),
        (["in.json", "-o", "folder", "--format", "csv"], "regular file"),
        (["in.json", "-o", "-", "--format", "parquet"], "CSV or NDJSON"),
        (["in.json", "-o", "-", "--format", "arrow"], "CSV or NDJSON"),
        (["absent.json", "-o", "out.csv"], "No such file"),
        (["folder", "-o", "out.csv"], "no files of records"),
        (["pipe", "-o", "out.csv"], "regular file"),
        (["-o", "out.csv"], "INPUT"),
        (["in.json"], "--output"),
        (["in.json", "-o", "out.csv", "--format", "xml"], "xml"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_and_changes_nothing(arguments: list[str], said: str) -> None:
    before = write("in.json", {"n": {"N": "1"}}).read_bytes()
    Path("folder").mkdir()
    Path("x").mkdir()
    os.mkfifo("pipe")
    assert said in decode(*arguments, code=2).stderr
    assert Path("in.json").read_bytes() == before
    assert Path("/dev/null").is_char_device()
    assert not Path("out.csv").exists()


def test_help_shows_an_example() -> None:
    assert "Example: tailrace decode" in decode("--help").stdout


# ---- long files -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to ask for the greatest memory")
def test_memory_stays_flat_while_columns_widen() -> None:
    line = b'{"Item":{"s":{"S":"%s"},"n":{"N":"%d"}}}\n'
    with gzip.open("long.json.gz", "wb", compresslevel=1) as file:
        for i in range(200):
            file.write(line % (b"x" * 1_000_000, i))
        file.write(line % (b"", 5) + b'{"Item":{"n":{"N":"0.5"}}}\n')
    code = "from tailrace.cli import main; main(standalone_mode=False); "
    code += "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    command = [sys.executable, "-c", code, "decode", "long.json.gz", "-o", "out.parquet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == "202 rows from 1 file into out.parquet\n"
    assert int(done.stdout) < 250 << 10, "kilobytes, for 200 MB of JSON"
    assert parquet.read_table("out.parquet", columns=["n"]).column("n").to_pylist()[-2:] == [Decimal(5), Decimal("0.5")]
    assert parquet.ParquetFile("out.parquet").num_row_groups >= 5


def test_progress_is_shown_on_a_terminal_only() -> None:
    write("a.json", {"n": {"N": "1"}})
    write("b.json", {"n": {"N": "0.5"}})
    ours, theirs = pty.openpty()
    environment = {n: v for n, v in os.environ.items() if n not in ("CI", "NO_COLOR")} | {
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    with tailrace("a.json", "b.json", "-o", "out.parquet", stderr=theirs, env=environment) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "decoding" in shown
    assert "once more" in shown
    assert "2 rows from 2 files" in shown
    assert decode("a.json", "-o", "out.csv").stderr == "1 rows from 1 file into out.csv\n"
