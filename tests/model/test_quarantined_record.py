"""A record set aside comes back byte for byte, and a damaged line of them is a ValueError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.quarantine import QuarantinedRecord

RECORD = QuarantinedRecord("bad_number", "1e999 is out of range", b'{"a":1}', segment="s", line=2, offset=211)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(
    payload=st.binary(max_size=30) | TEXT.map(str.encode),
    reason=TEXT,
    line=st.none() | st.integers(0, 2**70),
    shard=st.none() | TEXT,
    cut=st.booleans(),
)
def test_what_is_written_comes_back(payload: bytes, reason: str, line: Any, shard: Any, cut: bool) -> None:
    record = QuarantinedRecord("not_json", reason, payload, line=line, shard=shard, cut=cut)
    data = record.to_bytes()
    assert b"\n" not in data
    assert QuarantinedRecord.from_bytes(data) == record


DOCUMENT: dict[str, Any] = json.loads(RECORD.to_bytes())


@pytest.mark.parametrize("name", DOCUMENT)
def test_every_field_must_be_there_and_of_its_type(name: str) -> None:
    document = {n: v for n, v in DOCUMENT.items() if n != name}
    with pytest.raises(ValueError, match=r"."):
        QuarantinedRecord.from_bytes(json.dumps(document).encode())
    for value in (1.5, [], {}, *([None] if name in ("format", "kind", "reason", "cut", "payload") else [])):
        with pytest.raises(ValueError, match=r"."):
            QuarantinedRecord.from_bytes(json.dumps({**DOCUMENT, name: value}).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{" * 99_999, b'{"format":2}', b'{"format":true}', b'{"format":1,"payload_base64":"*"}'],
)
def test_what_is_no_record_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        QuarantinedRecord.from_bytes(data)
