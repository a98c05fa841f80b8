"""Batches: where they end never matters, schemas only grow, and `known` makes early ones wide enough."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from decoding import Outcome, items, line

from tailrace import codec
from tailrace.codec import META_FIELDS
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import AttributeSeen, NumberRange, Seen

Decode = Callable[..., Outcome]

AWKWARD: list[dict[str, Any]] = [
    {"n": {"N": "1"}, "s": {"S": "é"}},
    {"n": {"N": "9223372036854775808"}, "late": {"BOOL": True}},
    {},
    {"n": {"N": "0.25"}, "x": {"NS": ["1"]}},
    {"n": {"S": "none"}, "x": {"NS": []}},
    {"n": {"NULL": True}, "x": {"NS": ["1E-130", "5"]}},
    {"n": {"N": "9.99E125"}, "s": {"S": ""}, "m": {"M": {"k": {"N": "1.0"}}}},
    {"s": {"B": "AA=="}},
    {"n": {"N": "7"}, "s": {"SS": ["b", "a"]}},
]
DATA = b"\n".join([*(line({"Item": item}) for item in AWKWARD), b"oops", line({"Item": {"n": {"N": "-3"}}})])


def summary(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.table.to_pylist(), outcome.types(), dict(outcome.seen), outcome.rejected


@pytest.mark.parametrize("batch_bytes", [1, 30, 60, 100, 300, 1 << 20])
@pytest.mark.parametrize("step", [1, 50, 10**9])
def test_neither_batches_nor_pieces_change_the_result(decode: Decode, batch_bytes: int, step: int) -> None:
    outcome = decode(DATA, range(step, len(DATA), step), batch_bytes=batch_bytes)
    assert summary(outcome) == summary(decode(DATA))
    assert outcome.types() == {
        "late:BOOL": "bool",
        "m:M": "string",
        "n:S": "string",
        "n:N": "string",
        "s:S": "string",
        "s:B": "binary",
        "s:SS": "list<item: string>",
        "x:NS": "list<item: string>",
    }
    assert [row.get("n:N") for row in outcome.values] == ["1", "9223372036854775808", None, "0.25"] + [None] * 2 + [
        "9.99E+125",
        None,
        "7",
        "-3",
    ]


def test_batches_are_about_as_large_as_they_should_be(decode: Decode) -> None:
    row = items({"S": "x" * 980})
    outcome = decode(gzip.compress(b"\n".join([row] * 100)), batch_bytes=10_000)
    assert 9 <= len(outcome.batches) <= 12
    assert sum(batch.num_rows for batch in outcome.batches) == 100


def test_a_whole_input_below_the_limit_is_one_batch(decode: Decode) -> None:
    assert len(decode(DATA, range(1, len(DATA))).batches) == 1


def test_one_row_a_batch(decode: Decode) -> None:
    assert [batch.num_rows for batch in decode(DATA, batch_bytes=1).batches] == [1] * 10


WIDTH = {"int64": 0, "decimal128": 1, "string": 2}


def test_later_batches_have_more_and_wider_fields_and_never_fewer(decode: Decode) -> None:
    schemas = [batch.schema for batch in decode(DATA, batch_bytes=1).batches]
    for earlier, later in pairwise(schemas):
        columns = codec.decoded_columns(later)
        assert [column for column in columns if column in codec.decoded_columns(earlier)] == codec.decoded_columns(
            earlier
        )
        for name, tag in codec.decoded_columns(earlier):
            if tag == "N":
                before, after = (
                    str(schema.field(codec.field_index(schema, name, tag)).type).partition("(")[0]
                    for schema in (earlier, later)
                )
                assert WIDTH[before] <= WIDTH[after]
    assert [str(s.field(codec.field_index(s, "n", "N")).type) for s in schemas][:4] == [
        *("int64", "decimal128(38, 0)", "decimal128(38, 0)", "decimal128(38, 2)")
    ]


def test_the_schema_says_which_tag_a_field_holds(decode: Decode) -> None:
    schema = decode(items({"S": "x"}, {"N": "1"}, {"NS": ["1"]})).batches[0].schema
    assert schema.names == [*META_FIELDS, "a", "a", "a"]
    assert [str(field.type) for field in schema] == [
        *("string", "int64", "string", "bool", "string", "int64", "list<item: int64>")
    ]
    assert [field.metadata for field in schema] == [None] * 4 + [{b"tag": tag} for tag in (b"S", b"N", b"NS")]


def test_an_attribute_may_bear_a_meta_name(decode: Decode) -> None:
    outcome = decode(line({"Item": {"_tr_pos": {"S": "x"}, "_tr_op": {"N": "5"}}}))
    assert outcome.values == [{"_tr_op:N": 5, "_tr_pos:S": "x"}]
    assert outcome.meta("_tr_op") == ["r"]


# ---- known ------------------------------------------------------------------------------------------------

HALF = NumberRange(False, 3, 1)
KNOWN: Seen = {
    ("n", "N"): AttributeSeen(99, HALF),
    ("never", "S"): AttributeSeen(5),
    ("never", "NS"): AttributeSeen(5, HALF),
    ("gone", "NULL"): AttributeSeen(7),
}


def test_known_attributes_have_fields_from_the_first_batch(decode: Decode) -> None:
    outcome = decode(
        line({"Item": {"n": {"N": "1"}}}) + b"\n" + line({"Item": {"z": {"S": ""}}}), known=KNOWN, batch_bytes=1
    )
    first, second = outcome.batches
    assert codec.decoded_columns(first.schema) == [("n", "N"), ("never", "S"), ("never", "NS")]
    assert codec.decoded_columns(second.schema) == [("n", "N"), ("never", "S"), ("never", "NS"), ("z", "S")]
    assert [str(first.schema.field(i).type) for i in (4, 5, 6)] == [
        *("decimal128(38, 1)", "string", "list<item: decimal128(38, 1)>")
    ]
    assert first.column(5).to_pylist() == [None]


def test_known_attributes_are_not_seen(decode: Decode) -> None:
    outcome = decode(line({"Item": {"n": {"N": "1"}}}), known=KNOWN)
    assert dict(outcome.seen) == {("n", "N"): AttributeSeen(1, NumberRange(True, 1, 0))}
    assert outcome.types() == {"n:N": "decimal128(38, 1)"}
    assert dict(decode(b"", known=KNOWN).seen) == {}


def test_what_is_seen_goes_beyond_what_is_known(decode: Decode) -> None:
    data = line({"Item": {"n": {"N": "1E-130"}}})
    [batch] = decode(data, known=KNOWN).batches
    assert (str(batch.schema.field(4).type), batch.column(4).to_pylist()) == ("string", ["1E-130"])
    wide: Seen = {("n", "N"): AttributeSeen(0, NumberRange(False, 30, 20))}
    [batch] = decode(line({"Item": {"n": {"N": "1.50"}}}), known=wide).batches
    assert (str(batch.schema.field(4).type), batch.column(4).to_pylist()) == ("string", ["1.5"])


def test_known_numbers_may_have_no_range(decode: Decode) -> None:
    [batch] = decode(line({"Item": {"n": {"N": "2"}}}), known={("n", "N"): AttributeSeen(0)}).batches
    assert str(batch.schema.field(4).type) == "int64"


def test_the_same_result_with_what_a_first_run_saw(decode: Decode) -> None:
    first = decode(DATA)
    second = decode(DATA, known=first.seen, batch_bytes=1)
    assert {batch.schema for batch in second.batches} == {first.table.schema}
    assert summary(second) == summary(first)


# ---- size -------------------------------------------------------------------------------------------------


def test_54_an_item_of_400_kb_in_its_most_verbose_spelling(decode: Decode) -> None:
    escaped = b"\\u65e5" * 136_000  # 3 bytes each in DynamoDB, 6 here
    image = b'{"pk":{"S":"a"},"v":{"S":"%s"},"l":{"L":[%s]}}' % (escaped, b",".join([b'{"S":"\\u0001"}'] * 1000))
    begin = b'{"Metadata":{"SequenceNumber":{"S":"1"}},"Keys":{"pk":{"S":"a"}},"NewImage":'
    data = begin + image + b',"OldImage":' + image + b"}"
    assert len(data) > 1_600_000
    outcome = decode(gzip.compress(data), keys=KeySchema(KeyAttribute("pk", "S")))
    assert outcome.values == [{"pk:S": "a", "v:S": "日" * 136_000, "l:L": "[" + ",".join(['"\\u0001"'] * 1000) + "]"}]


def test_many_rows(decode: Decode) -> None:
    rows = 20_000
    data = b"\n".join(b'{"Item":{"a":{"N":"%d"},"b%d":{"S":"x"}}}' % (i, i % 7) for i in range(rows))
    outcome = decode(gzip.compress(data), range(1000, len(data) // 50, 1000), batch_bytes=100_000)
    column = outcome.table.column(len(META_FIELDS))
    assert column.to_pylist() == list(range(rows))
    assert sum(seen.count for (name, _), seen in outcome.seen.items() if name != "a") == rows
    assert isinstance(outcome.table, pa.Table)


def test_segments_decode_with_what_a_wider_target_knows() -> None:
    known: Seen = {("n", "N"): AttributeSeen(0, HALF), ("t", "N"): AttributeSeen(0, NumberRange(False, 126, 130))}
    parts = [[line({"Item": {"n": {"N": "1"}, "t": {"N": "2"}}})], [line({"Item": {"n": {"N": "0.25"}}})], [b""]]
    decoded = codec.decode_segments(parts, "0001|1|", known=known)
    assert [str(field.type) for field in list(decoded.table.schema)[4:]] == ["decimal128(38, 2)", "string"]
    assert [column.to_pylist() for column in decoded.table.columns[4:]] == [[Decimal(1), Decimal("0.25")], ["2", None]]
    assert decoded.rows == (1, 1, 0)
