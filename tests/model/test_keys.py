"""Key schemas, and one text per key."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given

from tailrace.model.keys import KeyAttribute, KeySchema, canonical_key
from tailrace.model.numbers import canonical_number
from tailrace.testing import strategies

S = KeySchema(KeyAttribute("pk", "S"))
N = KeySchema(KeyAttribute("pk", "N"))
B = KeySchema(KeyAttribute("pk", "B"))
TWO = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))


@pytest.mark.parametrize(
    ("schema", "keys", "text"),
    [
        (S, {"pk": {"S": "a"}}, '["a"]'),
        (S, {"pk": {"S": ""}}, '[""]'),
        (S, {"pk": {"S": 'a"\\\n\u2028é'}, "other": {"X": 5}}, '["a\\"\\\\\\n\u2028é"]'),
        (N, {"pk": {"N": "1"}}, '["1"]'),
        (N, {"pk": {"N": "1.0"}}, '["1"]'),
        (N, {"pk": {"N": "1E0"}}, '["1"]'),
        (N, {"pk": {"N": "9007199254740993"}}, '["9007199254740993"]'),
        (N, {"pk": {"N": "-0"}}, '["0"]'),
        (B, {"pk": {"B": "AA=="}}, '["AA=="]'),
        (B, {"pk": {"B": b"\0"}}, '["AA=="]'),
        (TWO, {"sk": {"N": "2.50"}, "pk": {"S": "1"}}, '["1","2.5"]'),
    ],
    ids=str,
)
def test_a_key_has_one_text(schema: KeySchema, keys: Any, text: str) -> None:
    assert canonical_key(schema, keys) == text


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (S, {}),
        (S, {"PK": {"S": "a"}}),
        (S, {"pk": {"N": "1"}}),
        (S, {"pk": {}}),
        (S, {"pk": {"S": "a", "N": "1"}}),
        (S, {"pk": "a"}),
        (S, {"pk": None}),
        (N, {"pk": {"N": "x"}}),
        (N, {"pk": {"N": "1" * 39}}),
        (B, {"pk": {"B": "*"}}),
        (B, {"pk": {"B": "é"}}),
        (TWO, {"pk": {"S": "a"}}),
        (S, {"pk": {"S": 5}}),
        (S, {"pk": {"S": None}}),
        (N, {"pk": {"N": 5}}),
        (B, {"pk": {"B": 5}}),
    ],
    ids=str,
)
def test_what_is_no_key_of_the_schema_is_a_value_error(schema: KeySchema, keys: Any) -> None:
    with pytest.raises(ValueError, match=r"attribute|number|base64|ASCII|[Pp]adding"):
        canonical_key(schema, keys)


@given(strategies.items(TWO), strategies.items(TWO))
def test_keys_are_equal_where_their_values_are(left: dict[str, Any], right: dict[str, Any]) -> None:
    def value(item: dict[str, Any]) -> Any:
        return item["pk"]["S"], canonical_number(item["sk"]["N"])

    assert (canonical_key(TWO, left) == canonical_key(TWO, right)) == (value(left) == value(right))


def test_no_two_keys_share_a_text() -> None:
    pairs = [("a", "b"), ('a","b', ""), ("", 'a","b'), ("a,", "b"), ("a", ",b"), ("\\", ""), ("", "\\"), ('"', "")]
    both = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    assert len({canonical_key(both, {"pk": {"S": p}, "sk": {"S": s}}) for p, s in pairs}) == len(pairs)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe", bytes(range(256))])
def test_bytes_and_their_base64_are_one_key(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert canonical_key(B, {"pk": {"B": data}}) == canonical_key(B, {"pk": {"B": text}})


def test_a_schema_is_read_from_describe_table() -> None:
    description = {
        "KeySchema": [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "index_only", "AttributeType": "B"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "pk", "AttributeType": "S"},
        ],
    }
    assert KeySchema.from_table_description(description) == TWO
    description["KeySchema"] = description["KeySchema"][1:]
    assert KeySchema.from_table_description(description) == S


@pytest.mark.parametrize("schema", [S, N, B, TWO])
def test_a_schema_comes_back_from_its_json(schema: KeySchema) -> None:
    assert KeySchema.from_json(schema.to_json()) == schema


def test_names_stand_hash_first() -> None:
    assert (S.names, TWO.names) == (("pk",), ("pk", "sk"))
    assert [attribute.tag for attribute in TWO.attributes] == ["S", "N"]


@pytest.mark.parametrize("tag", ["BOOL", "NULL", "SS", "M", "", "s"])
def test_a_key_is_s_n_or_b(tag: Any) -> None:
    with pytest.raises(ValueError, match="S, N or B"):
        KeyAttribute("pk", tag)
