"""Verification: whatever is changed in the target is found and named, and nothing else is."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.capture.records import encode
from tailrace.capture.table import Item
from tailrace.errors import NotFound, SourceChanged
from tailrace.gen.profiles import PROFILES
from tailrace.jobs.verify import EXAMPLES_MAX, DigestBag, VerifyReport, verify
from tailrace.landing import Landing
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.targets.target import Mode
from tailrace.testing.stores import MemoryStore
from tailrace.testing.tables import MemoryTable

MODES: tuple[Mode, ...] = ("current", "soft_delete", "changelog", "history")


def item(key: str, **more: Any) -> Item:
    """An item with every type in it."""
    return {
        "pk": {"S": key},
        "text": {"S": "a\u2028b"},
        "count": {"N": "7"},
        "exact": {"N": "12345678901234567.12345678901234567891"},
        "wide": {"N": "1E-130"},
        "blob": {"B": b"\x00\xff"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "names": {"SS": ["b", "a"]},
        "sizes": {"NS": ["10", "9.5", "1E2"]},
        "bytes": {"BS": [b"2", b"1"]},
        "nested": {
            "M": {"n": {"N": "1.10"}, "l": {"L": [{"S": "x"}, {"NULL": True}, {"B": b"z"}]}, "s": {"NS": ["2", "10"]}}
        },
        "list": {"L": [{"BOOL": True}, {"N": "9007199254740993"}, {"M": {}}]},
        **more,
    }


def differences(report: VerifyReport) -> list[tuple[Any, str, tuple[str, ...]]]:
    """(key value, kind, attributes) of the examples."""
    keys = [example["key"]["pk"] for example in report.to_json()["examples"]]
    return [(next(iter(k.values())), e.kind, e.attributes) for k, e in zip(keys, report.examples, strict=True)]


def counts(report: VerifyReport) -> tuple[int, int, int]:
    return report.missing, report.extra, report.different


@pytest.mark.parametrize("mode", MODES)
def test_what_was_replicated_is_equal(world: Callable[..., Any], mode: Mode) -> None:
    w = world(mode)
    w.replicate(item("a"), item("b", count={"S": "seven"}), item("c"))
    w.land(w.put(item("a", text={"S": "new"})) + w.delete({"pk": {"S": "c"}}))
    w.load()
    report = w.verify()
    assert report.verified
    assert (report.keys_source, report.keys_target) == (2, 2)
    assert report.waiting == report.moving == report.unchecked == report.unloaded == 0


def test_an_empty_table_and_an_empty_target_are_equal(world: Callable[..., Any]) -> None:
    report = world().verify()
    assert (report.verified, report.keys_source, report.keys_target) == (True, 0, 0)


CHANGES = [
    ("text = 'a b'", ("text",)),
    ("text = NULL", ("text",)),
    ("text = ''", ("text",)),
    ("count = 8", ("count",)),
    ("count = NULL", ("count",)),
    ("exact = exact + 0.00000000000000000001", ("exact",)),
    ("wide = '1.0000001E-130'", ("wide",)),
    ("wide = 'no number'", ("wide",)),
    ("blob = '\\x00\\xFE'::BLOB", ("blob",)),
    ("flag = true", ("flag",)),
    ("flag = NULL", ("flag",)),
    ("names = ['a']", ("names",)),
    ("names = ['a', 'b', 'b']", ("names",)),
    ("names = []", ("names",)),
    ("names = NULL", ("names",)),
    ("sizes = list_transform(sizes, lambda x: x + 0.1)", ("sizes",)),
    ("bytes = ['1'::BLOB]", ("bytes",)),
    ("nested = replace(nested, '1.1', '1.2')", ("nested",)),
    ("nested = replace(nested, 'null', '0')", ("nested",)),
    ("nested = replace(nested, '\"x\"', '\"x \"')", ("nested",)),
    ('nested = replace(nested, \'{"l"\', \'{"n":2,"l"\')', ("nested",)),
    ("nested = 'null'", ("nested",)),
    ("list = replace(list, '9007199254740993', '9007199254740992')", ("list",)),
    ("list = replace(list, 'true', '\"true\"')", ("list",)),
    ("list = replace(list, '{}', '[]')", ("list",)),
    ("text = 'q', flag = NULL", ("flag", "text")),
]


@pytest.mark.parametrize("mode", MODES)
def test_any_value_changed_by_hand_is_found_and_named(world: Callable[..., Any], mode: Mode) -> None:
    w = world(mode)
    w.replicate(*(item(f"{number:02}") for number in range(len(CHANGES) + 3)))
    w.sql("; ".join(f"UPDATE orders SET {change} WHERE pk = '{n:02}'" for n, (change, _) in enumerate(CHANGES)))
    report = w.verify()
    assert counts(report) == (0, 0, len(CHANGES))
    assert report.keys_source == report.keys_target == len(CHANGES) + 3
    assert not report.verified
    expected = [(f"{n:02}", "different", attributes) for n, (_, attributes) in enumerate(CHANGES)]
    assert differences(report) == expected[:EXAMPLES_MAX]
    w.sql(f"DELETE FROM orders WHERE pk < '{EXAMPLES_MAX:02}'")
    for n in range(EXAMPLES_MAX):
        w.table.delete({"pk": {"S": f"{n:02}"}})
    assert differences(w.verify()) == expected[EXAMPLES_MAX:]


@pytest.mark.parametrize("mode", MODES)
def test_a_value_where_the_item_has_none_is_found(world: Callable[..., Any], mode: Mode) -> None:
    """NULL and absent are the same in a target; a value is neither."""
    w = world(mode)
    w.replicate(item("a"), {"pk": {"S": "b"}, "text": {"NULL": True}})
    w.sql("UPDATE orders SET text = '', count = 0 WHERE pk = 'b'")
    assert differences(w.verify()) == [("b", "different", ("count", "text"))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM orders WHERE pk = 'b'", [("b", "missing", ())]),
        ("INSERT INTO orders BY NAME SELECT * REPLACE ('z' AS pk) FROM orders WHERE pk = 'b'", [("z", "extra", ())]),
        ("UPDATE orders SET pk = 'B' WHERE pk = 'b'", [("B", "extra", ()), ("b", "missing", ())]),
        ("UPDATE orders SET pk = NULL WHERE pk = 'b'", [(None, "extra", ()), ("b", "missing", ())]),
    ],
)
def test_a_row_that_is_gone_or_made_up_is_found_and_named(
    world: Callable[..., Any], mode: Mode, statement: str, expected: list[Any]
) -> None:
    w = world(mode)
    w.replicate(item("a"), item("b"))
    w.sql(statement)
    report = w.verify()
    assert differences(report) == expected
    assert report.missing == sum(kind == "missing" for _, kind, _ in expected)
    assert report.extra == sum(kind == "extra" for _, kind, _ in expected)


@pytest.mark.parametrize("mode", ["current", "soft_delete"])
@pytest.mark.parametrize("change", ["", "REPLACE (8 AS count)"])
def test_a_second_row_under_one_key_is_extra(world: Callable[..., Any], mode: Mode, change: str) -> None:
    w = world(mode)
    w.replicate(item("a"), item("b"))
    w.sql(f"INSERT INTO orders BY NAME SELECT * {change} FROM orders WHERE pk = 'b'")
    assert differences(w.verify()) == [("b", "extra", ())]


def test_flipping_a_soft_delete_is_found(world: Callable[..., Any]) -> None:
    w = world("soft_delete")
    w.replicate(item("a"), item("b"))
    w.land(w.delete({"pk": {"S": "b"}}))
    w.load()
    assert w.verify().verified
    w.sql("UPDATE orders SET _tr_deleted = NOT _tr_deleted")
    assert differences(w.verify()) == [("a", "missing", ()), ("b", "extra", ())]


def test_a_lost_delete_in_a_changelog_is_found(world: Callable[..., Any]) -> None:
    w = world("changelog")
    w.replicate(item("a"), item("b"))
    w.land(w.delete({"pk": {"S": "b"}}))
    w.load()
    assert w.verify().verified
    w.sql("DELETE FROM orders WHERE _tr_op = 'd'")
    assert differences(w.verify()) == [("b", "extra", ())]


@pytest.mark.parametrize("mode", ["current", "changelog"])
def test_numbers_as_keys_are_one_key_however_they_are_spelled(world: Callable[..., Any], mode: Mode) -> None:
    w = world(mode, hash="N", range="N")
    keys = [("1.0", "1E0"), ("1", "-0"), ("1E-7", "12345678901234567890.5"), ("1E+40", "-7")]
    w.replicate(*({"pk": {"N": pk}, "sk": {"N": sk}, "v": {"S": "x"}} for pk, sk in keys))
    assert w.verify().verified
    w.sql("UPDATE orders SET v = 'y' WHERE CAST(pk AS DOUBLE) = 1 AND CAST(sk AS DOUBLE) = 1")
    report = w.verify()
    assert report.to_json()["examples"] == [
        {"key": {"pk": {"N": "1.0"}, "sk": {"N": "1E0"}}, "kind": "different", "attributes": ["v"]}
    ]


@pytest.mark.parametrize("mode", ["current", "changelog"])
def test_binary_keys(world: Callable[..., Any], mode: Mode) -> None:
    w = world(mode, hash="B", range="S")
    w.replicate(*({"pk": {"B": key}, "sk": {"S": "k:1"}, "v": {"N": "1"}} for key in (b"\x00", b"\x00\x00", b"\xff'")))
    assert w.verify().verified
    w.sql("UPDATE orders SET v = 2 WHERE pk = '\\x00\\x00'::BLOB")
    assert w.verify().to_json()["examples"] == [
        {"key": {"pk": {"B": "AAA="}, "sk": {"S": "k:1"}}, "kind": "different", "attributes": ["v"]}
    ]


@pytest.mark.parametrize("profile", ["narrow", "order", "single-table"])
def test_generated_items_and_one_changed_value(world: Callable[..., Any], profile: str) -> None:
    p = PROFILES[profile]
    w = world()
    w = type(w)(w.file.parent / "own", KeySchema(*(KeyAttribute(n, t) for n, t in p.keys.items())), "current")  # type: ignore[arg-type]
    w.replicate(*(p.item_of(3, number, 0) for number in range(400)))
    assert w.verify().keys_source == 400
    assert w.verify().verified
    changed = p.item_of(3, 17, 1)
    w.table.put(changed)
    report = w.verify()
    assert counts(report) == (0, 0, 1)
    assert report.examples[0].key == {name: changed[name] for name in p.keys}


# ---- changes on their way


def test_a_change_that_arrives_while_we_look_is_no_difference(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(*(item(str(n)) for n in range(50)))
    records = w.put(item("3", count={"N": "8"}), item("new")) + w.delete({"pk": {"S": "7"}})
    looks = []

    def arrive_after_three_looks(what: str, done: int) -> None:
        if what == "waiting for keys that differ":
            looks.append(done)
            if len(looks) == 3:
                w.land(records)
                w.load()

    report = w.verify(on_progress=arrive_after_three_looks)
    assert looks[:3] == [3, 3, 3]
    assert report.verified
    assert report.keys_source == report.keys_target == 50


def test_a_live_writer_gives_no_false_alarm(world: Callable[..., Any]) -> None:
    """Between any two steps of a verification a key changes and an older change is loaded; one wrong row stands out."""
    w = world()
    w.replicate(*(item(str(n)) for n in range(30)))
    w.sql("UPDATE orders SET count = 99 WHERE pk = '29'")
    backlog: list[list[dict[str, Any]]] = []
    tick = 0

    def live(what: str, done: int) -> None:
        nonlocal tick
        if what == "reading the target":
            return  # the file is held meanwhile
        tick += 1
        w.clock.ms += 300
        key = str(tick % 28)
        change = w.delete({"pk": {"S": key}}) if tick % 5 == 0 else w.put(item(key, count={"N": str(tick)}))
        backlog.append(change)
        if len(backlog) > 3:
            w.land(backlog.pop(0))
            w.load()

    report = w.verify(on_progress=live)
    assert tick > 12
    assert differences(report) == [("29", "different", ("count",))]
    assert report.waiting == 0


def test_a_key_that_never_rests_is_moving_and_not_different(world: Callable[..., Any]) -> None:
    """Its row is always older than any item that we have seen of it."""
    w = world()
    w.replicate(item("a"), item("b"))
    w.put(item("a", count={"N": "0"}))
    number = 0

    def rewrite(what: str, done: int) -> None:
        nonlocal number
        if what == "reading the target":
            return
        number += 1
        w.land(w.put(item("a", count={"N": str(1000 + number)})))
        w.load()
        w.put(item("a", count={"N": str(number)}))  # not captured yet

    report = w.verify(on_progress=rewrite, deadline_seconds=30)
    assert counts(report) == (0, 0, 0)
    assert report.moving == 1
    assert report.verified


def test_a_change_that_never_arrives_is_a_difference_in_the_end(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(item("a"))
    w.put(item("a", count={"N": "8"}))
    begun = w.clock.monotonic()
    report = w.verify(deadline_seconds=60)
    assert differences(report) == [("a", "different", ("count",))]
    assert 10 <= w.clock.monotonic() - begun < 20, "nobody works, so nothing is worth a minute's wait"
    assert report.captured_through_ms is not None
    assert report.captured_through_ms <= report.begun_ms


def test_a_busy_pipeline_that_is_complete_past_a_difference_proves_it(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(item("a"), item("b"))
    w.sql("UPDATE orders SET count = 1 WHERE pk = 'a'")
    begun = w.clock.monotonic()

    def work(what: str, done: int) -> None:
        if what != "reading the target":
            w.replicate(item("b", count={"N": str(w.clock.ms)}))

    report = w.verify(on_progress=work, deadline_seconds=600)
    assert differences(report) == [("a", "different", ("count",))]
    assert w.clock.monotonic() - begun < 60


def test_landed_and_not_loaded_is_said_instead_of_blaming_rows(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(item("a"), item("b"), item("c"))
    w.land(w.put(item("a", count={"N": "8"}), item("new")))
    w.land(w.delete({"pk": {"S": "b"}}))
    report = w.verify()
    assert counts(report) == (0, 0, 0)
    assert (report.waiting, report.unloaded) == (3, 2)
    assert report.equal
    assert not report.verified
    w.sql("UPDATE orders SET count = 1 WHERE pk = 'c'")
    report = w.verify()
    assert differences(report) == [("c", "different", ("count",))], "no landed change explains this one"
    assert report.waiting == 3


@pytest.mark.parametrize("behind", [b"", b"\0" * 512], ids=["members", "padded"])
def test_files_of_exports_that_wait_are_read_as_a_load_reads_them(world: Callable[..., Any], behind: bytes) -> None:
    w = world()
    lines = [encode({"Item": item(key)}) + b"\n" for key in "ab"]
    w.put(item("a"), item("b"))
    data = b"".join(map(gzip.compress, lines)) + behind
    w.land_export(data, rows=2)
    report = w.verify()
    assert (report.waiting, report.unloaded) == (2, 1)
    w.load()
    assert w.verify().verified


def test_what_was_never_loaded_waits(world: Callable[..., Any]) -> None:
    w = world()
    w.land(w.put(item("a"), item("b")))
    report = w.verify()
    assert (report.waiting, report.unloaded, report.keys_source, report.keys_target) == (2, 1, 2, 0)


# ---- bounds and faults


def test_beyond_the_bound_differences_are_counted_right_and_named_not(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(*(item(f"{n:03}") for n in range(300)))
    w.sql("UPDATE orders SET count = 1 WHERE pk < '100'")
    w.sql("DELETE FROM orders WHERE pk >= '100' AND pk < '150'")
    w.sql("INSERT INTO orders BY NAME SELECT * REPLACE ('x' || pk AS pk) FROM orders WHERE pk >= '280'")
    report = w.verify(suspects_max=10)
    assert counts(report) == (50, 20, 100)
    assert report.unchecked == 160
    assert (report.keys_source, report.keys_target) == (300, 270)
    assert 1 <= len(report.examples) <= 10
    assert counts(w.verify()) == (50, 20, 100)


def test_nothing_captured_yet() -> None:
    keys = KeySchema(KeyAttribute("pk", "S"))
    landing = Landing(MemoryStore(), "orders")
    with pytest.raises(NotFound, match="Nothing was captured"):
        verify(MemoryTable(keys), landing, None, "orders", "current", None)  # type: ignore[arg-type]


def test_a_table_made_anew_with_another_key_is_no_difference_but_an_error(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(item("a"))
    w.table = MemoryTable(KeySchema(KeyAttribute("id", "S")))
    w.table.put({"id": {"S": "a"}})
    with pytest.raises(SourceChanged, match="key that was captured"):
        w.verify()


def test_no_thread_and_no_file_is_left_behind(world: Callable[..., Any], tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    w = world()
    w.replicate(item("a"))
    before = set(threading.enumerate())
    w.verify()
    assert set(threading.enumerate()) == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_report_is_json_and_complete(world: Callable[..., Any]) -> None:
    w = world()
    w.replicate(item("a"))
    document = json.loads(json.dumps(w.verify().to_json()))
    assert {"table", "keys_source", "keys_target", "missing", "extra", "different", "examples"} <= document.keys()


def test_a_bag_of_digests_forgets_only_what_is_taken_out() -> None:
    bag = DigestBag()
    digests = [bytes([0, 0, *([n % 3] * 13), n]) for n in range(200)] + [bytes(16), bytes(16)]
    for one in digests:
        bag.add(one)
    assert not bag.discard(bytes([0] * 15 + [201]))
    assert all(bag.discard(one) for one in reversed(digests))
    assert not any(bag.discard(one) for one in digests)
    assert len(bag) == 0
