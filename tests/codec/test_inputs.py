"""Files as people hold them: exports, segments, Lambda events, GetRecords output; and `tailrace.decode`."""

from __future__ import annotations

import doctest
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from decoding import HAS_NATIVE, items, line

import tailrace
from tailrace import codec, reading
from tailrace.codec import DecodedSegments, events, records_of
from tailrace.errors import NotFound, RecordInvalid, SegmentCorrupt
from tailrace.model.keys import KeyAttribute, KeySchema

SCHEMA = KeySchema(KeyAttribute("pk", "S"))


@pytest.fixture(params=["python", "native"], autouse=True)
def engine_in_use(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "native" and not HAS_NATIVE:
        pytest.skip("tailrace-core is not installed, so only the Python codec is tested")
    monkeypatch.setenv("TAILRACE_CODEC", request.param)
    codec.engine.cache_clear()
    assert codec.engine().name == request.param
    yield request.param
    codec.engine.cache_clear()


def decode_any(data: bytes) -> DecodedSegments:
    """One file of whatever shape, rejected lines and all."""
    return codec.decode_segments([records_of([data])], codec.ORDER_PREFIX)


def stream_record(number: int = 1, event: str = "MODIFY", **members: Any) -> dict[str, Any]:
    """As a Lambda function receives it."""
    change = {
        "ApproximateCreationDateTime": 1795323000.123,
        "Keys": {"pk": {"S": "a"}},
        "NewImage": {"pk": {"S": "a"}, "v": {"N": str(number)}},
        "SequenceNumber": str(number).zfill(21),
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if event == "REMOVE":
        del change["NewImage"]
    return {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": event,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change | members,
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-22T00:00:00.000",
    }


RECORDS = [stream_record(1, "INSERT"), stream_record(2, OldImage={"pk": {"S": "a"}}), stream_record(3, "REMOVE")]


def dump(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


FORMS = {
    "Lambda event": dump({"Records": RECORDS}),
    "pretty Lambda event": dump({"Records": RECORDS}, indent=2),
    "pretty with CRLF": dump({"Records": RECORDS}, indent=2).replace(b"\n", b"\r\n"),
    "GetRecords output": dump({"Records": RECORDS, "NextShardIterator": "x", "ResponseMetadata": {"RetryAttempts": 0}}),
    "GetRecords output, the iterator first": dump({"NextShardIterator": "x", "Records": RECORDS}),
    "bare records, one a line": b"\n".join(map(dump, RECORDS)),
    "events, one a line": b"\n".join(dump({"Records": [record]}) for record in RECORDS) + b"\n",
    "an array of records": dump(RECORDS),
    "a pretty array": dump(RECORDS, indent=4),
    "records of other key order": b"\n".join(dump(record, sort_keys=True) for record in RECORDS),
    "byte order mark": b"\xef\xbb\xbf" + dump({"Records": RECORDS}),
    "white space before": b"\r\n\n  " + dump({"Records": RECORDS}),
    "gzip": gzip.compress(dump({"Records": RECORDS}), mtime=0),
    "gzip in two members": gzip.compress(b"{") + gzip.compress(dump({"Records": RECORDS})[1:]),
    "segment": b"".join(events.segment_of([dump({"Records": RECORDS})])),
    "gzip'd segment": gzip.compress(b"".join(events.segment_of([dump({"Records": RECORDS})])), mtime=0),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_records_is_the_same_table(form: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(FORMS[form])
    for source in (FORMS[form], path, str(path)):
        table = tailrace.decode(source)
        assert table.to_pydict() == {
            "_tr_op": ["c", "u", "d"],
            "_tr_ts": [1795323000123000] * 3,
            "_tr_pos": [f"0001|1|{n:040d}" for n in (1, 2, 3)],
            "_tr_expired": [False] * 3,
            "pk": ["a"] * 3,
            "v": [1, 2, None],
        }


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("form", FORMS)
def test_pieces_never_matter(form: str, step: int) -> None:
    data = FORMS[form]
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    decoded = codec.decode_segments([records_of(pieces)], "0001|1|")
    assert (decoded.rows, decoded.rejected) == ((3,), ((),))


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", gzip.compress(b"", mtime=0), dump({"Records": []}), b"[]", dump({"Records": []}, indent=1)]
)
def test_nothing_is_an_empty_table_or_no_record(data: bytes) -> None:
    decoded = decode_any(data)
    assert decoded.rows == (0,)
    assert [r.kind for r in decoded.rejected[0]] == (["unknown_shape"] if data == b"[]" else [])


def test_a_base_file_is_not_taken_for_an_event() -> None:
    data = line({"Item": {"Records": {"S": "x"}, "eventName": {"S": "y"}}})
    assert tailrace.decode(data).select(["Records", "eventName"]).to_pylist() == [{"Records": "x", "eventName": "y"}]


@pytest.mark.parametrize(
    ("created", "micros"),
    [
        (1795323000, 1795323000000000),
        (1795323000.0, 1795323000000000),
        (1795323000.123456, 1795323000123456),
        (0, 0),
        ("2026-11-22T05:30:00+00:00", 1795325400000000),
        ("2026-11-22T05:30:00+02:00", 1795318200000000),
        ("2026-11-22T05:30:00Z", 1795325400000000),
        ("2026-11-22T05:30:00", 1795325400000000),
        ("2026-11-22T05:30:00.000001Z", 1795325400000001),
    ],
)
def test_74_creation_times_of_every_spelling_are_exact_microseconds(created: Any, micros: int) -> None:
    table = tailrace.decode(dump({"Records": [stream_record(ApproximateCreationDateTime=created)]}))
    assert table.column("_tr_ts").to_pylist() == [micros]


def test_74_a_record_without_creation_time_has_none() -> None:
    record = stream_record()
    del record["dynamodb"]["ApproximateCreationDateTime"]
    assert tailrace.decode(dump({"Records": [record]})).column("_tr_ts").to_pylist() == [None]


@pytest.mark.parametrize(
    ("identity", "expired"),
    [
        ({"principalId": "dynamodb.amazonaws.com", "type": "Service"}, True),
        ({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}, True),
        ({"principalId": "someone", "type": "Service"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_deletes_by_time_to_live_are_marked(identity: Any, expired: bool) -> None:
    record = stream_record(1, "REMOVE") | {"userIdentity": identity}
    assert tailrace.decode(dump({"Records": [record]})).column("_tr_expired").to_pylist() == [expired]


BAD: list[Any] = [
    pytest.param({"Keys": None}, "bad_value", id="69 Keys null"),
    pytest.param({"Keys": {"pk": {"S": "b"}}}, "key_mismatch", id="70 other keys"),
    pytest.param({"SequenceNumber": None}, "bad_metadata", id="73 no sequence number"),
    pytest.param({"SequenceNumber": 5}, "bad_metadata", id="73 a bare sequence number"),
    pytest.param({"SequenceNumber": "1" * 41}, "bad_metadata", id="73 41 digits"),
    pytest.param({"ApproximateCreationDateTime": -1}, "bad_metadata", id="74 negative"),
    pytest.param({"ApproximateCreationDateTime": "yesterday"}, "bad_metadata", id="74 a word"),
    pytest.param({"ApproximateCreationDateTime": "1969-12-31T23:59:59Z"}, "bad_metadata", id="74 before the epoch"),
    pytest.param({"ApproximateCreationDateTime": None}, "bad_metadata", id="74 null"),
    pytest.param({"ApproximateCreationDateTime": float("nan")}, "bad_metadata", id="74 NaN"),
    pytest.param({"ApproximateCreationDateTime": 1e300}, "bad_metadata", id="74 far beyond"),
    pytest.param({"NewImage": {"pk": {"S": "a"}, "v": {"N": 5}}}, "bad_value", id="35 a bare number"),
    pytest.param({"NewImage": {"pk": {"S": "a"}, "v": {"N": "NaN"}}}, "bad_number", id="37 NaN"),
    pytest.param({"NewImage": {"pk": {"S": "a"}, "v": {"S": "\ud800"}}}, "lone_surrogate", id="31 lone surrogate"),
    pytest.param({"NewImage": {"pk": {"S": "a"}, "v": {"B": "AB=="}}}, "bad_base64", id="50 not base64"),
]


@pytest.mark.parametrize(("members", "kind"), BAD)
@pytest.mark.parametrize("indent", [None, 2])
def test_one_bad_record_of_an_event_is_rejected_alone(members: dict[str, Any], kind: str, indent: int | None) -> None:
    records = [stream_record(1), stream_record(2, **members), stream_record(3)]
    decoded = decode_any(dump({"Records": records}, indent=indent))
    assert decoded.rows == (2,)
    [[rejected]] = decoded.rejected
    assert (rejected.kind, rejected.line) == (kind, 2)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"eventName": "REMOVE"}, "bad_event"),
        ({"eventName": "remove"}, "bad_metadata"),
        ({"eventName": None}, "bad_metadata"),
        ({"dynamodb": None}, "unknown_shape"),
        ({"dynamodb": {}}, "unknown_shape"),
    ],
    ids=str,
)
def test_72_a_record_of_another_kind_is_rejected_alone(change: dict[str, Any], kind: str) -> None:
    decoded = decode_any(dump({"Records": [stream_record(), stream_record() | change, 5, None, []]}))
    assert [r.kind for r in decoded.rejected[0]] == [kind, *["unknown_shape"] * 3]
    assert decoded.rows == (1,)


@pytest.mark.parametrize(
    "number", ["1e9999999999999999999", "-1e9999999999999999999", "1e-9999999999999999999", "1e400", "9" * 5000]
)
def test_26_a_number_beyond_all_measure_spoils_its_record_only(number: str) -> None:
    event = dump({"Records": [stream_record(1), stream_record(2, NewImage={"v": "HERE"}), stream_record(3)]})
    decoded = decode_any(event.replace(b'"HERE"', number.encode()))
    assert (decoded.rows, len(decoded.rejected[0])) == ((2,), 1)


@pytest.mark.parametrize(
    ("data", "kind", "rows"),
    [
        pytest.param(dump({"Records": RECORDS})[:-5], "not_json", 0, id="cut"),
        pytest.param(dump({"Records": RECORDS}) + b"x", "not_json", 0, id="32 text behind it"),
        pytest.param(b'{"Records":[],"Records":[]}', "duplicate_name", 0, id="24 Records twice"),
        pytest.param(b'{"Records":5}', "unknown_shape", 0, id="Records a number"),
        pytest.param(b'{"Records":{}}', "unknown_shape", 0, id="Records an object"),
        pytest.param(b'{"Records":"\xff"}', "invalid_utf8", 0, id="19 not UTF-8"),
        pytest.param(b'{"Records":' + b"[" * 100_000, "not_json", 0, id="30 hostile nesting"),
        pytest.param(b'{"Records":' + b"[" * 900 + b"]" * 900 + b"}", "not_json", 0, id="29 deep nesting"),
        pytest.param(dump(RECORDS[0]) + b"\noops\n" + dump(RECORDS[1]), "not_json", 2, id="a bad line between"),
        pytest.param(dump(RECORDS[0])[:-1] + b"\n" + dump(RECORDS[1]), "not_json", 1, id="a cut line first"),
    ],
)
def test_a_damaged_event_is_rejected_and_not_half_read(data: bytes, kind: str, rows: int) -> None:
    decoded = decode_any(data)
    assert [r.kind for r in decoded.rejected[0]] == [kind]
    assert decoded.rows == (rows,)


@pytest.mark.parametrize("data", [FORMS["gzip"][:-1], FORMS["gzip'd segment"][:30], FORMS["gzip"] + b"x"])
def test_damaged_gzip_is_an_error_that_says_which_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.json.gz"
    path.write_bytes(data)
    with pytest.raises(SegmentCorrupt, match="gzip") as caught:
        tailrace.decode(path)
    assert caught.value.facts == {"path": str(path)}
    with pytest.raises(SegmentCorrupt):
        tailrace.decode(data)


def test_decode_refuses_what_cannot_be_represented_and_says_where() -> None:
    data = items({"S": "x"}) + b"\n" + items({"N": "1_000"})
    with pytest.raises(RecordInvalid, match="1_000") as caught:
        tailrace.decode(data)
    assert caught.value.facts == {"kind": "bad_number", "line": 2, "offset": len(items({"S": "x"})) + 1}


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_file_that_cannot_be_read_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        tailrace.decode(tmp_path / name)


def test_columns_are_named_as_in_a_target() -> None:
    rows = [{"a": {"S": "x"}}, {"a": {"S": "y"}, "A": {"N": "1"}}, {"a": {"N": "0.5"}, "_TR_op": {"BOOL": True}}]
    table = tailrace.decode(b"\n".join(line({"Item": row}) for row in rows))
    assert table.select(range(4, table.num_columns)).to_pydict() == {
        "A": [None, 1, None],
        "_TR_op_2": [None, None, True],
        "a_2": ["x", "y", None],
        "a__n": [None, None, Decimal("0.5")],
    }


def test_decoding_several_segments_says_which_one_is_damaged() -> None:
    good, bad = gzip.compress(items({"S": "x"})), gzip.compress(items({"S": "x"}))[:-1]
    with pytest.raises(SegmentCorrupt) as caught:
        codec.decode_segments([[good], [good], [bad]], "0001|1|", threads=2)
    assert caught.value.facts == {"part": 2}


@pytest.mark.parametrize("threads", [1, 3])
def test_segments_are_one_table_in_their_order(threads: int) -> None:
    parts = [[items({"N": str(i)}, {"N": f"{i}.5"})] for i in range(6)] + [[b""], [b"bad"], [items({"S": "x"})]]
    decoded = codec.decode_segments(parts, "0001|1|", threads=threads)
    assert decoded.rows == (2,) * 6 + (0, 0, 1)
    assert [len(rejected) for rejected in decoded.rejected] == [0] * 7 + [1, 0]
    assert codec.decoded_columns(decoded.table.schema) == [("a", "S"), ("a", "N")]
    halves = [Decimal(i) / 2 for i in range(12)]
    assert sorted(v for v in decoded.table.column(5).to_pylist() if v is not None) == halves
    assert decoded.table.column(4).to_pylist() == [None] * 12 + ["x"]


def test_the_key_schema_of_a_table_is_asked_of_events_too() -> None:
    data = dump({"Records": [stream_record()]})
    decoded = codec.decode_segments([records_of([data])], "0001|1|", keys=KeySchema(KeyAttribute("id", "S")))
    assert [r.kind for r in decoded.rejected[0]] == ["key_mismatch"]
    assert codec.decode_segments([records_of([data])], "0001|1|", keys=SCHEMA).rows == (1,)


def test_the_docstring_of_decode_is_true() -> None:
    results = doctest.testmod(reading)
    assert (results.failed, results.attempted > 0) == (0, True)


def test_importing_tailrace_is_cheap() -> None:
    code = "import sys, tailrace; assert not {'pyarrow', 'duckdb', 'boto3', 'click', 'json'} & set(sys.modules); tailrace.decode"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)
    assert set(tailrace.__all__) <= {*dir(tailrace), "Pipeline", "decode", "read_export"}
    with pytest.raises(AttributeError, match="nonsense"):
        tailrace.nonsense  # noqa: B018
