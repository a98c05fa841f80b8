"""An export's manifests: read as DynamoDB writes them, refused with a reason wherever they do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.errors import ExportInvalid
from tailrace.landing.exports import MANIFESTS, folders_with, md5_of, read_listing
from tailrace.local.export_files import ExportFacts, export_objects, full_lines, incremental_lines
from tailrace.local.history import NetChange
from tailrace.testing.stores import MemoryStore

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
ITEMS = [{"id": {"S": f"k{i}"}, "n": {"N": str(i)}} for i in range(9)]
FULL = ExportFacts(f"{ARN}/export/01772359200123-0a1b2c3d", ARN, "id-1", "lake", "ddb/orders", 1_772_359_200_123,
                   1_772_359_571_480, 1_772_358_300_000)  # fmt: skip
WINDOW = ExportFacts(f"{ARN}/export/01772363140000-4e5f6a7b", ARN, "id-1", "lake", "ddb/orders", 1_772_363_140_000,
                     1_772_363_452_315, 1_772_359_200_000, (1_772_358_300_000, 1_772_359_200_000), "NEW_IMAGE")  # fmt: skip
CHANGES = [NetChange({"id": {"S": "k1"}}, None, ITEMS[1], 1_772_358_300_123_456)]


def store_of(facts: ExportFacts, root: str = "ddb/orders/") -> MemoryStore:
    store = MemoryStore()
    lines = full_lines(ITEMS) if facts is FULL else incremental_lines(CHANGES, facts.view)
    for key, data in export_objects(facts, lines).objects:
        store.create(key.removeprefix(root), data)
    return store


def test_a_full_export_says_what_it_is() -> None:
    listing = read_listing(store_of(FULL), "AWSDynamoDB/01772359200123-0a1b2c3d")
    assert (listing.type, listing.items, listing.window, listing.moment) == ("FULL_EXPORT", 9, None, 1_772_358_300)
    assert sum(file.items for file in listing.files) == 9
    assert all(file.name.startswith("AWSDynamoDB/01772359200123-0a1b2c3d/data/") for file in listing.files)


def test_a_windows_files_lie_in_the_shared_folder() -> None:
    listing = read_listing(store_of(WINDOW), "AWSDynamoDB/01772363140000-4e5f6a7b")
    assert (listing.type, listing.view, listing.window) == (
        "INCREMENTAL_EXPORT", "NEW_IMAGE", (1_772_358_300, 1_772_359_200)
    )  # fmt: skip
    assert all(file.name.startswith("AWSDynamoDB/data/") for file in listing.files)


@pytest.mark.parametrize("root", ["", "ddb/", "ddb/orders/", "ddb/orders/AWSDynamoDB/"])
@pytest.mark.parametrize("facts", [FULL, WINDOW], ids=["full", "window"])
def test_an_export_is_found_and_read_wherever_it_was_copied_to(facts: ExportFacts, root: str) -> None:
    store = store_of(facts, root)
    [folder] = folders_with(MANIFESTS, store.objects)
    listing = read_listing(store, folder)
    assert all(file.name in store.objects for file in listing.files)


def change_summary(change: Callable[[dict[str, Any]], None], facts: ExportFacts = FULL) -> MemoryStore:
    store = store_of(facts)
    name = f"AWSDynamoDB/{facts.export_id}/manifest-summary.json"
    summary = json.loads(store.objects[name])
    change(summary)
    store.objects[name] = json.dumps(summary).encode()
    store.objects[name.replace(".json", ".md5")] = md5_of(store.objects[name]).encode()
    return store


def change_files(change: Callable[[list[dict[str, Any]]], None]) -> MemoryStore:
    store = store_of(FULL)
    name = f"AWSDynamoDB/{FULL.export_id}/manifest-files.json"
    entries = [json.loads(line) for line in store.objects[name].splitlines()]
    change(entries)
    store.objects[name] = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    store.objects[name.replace(".json", ".md5")] = md5_of(store.objects[name]).encode()
    return store


@pytest.mark.parametrize("field", ["exportArn", "tableArn", "tableId", "exportTime", "itemCount", "manifestFilesS3Key"])
def test_a_summary_without_a_field_is_refused_by_its_name(field: str) -> None:
    with pytest.raises(ExportInvalid, match=field):
        read_listing(change_summary(lambda s: s.pop(field)), f"AWSDynamoDB/{FULL.export_id}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.update(itemCount=8), "lists 9 items"),
        (lambda s: s.update(itemCount="9"), "no count"),
        (lambda s: s.update(itemCount=-1), "no count"),
        (lambda s: s.update(outputFormat="ION"), "ION"),
        (lambda s: s.update(exportTime="2026-03-01T10:00:00.000"), "time zone"),
        (lambda s: s.update(exportTime="yesterday"), "yesterday"),
    ],
)
def test_a_summary_that_does_not_fit_is_refused(change: Callable[[dict[str, Any]], None], reason: str) -> None:
    with pytest.raises(ExportInvalid, match=reason):
        read_listing(change_summary(change), f"AWSDynamoDB/{FULL.export_id}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e.append(dict(e[0])), "listed twice"),
        (lambda e: e[0].pop("md5Checksum"), "md5Checksum"),
        (lambda e: e[0].update(md5Checksum="AAAA"), "MD5"),
        (lambda e: e[0].update(dataFileS3Key="ddb/orders/../../other/data/x.json.gz"), "neither"),
        (lambda e: e[0].update(dataFileS3Key="elsewhere/data/x.json.gz"), "neither"),
        (lambda e: e[0].update(dataFileS3Key="ddb/orders/AWSDynamoDB/01772359200123-0a1b2c3d/data/.."), "neither"),
        (lambda e: e[0].update(itemCount=True), "no count"),
        (lambda e: e.pop(), "lists"),
    ],
)
def test_a_list_of_files_that_does_not_fit_is_refused(change: Callable[[list[Any]], None], reason: str) -> None:
    with pytest.raises(ExportInvalid, match=reason):
        read_listing(change_files(change), f"AWSDynamoDB/{FULL.export_id}")


@pytest.mark.parametrize(
    "name", ["manifest-summary.json", "manifest-summary.md5", "manifest-files.json", "manifest-files.md5"]
)
def test_a_missing_or_changed_manifest_is_noticed(name: str) -> None:
    folder = f"AWSDynamoDB/{FULL.export_id}"
    store = store_of(FULL)
    store.objects[f"{folder}/{name}"] += b" x"
    with pytest.raises(ExportInvalid, match="MD5"):
        read_listing(store, folder)
    del store.objects[f"{folder}/{name}"]
    with pytest.raises(ExportInvalid, match="missing"):
        read_listing(store, folder)


def test_unknown_fields_and_a_missing_prefix_do_not_matter() -> None:
    store = change_summary(lambda s: s.update(somethingNew=[1, 2], s3Prefix=None))
    assert read_listing(store, f"AWSDynamoDB/{FULL.export_id}").prefix == ""
