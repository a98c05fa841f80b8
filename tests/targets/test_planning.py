"""What a load comes to before any target sees it."""

from __future__ import annotations

import json

import pytest

from tailrace.codec import DecodedSegments, decode_segments, rejecting
from tailrace.targets.planning import unfit
from tailrace.targets.target import Limits

ITEMS = [
    {"pk": {"S": "a"}, "x": {"S": "fine"}},
    {"pk": {"S": "b"}, "x": {"S": "a\0b"}},
    {"pk": {"S": "c"}, "t": {"SS": ["a", "z\0"]}},
    {"pk": {"S": "d"}, "x": {"S": "é" * 4}},
    {"pk": {"S": "e"}, "m": {"M": {"y": {"S": "\0"}}}},
]


def lines(*items: object) -> bytes:
    return b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)


PARTS = [lines(*ITEMS[:2]), b"not json\n \n" + lines(*ITEMS[2:])]


@pytest.fixture
def decoded() -> DecodedSegments:
    return decode_segments([[part] for part in PARTS], "0001|0|")


def test_texts_that_do_not_fit_are_found_with_the_reason(decoded: DecodedSegments) -> None:
    assert unfit(decoded.table, Limits()) == {}
    assert sorted(unfit(decoded.table, Limits(nul=False))) == [1, 2]
    assert unfit(decoded.table, Limits(string_bytes=7)) == {
        3: "the text of 'x' has more than 7 bytes, which the target cannot hold"
    }


def test_rows_that_do_not_fit_are_rejected_where_they_stand(decoded: DecodedSegments) -> None:
    reasons = {1: "one", 2: "two", 4: "four"}
    left = rejecting(decoded, reasons, lambda number: [PARTS[number]])
    assert left.table.column("pk").to_pylist() == ["a", "d"]
    assert left.rows == (1, 1)
    first, second = left.rejected
    assert [(r.line, r.kind, r.reason, json.loads(r.raw)["Item"]) for r in first] == [(2, "unfit", "one", ITEMS[1])]
    assert [(r.line, r.kind) for r in second] == [(1, "not_json"), (3, "unfit"), (5, "unfit")]
    assert [PARTS[1][r.offset :].split(b"\n")[0] for r in second[1:]] == [r.raw for r in second[1:]]
