"""The three shapes of tables: their distributions in bands, their type conflicts, and what every seed keeps."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest

from tailrace.gen.profiles import PROFILES, Item, Profile
from tailrace.gen.writer import Plan
from tailrace.local.sizes import item_bytes

COUNT = 3000
EACH = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@functools.cache
def items(name: str) -> list[Item]:
    return [PROFILES[name].item_of(7, number, 0) for number in range(COUNT)]


def share(values: Any) -> float:
    found = list(values)
    return sum(map(bool, found)) / len(found)


@EACH
def test_equal_seeds_make_equal_items(profile: Profile) -> None:
    assert [profile.item_of(1, n, 0) for n in range(50)] == [profile.item_of(1, n, 0) for n in range(50)]
    assert profile.item_of(1, 5, 0) != profile.item_of(2, 5, 0)
    assert profile.key_of(1, 5) != profile.key_of(2, 5)


@EACH
def test_no_two_items_share_a_key_and_every_item_holds_its_own(profile: Profile) -> None:
    keys = {str(profile.key_of(3, number)) for number in range(5000)}
    assert len(keys) == 5000
    for number in range(100):
        key, item = profile.key_of(3, number), profile.item_of(3, number, 4)
        assert list(key) == list(profile.keys)
        assert {name: item[name] for name in key} == key


def test_keys_stay_apart_where_their_numbers_are_few() -> None:
    """Users and products have no random part in their keys but a number below 10^9."""
    keys = [PROFILES["single-table"].key_of(0, number) for number in range(25_000)]
    short = [key["pk"]["S"] for key in keys if key["sk"]["S"] in ("PROFILE", "META")]
    assert len(short) > 8_000
    assert len(set(short)) == len(short)


@EACH
def test_another_version_is_another_item_under_the_same_key(profile: Profile) -> None:
    for number in range(500):
        versions = [profile.item_of(3, number, version) for version in range(4)]
        assert len({json.dumps(sorted(v.items()), default=repr) for v in versions}) == 4


@EACH
def test_every_number_is_dynamodbs(profile: Profile) -> None:
    def numbers(value: Any) -> Any:
        for kind, content in value.items():
            if kind == "N":
                yield content
            elif kind == "NS":
                yield from content
            elif kind == "M":
                yield from itertools.chain.from_iterable(map(numbers, content.values()))
            elif kind == "L":
                yield from itertools.chain.from_iterable(map(numbers, content))

    for item in items(profile.name):
        for number in itertools.chain.from_iterable(map(numbers, item.values())):
            assert re.fullmatch(r"-?\d{1,20}(\.\d{1,19})?", number), number
            assert len(number.replace(".", "").strip("-0")) <= 38


def test_narrow() -> None:
    found = items("narrow")
    assert all(set(item) == {"id", "time", "value"} for item in found)
    assert all(re.fullmatch("[0-9a-f]{32}", item["id"]["S"]) for item in found)
    assert all(re.fullmatch(r"2026-\d\d-\d\dT[\d:]{8}\.\d{6}\+00:00", item["time"]["S"]) for item in found)
    values = [int(item["value"]["N"]) for item in found]
    assert -(10**6) <= min(values) < -900_000
    assert 900_000 < max(values) <= 10**6


def test_order() -> None:
    found = items("order")
    present = {name: share(name in item for item in found) for name in {n for item in found for n in item}}
    assert len(present) == 26
    expected = {
        "email": 0.8, "coupon": 0.5, "note": 0.3, "tags": 0.7, "scores": 0.4, "big_id": 0.9, "exact": 0.5, "sig": 0.2,
        "delivered_at": 0.6, "weight": 0.5,
    }  # fmt: skip
    for name, wanted in present.items():
        assert wanted == pytest.approx(expected.get(name, 1.0), abs=0.04), name
    assert share("S" in i["coupon"] for i in found if "coupon" in i) == pytest.approx(0.6, abs=0.05)
    assert share("S" in i["delivered_at"] for i in found if "delivered_at" in i) == pytest.approx(0.7, abs=0.05)
    assert share(i["discount"]["N"] == "0" for i in found) == pytest.approx(0.7, abs=0.04)
    assert share(i["is_paid"]["BOOL"] for i in found) == pytest.approx(0.8, abs=0.04)
    assert share(i["is_gift"]["BOOL"] for i in found) == pytest.approx(0.1, abs=0.03)
    assert Counter(len(i["items"]["L"]) for i in found).keys() == {1, 2, 3, 4}
    assert Counter(i["status"]["S"] for i in found).keys() == {"new", "paid", "packed", "shipped", "returned"}
    assert all(2**53 <= int(i["big_id"]["N"]) < 2**63 for i in found if "big_id" in i)
    assert share(list(i) == sorted(i) for i in found) < 0.01, "attributes come in random order"
    sizes = [item_bytes(_plain(i)) for i in found]
    assert 600 < sum(sizes) / len(sizes) < 1100


def test_single_table() -> None:
    found = items("single-table")
    kinds = Counter(item["type"]["S"] for item in found)
    assert kinds.keys() == {"user", "order", "product", "event", "login"}
    assert all(count / COUNT == pytest.approx(0.2, abs=0.04) for count in kinds.values())
    for name in ("age", "total", "price"):
        assert share("N" in i[name] for i in found if name in i) == pytest.approx(0.7, abs=0.06), name
    events = [i for i in found if i["type"]["S"] == "event"]
    assert share("M" in i["value"] for i in events) == pytest.approx(0.2, abs=0.06)
    assert share("BOOL" in i["ok"] for i in events) == pytest.approx(0.8, abs=0.06)


def test_single_table_has_attributes_of_several_types() -> None:
    types: dict[str, set[str]] = {}
    for item in items("single-table"):
        for name, value in item.items():
            types.setdefault(name, set()).update(value)
    assert types["value"] == {"N", "S", "M"}
    assert types["created"] == {"N", "S"}
    assert types["tags"] == {"SS", "L"}
    assert types["ok"] == {"BOOL", "NULL"}
    assert all(types[name] == {"N", "S"} for name in ("age", "total", "price"))


@EACH
@pytest.mark.parametrize("mix", [(70, 20, 10), (10, 80, 10), (1, 0, 0), (0, 0, 5), (0, 1, 0)])
def test_a_plan_updates_and_deletes_what_lives_and_changes_something_each_time(
    profile: Profile, mix: tuple[int, int, int]
) -> None:
    live: dict[str, str] = {}
    gone: set[str] = set()
    for operation in itertools.islice(Plan(profile, 5, mix).operations(), 2000):
        key = str(operation.key)
        if operation.kind == "insert":
            assert key not in live
            assert key not in gone
        else:
            assert key in live
        if operation.item is None:
            assert operation.kind == "delete"
            gone.add(key)
            del live[key]
        else:
            content = json.dumps(sorted(operation.item.items()), default=repr)
            assert live.get(key) != content
            live[key] = content


def test_the_mix_is_kept() -> None:
    operations = itertools.islice(Plan(PROFILES["narrow"], 5, (70, 20, 10)).operations(), 10_000)
    kinds = Counter(operation.kind for operation in operations)
    assert [kinds[kind] / 10_000 for kind in ("insert", "update", "delete")] == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_equal_plans_are_equal() -> None:
    def first(seed: int) -> list[Any]:
        return list(itertools.islice(Plan(PROFILES["order"], seed).operations(), 300))

    assert first(1) == first(1) != first(2)


def _plain(item: Item) -> Item:
    """Bytes as the wire has them."""
    return {name: {"B": ""} if "B" in value else value for name, value in item.items()}
