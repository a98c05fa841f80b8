"""Records set aside: kept as they came, once, until somebody releases them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import SegmentCorrupt, UsageInvalid
from tailrace.landing import Landing
from tailrace.landing.segments import pack
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.testing.stores import MemoryStore

BAD = QuarantinedRecord(
    "bad_number",
    "1e999 is out of range",
    b'{"Item":{}}',
    segment="changes/dt=2026-11-22/hr=05/1-2-ab.json.gz",
    line=2,
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def landing(store: MemoryStore) -> Landing:
    return Landing(store, "orders")


@given(
    st.builds(
        QuarantinedRecord,
        kind=st.text(max_size=20),
        reason=st.text(st.characters(codec="utf-8")),
        payload=st.binary() | st.sampled_from([b"", b"\xff", "\u2028\u0085\r\n\0".encode(), b"\n" * 3]),
        segment=st.none() | st.text(st.characters(codec="utf-8"), max_size=9),
        line=st.none() | st.integers(1, 2**40),
        offset=st.none() | st.integers(0, 2**40),
        shard=st.none() | st.text(st.characters(codec="utf-8"), max_size=9),
        sequence_number=st.none() | st.integers(0, 10**40 - 1).map(str),
        cut=st.booleans(),
    )
)
def test_a_record_comes_back_as_it_was_on_one_line(record: QuarantinedRecord) -> None:
    line = record.to_bytes()
    assert b"\n" not in line
    assert line.isascii()
    assert QuarantinedRecord.from_bytes(line) == record


def test_set_aside_records_are_found_with_their_origin(landing: Landing) -> None:
    poison = QuarantinedRecord("bad_envelope", "no Keys", b"\xff\x00", shard="s-1", sequence_number="17")
    names = {landing.quarantine(str(BAD.segment), [BAD]), landing.quarantine("capture", [poison, BAD])}
    files = list(landing.quarantined())
    assert {file.name for file in files} == names
    assert [file.records for file in files] == [(poison, BAD), (BAD,)]
    assert files[1].name.startswith("quarantine/changes.dt=2026-11-22.hr=05.1-2-ab-")


def test_setting_the_same_aside_again_changes_nothing(store: MemoryStore, landing: Landing) -> None:
    name = landing.quarantine("capture", [BAD])
    before = dict(store.objects)
    assert Landing(store, "orders").quarantine("capture", [BAD]) == name
    assert store.objects == before


def test_other_records_of_one_origin_are_kept_beside(landing: Landing) -> None:
    landing.quarantine("capture", [BAD])
    landing.quarantine("capture", [replace(BAD, line=3)])
    assert sum(len(file.records) for file in landing.quarantined()) == 2


def test_a_released_object_is_gone_and_releasing_it_again_is_fine(landing: Landing) -> None:
    name = landing.quarantine("capture", [BAD])
    landing.release(name)
    landing.release(name)
    assert list(landing.quarantined()) == []


@pytest.mark.parametrize("name", ["manifest.json", "changes/x", "../t/quarantine/x", "quarantine/../manifest.json"])
def test_nothing_but_quarantine_can_be_released(store: MemoryStore, landing: Landing, name: str) -> None:
    store.create("orders/manifest.json", b"{}")
    with pytest.raises(UsageInvalid):
        landing.release(name)
    assert "orders/manifest.json" in store.objects


def test_an_object_released_while_it_is_listed_is_passed_over(store: MemoryStore, landing: Landing) -> None:
    first, second = sorted([landing.quarantine("a", [BAD]), landing.quarantine("b", [BAD])])
    files = landing.quarantined()
    assert next(files).name == first
    landing.release(second)
    assert list(files) == []


GOOD = BAD.to_bytes()


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ([b"{"], 1),
        ([GOOD, b"[]"], 2),
        ([GOOD, GOOD, b"null"], 3),
        ([json.dumps({**json.loads(GOOD), "format": 2}).encode()], 1),
        ([json.dumps({**json.loads(GOOD), "surprise": 2}).encode()], 1),
        ([b'{"format":1,"kind":"x","reason":"y"}'], 1),
        ([b'{"format":1,"kind":"x","reason":"y","payload":7}'], 1),
        ([b'{"format":1,"kind":"x","reason":"y","payload_base64":"*"}'], 1),
    ],
)
def test_a_damaged_object_is_named_with_its_line(
    store: MemoryStore, landing: Landing, lines: list[bytes], at: int
) -> None:
    store.create("orders/quarantine/x.json.gz", pack(lines).data)
    with pytest.raises(SegmentCorrupt) as caught:
        list(landing.quarantined())
    assert caught.value.facts["object"] == "quarantine/x.json.gz"
    assert caught.value.facts["line"] == at


def test_a_cut_object_is_named(store: MemoryStore, landing: Landing) -> None:
    store.create("orders/quarantine/x.json.gz", pack([GOOD]).data[:-5])
    with pytest.raises(SegmentCorrupt) as caught:
        list(landing.quarantined())
    assert caught.value.facts["object"] == "quarantine/x.json.gz"
