"""The manifest comes back as it was written, and a damaged one is refused with our error, whatever the damage."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ManifestInvalid
from tailrace.model.exports import BaseExport, ExportPlan, Window
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Garbage, Incarnation, Manifest, Page, Pause, ShardState
from tailrace.model.positions import SequenceNumber
from tailrace.model.repair import RepairState
from tailrace.model.scan import ScanPart, ScanState
from tailrace.model.segments import Place, Segment, ShardRange

KEYS = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-22T00:00:00.000"
INCARNATION = Incarnation("123456789012", "eu-west-1", "orders", "7d1e", STREAM, "NEW_AND_OLD_IMAGES", KEYS)
SEGMENT = Segment(
    number=12,
    name="changes/dt=2026-11-22/hr=05/1-2-0be4d9f1.json.gz",
    kind="stream",
    rows=3,
    bytes=812,
    sha256="0be4d9f1" * 8,
    published_ms=1795323001000,
    through_ms=1795323000500,
    newest_change_ms=1795323000000,
    shards={"shard-b": ShardRange(SequenceNumber(1), SequenceNumber(10**40 - 1), 2)},
    lineage=("changes/dt=2026-11-22/hr=05/1-1-aaaaaaaa.json.gz",),
)
FULL = Manifest(
    incarnation=INCARNATION,
    version=7,
    writer="0f3a",
    epoch=2,
    epoch_kind="repair",
    fence=3,
    state="GAP",
    pause=Pause("denied", "grant dynamodb:GetRecords", STREAM),
    config_hash="abc",
    captured_through_ms=1795323000000,
    next_number=13,
    shards={
        "shard-a": ShardState(
            None, SequenceNumber(10**39), "TRIM_HORIZON", None, SequenceNumber(10**39), 1795323000000
        ),
        "shard-b": ShardState("shard-a", start="LATEST", since_ms=1795323000000),
    },
    segments=(
        SEGMENT,
        replace(
            SEGMENT,
            number=13,
            kind="base",
            through_ms=None,
            newest_change_ms=None,
            shards={},
            lineage=(),
            place=Place("changes/dt=2026-11-22/hr=05/compacted-1-13-0badcafe.json.gz", 812),
        ),
    ),
    compacted_through=13,
    garbage=(
        Garbage("changes/compacted-1-13-0badcafe.json.gz", 1795323000000, 1, 13, ("manifest/1-11-0a0a0a0a.json",)),
    ),
    pages=(Page("manifest/1-11-119ed8c8.json", 1, 11, 40, 9000),),
    scan=ScanState(
        epoch=2,
        parts=(ScanPart({"pk": {"S": "é"}, "sk": {"B": "AP8="}}, 3), ScanPart(None, 2, is_done=True), ScanPart()),
        begun_ms=1795323000000,
        finished_ms=1795323000900,
        last_number=13,
        rows=3,
        bytes=812,
        units=77,
    ),
    repair=RepairState(
        epoch=2,
        kind="window",
        begun_ms=1795323000000,
        start=1795220000,
        end=1795323400,
        through=1795230000,
        plan=ExportPlan(1795323400, Window(1795300000, 1795323400), 1, 1795323000000, "arn:aws:export"),
        last_number=12,
        rows=8,
        keys=2,
        finished_ms=1795323900000,
    ),
    oldest_epoch=2,
    predecessors=("7d1d",),
    base_export=BaseExport(
        epoch=2,
        begun_ms=1795323000000,
        plan=ExportPlan(1795323900, None, 2, 1795323000000, "arn:aws:export", "why", 1795323030000),
        moment=1795323000,
        last_number=13,
    ),
    gaps=(
        Gap(
            "stream_trimmed",
            "older than 24 hours",
            1795323000000,
            "shard-a",
            SequenceNumber(5),
            "repairing",
            1795322000000,
        ),
    ),
    counters={"rows": 43, "bytes": 9812, "segments": 13, "quarantined": 1},
)
NEW = Manifest(INCARNATION)


@pytest.mark.parametrize("manifest", [FULL, NEW], ids=["full", "new"])
def test_a_manifest_comes_back_as_it_was_written(manifest: Manifest) -> None:
    data = manifest.to_bytes()
    assert Manifest.from_bytes(data) == manifest
    assert Manifest.from_bytes(data).to_bytes() == data
    assert data.endswith(b"}\n")


def test_equal_manifests_are_equal_bytes() -> None:
    turned = replace(FULL, shards=dict(reversed(FULL.shards.items())), counters=dict(reversed(FULL.counters.items())))
    assert turned.to_bytes() == FULL.to_bytes()


def test_sequence_numbers_are_text() -> None:
    document = json.loads(FULL.to_bytes())
    assert document["shards"]["shard-a"]["mark"] == "1" + "0" * 39
    assert document["segments"][0]["shards"]["shard-b"] == ["1", "9" * 40, 2]
    assert document["gaps"][0]["after"] == "5"


def test_publishing_counts_and_signs() -> None:
    assert FULL.published_by("me") == replace(FULL, version=8, writer="me")


def test_a_closed_gap_is_kept_and_no_longer_open() -> None:
    closed = replace(FULL.gaps[0], state="closed")
    assert replace(FULL, gaps=(closed, *FULL.gaps)).open_gaps == FULL.gaps


@pytest.mark.parametrize(("first", "last", "rows"), [(2, 1, 1), (1, 1, 0), (1, 2, -1)])
def test_a_range_is_neither_empty_nor_reversed(first: int, last: int, rows: int) -> None:
    with pytest.raises(ValueError, match="shard range"):
        ShardRange(SequenceNumber(first), SequenceNumber(last), rows)


def test_no_place_lies_before_an_objects_beginning() -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.from_bytes(FULL.to_bytes().replace(b'0badcafe.json.gz",812]', b'0badcafe.json.gz",-1]'))


# ---- damage -----------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = json.loads(FULL.to_bytes())
MISTYPED: tuple[Any, ...] = (None, 5, "x", True, 1.5, [], {}, [5], {"x": 5})


def fields(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside the document."""
    children: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from fields(child, (*path, name))


PATHS = list(fields(DOCUMENT))
# Names that the writer chose; a document without one of them, or with another value there, may be whole.
FREE = {
    *(("shards", "shard-a"), ("shards", "shard-b"), ("segments", 0, "shards", "shard-b")),
    *(("scan", "parts", 0, "after", name) for name in ("pk", "sk")),
}
OPTIONAL = {
    *(("scan",), ("base_export",), ("repair",), ("oldest_epoch",), ("predecessors",), ("gaps", 0, "since_ms")),
    *(("compacted_through",), ("garbage",), ("segments", 1, "place"), ("segments", 1, "epoch")),
}
NULLABLE = {
    *("parent", "mark", "since_ms", "last", "finished_ms", "shard", "after"),
    *("pause", "captured_through_ms", "through_ms", "newest_change_ms"),
    *("plan", "moment", "arn", "from", "start", "end", "through"),
}


def changed(path: tuple[Any, ...], value: Any = None, *, remove: bool = False) -> bytes:
    document = copy.deepcopy(DOCUMENT)
    node = document
    for name in path[:-1]:
        node = node[name]
    if remove:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return json.dumps(document).encode()


FIELDS = [
    path for path in PATHS if isinstance(path[-1], str) and path not in FREE | OPTIONAL and path[:-1] != ("counters",)
]


@pytest.mark.parametrize("path", FIELDS, ids=str)
def test_every_field_must_be_there(path: tuple[Any, ...]) -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.from_bytes(changed(path, remove=True))


def is_legal(path: tuple[Any, ...], old: Any, new: Any) -> bool:
    """Whether a value of this type may stand there, so that nothing is to be noticed."""
    name = path[-1]
    if new is None:
        return name in NULLABLE
    if isinstance(old, bool) or isinstance(new, bool):
        return type(old) is type(new)
    if name in ("lineage", "segments", "pages", "gaps", "garbage", "predecessors") and new == []:
        return True
    if name in ("shards", "counters") and new in ({}, {"x": 5}):
        return new == {} or name == "counters"
    if old is None:
        return isinstance(new, int if str(name).endswith("_ms") else str)
    return type(old) is type(new) and not isinstance(new, list | dict)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_every_field_must_be_of_its_type(path: tuple[Any, ...]) -> None:
    old = DOCUMENT
    for name in path:
        old = old[name]
    for value in MISTYPED:
        if not is_legal(path, old, value):
            with pytest.raises(ManifestInvalid):
                Manifest.from_bytes(changed(path, value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"\xff",
        b"{" * 100_000,
        b"[" * 100_000,
        FULL.to_bytes()[:-20],
        FULL.to_bytes()[: len(FULL.to_bytes()) // 2],
        FULL.to_bytes() * 2,
        FULL.to_bytes().replace(b'"NaN"', b"NaN") + b"x",
        FULL.to_bytes().decode().encode("utf-16"),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_manifest_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.from_bytes(data)


@pytest.mark.parametrize("found", [0, 2, 99, "1", None, True, 1.5, []])
def test_another_format_is_refused_before_anything_is_read(found: Any) -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.from_bytes(json.dumps({"format": found}).encode())


def test_a_newer_format_says_what_to_do() -> None:
    with pytest.raises(ManifestInvalid, match="format 2") as caught:
        Manifest.from_bytes(b'{"format":2,"things":"unknown"}')
    assert "Upgrade" in caught.value.hint


@given(at=st.floats(0, 1, exclude_max=True), piece=st.binary(max_size=4), cut=st.integers(0, 6))
def test_damaged_bytes_are_refused_or_another_whole_manifest(at: float, piece: bytes, cut: int) -> None:
    data = FULL.to_bytes()
    where = int(at * len(data))
    try:
        found = Manifest.from_bytes(data[:where] + piece + data[where + cut :])
    except ManifestInvalid:
        return
    assert Manifest.from_bytes(found.to_bytes()) == found


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "golden").iterdir()), ids=lambda path: path.stem)
def test_what_earlier_releases_wrote_is_read_and_written_alike(path: Path) -> None:
    """Documents of real runs, never changed again: a scan in its midst, exports, a repair of either kind."""
    manifest = Manifest.from_bytes(path.read_bytes())
    parts = {"scan": manifest.scan, "exports": manifest.exports, "exported-base": manifest.base_export}
    assert parts.get(path.stem, manifest.repair) is not None
    assert manifest.to_bytes() == path.read_bytes()
