"""What every target must do. Subclass in a test module, name it ``Test…``, and give it `make_target` and `tamper`."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.codec import decode_segments
from tailrace.codec.reference import decode_attributes, parse_line
from tailrace.errors import LoaderFenced, OrderConflict, UsageInvalid, UserFault
from tailrace.model.keys import KeyAttribute, KeySchema, canonical_key
from tailrace.model.numbers import canonical_number
from tailrace.model.positions import CLASS_BASE, CLASS_CHANGE, order_key, order_prefix
from tailrace.model.schema import AttributeSeen, Column
from tailrace.model.segments import Segment, SegmentKind
from tailrace.targets.target import Applied, Ledger, Load, LoadedSegment, Mode, TableSpec, Target
from tailrace.testing import strategies

PK = KeySchema(KeyAttribute("pk", "S"))
NUMBER = KeySchema(KeyAttribute("pk", "N"))
BINARY = KeySchema(KeyAttribute("pk", "B"))
COMPOSITE = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
MIXED = KeySchema(KeyAttribute("pk", "N"), KeyAttribute("sk", "B"))
MODES: tuple[Mode, ...] = ("current", "soft_delete", "changelog", "history")
LOADED_MS = 1_790_000_000_000
WRITTEN_MS = 1_700_000_000_000  # changes happen in the milliseconds behind it, by their positions
KNOWN_MS = WRITTEN_MS + 500_000_000  # when all segments are published, so that some changes are older than base rows
MANY: Final = 1500  # rows or keys: more than a batch takes, or one statement

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
Op: TypeAlias = Literal["r", "c", "u", "d"]


@dataclass(frozen=True)
class Change:
    """One record of a segment. `item` is the image of an upsert (`c`, `u`) or base row (`r`), the key of a delete (`d`)."""

    op: Op
    item: Item
    position: int = 0
    expired: bool = False
    epoch: int = 1

    @property
    def order(self) -> str:
        return order_key(self.epoch, CLASS_BASE if self.op == "r" else CLASS_CHANGE, self.position)

    @property
    def us(self) -> int:
        """When it was written, in microseconds; for a base row when it was known."""
        return KNOWN_MS * 1000 if self.op == "r" else WRITTEN_MS * 1000 + self.position % 10**12

    def line(self, keys: KeySchema) -> bytes:
        """The record as it lies in a segment."""
        if self.op == "r":
            return json.dumps({"Item": self.item}).encode() + b"\n"
        metadata: dict[str, Any] = {
            "WriteTimestampMicros": {"N": str(self.us)},
            "SequenceNumber": {"S": str(self.position)},
            "EventName": {"S": {"c": "INSERT", "u": "MODIFY", "d": "REMOVE"}[self.op]},
        }
        if self.expired:
            metadata["Expired"] = {"BOOL": True}
        record: dict[str, Any] = {"Metadata": metadata, "Keys": {name: self.item[name] for name in keys.names}}
        if self.op != "d":
            record["NewImage"] = self.item
        return json.dumps(record).encode() + b"\n"


def put(position: int, key: str = "a", /, **attributes: Any) -> Change:
    """An upsert of the item whose ``pk`` is the text `key`."""
    return Change("u", {"pk": {"S": key}, **attributes}, position)


def delete(position: int, key: str = "a", *, expired: bool = False) -> Change:
    """A delete of the item whose ``pk`` is the text `key`."""
    return Change("d", {"pk": {"S": key}}, position, expired)


# Every kind of statement that a load can need: tables made, columns added, widened in place and by rebuilding, rows
# replaced, deleted, marked and brought back, changes that come late.
HISTORY: Sequence[tuple[int, Sequence[Change]]] = (
    (1, [put(10, x={"N": "5"}, y={"NS": ["1"]}), put(11, "b", x={"N": "6"}), put(12, "c"), delete(13, "c")]),
    (2, [put(20, x={"N": "1.25"}, m={"M": {"n": {"N": "1.50"}}}), delete(21, "b", expired=True), put(22, "d")]),
    (4, [put(40, x={"N": "1E-130"}, y={"NS": ["0.5"]}), put(41, "c", x={"S": "s"}), put(42, "b")]),
    (3, [put(30, x={"N": "3"}), put(31, "e"), delete(32, "d")]),
    (5, [delete(50, "a"), put(51, "d", y={"NS": ["1E-130"]}), put(51, "d", y={"NS": ["1E-130"]})]),
)


class Replica:
    """A table in a target under test, and the same history folded in plain Python."""

    def __init__(self, target: Target, mode: Mode = "current", keys: KeySchema = PK) -> None:
        self.target = target
        self.spec = TableSpec("Orders", "orders", mode, keys, "table-id-1")
        self.applied: dict[int, Sequence[Change]] = {}
        self._known: Sequence[Column] | None = None  # columns, as the load before left them

    def load(self, *segments: tuple[int, Sequence[Change]]) -> Load:
        """Numbered segments as the load job hands them over, of one epoch; all of them hold base rows, or none."""
        base = any(change.op == "r" for _, changes in segments for change in changes)
        epoch = max((change.epoch for _, changes in segments for change in changes), default=1)
        decoded = decode_segments(
            [[b"".join(change.line(self.spec.keys) for change in changes)] for _, changes in segments],
            order_prefix(epoch, CLASS_BASE if base else CLASS_CHANGE),
            keys=self.spec.keys,
            known={(c.attribute, c.tag): AttributeSeen(0, c.numbers) for c in self._known or self.columns},
        )
        assert not any(decoded.rejected), decoded.rejected
        loaded = [
            LoadedSegment(
                Segment(number, f"changes/{number}", "base" if base else "stream", rows, 1, "0" * 64, KNOWN_MS), rows, 0
            )
            for (number, _), rows in zip(segments, decoded.rows, strict=True)
        ]
        return Load(self.spec, epoch, loaded, decoded.table, decoded.seen, LOADED_MS)

    def sweep(self, number: int, epoch: int) -> Load:
        """A sweep as the load job hands it over: no row, and a segment of its own kind."""
        load = self.load((number, []))
        segment = replace(load.segments[0].segment, kind="sweep", epoch=epoch)
        return replace(load, epoch=epoch, segments=[LoadedSegment(segment, 0, 0)])

    def apply(self, *segments: tuple[int, Sequence[Change]]) -> Applied:
        applied = self.target.apply(self.load(*segments))
        self._known = applied.columns
        self.applied.update(segments)
        return applied

    @property
    def ledger(self) -> Ledger:
        return self.target.ledger(self.spec)

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.ledger.columns

    def name_of(self, attribute: str, tag: str) -> str:
        """The column of an attribute with a type."""
        return next(c.name for c in self.columns if (c.attribute, c.tag) == (attribute, tag))

    def kinds(self) -> dict[str, str]:
        """Column names and kinds: ``int64``, ``decimal 2``."""
        return {
            c.name: f"{c.type.kind} {c.type.scale}" if "decimal" in c.type.kind else c.type.kind for c in self.columns
        }

    # ---- what is shown and what should be: (op, order key, values by (attribute, tag)) by canonical key

    def shown(self) -> dict[str, Any]:
        return self._by_key([row for batch in self.target.rows(self.spec) for row in batch.to_pylist()])

    def found(self, *keys: Sequence[str | bytes]) -> dict[str, Any]:
        return self._by_key(self.target.find(self.spec, keys).to_pylist())

    def expected(self) -> dict[str, Any]:
        return {
            key: (newest.op, newest.order, self._values(newest.item))
            for key, newest in self._newest(self._changes()).items()
            if newest.op != "d"
        }

    def deleted(self) -> dict[str, Any]:
        """Rows that are marked as deleted: (op, order key, expired, values)."""
        rows = self._query("WHERE _tr_deleted")
        shown, expired = self._by_key(rows), [row["_tr_expired"] for row in rows]
        return {
            key: (op, order, flag, values)
            for (key, (op, order, values)), flag in zip(shown.items(), expired, strict=True)
        }

    def expected_deleted(self) -> dict[str, Any]:
        images = self._newest([change for change in self._changes() if change.op != "d"])
        return {
            key: (newest.op, newest.order, newest.expired, self._values(images.get(key, newest).item))
            for key, newest in self._newest(self._changes()).items()
            if newest.op == "d"
        }

    def history(self) -> list[Any]:
        """All rows of a changelog: (order key, op, expired, values)."""
        columns = self.columns
        rows = [(r["_tr_pos"], r["_tr_op"], r["_tr_expired"], _shown(r, columns)) for r in self._query("")]
        return sorted(rows, key=_place)

    def expected_history(self) -> list[Any]:
        return sorted(((c.order, c.op, c.expired, self._values(c.item)) for c in self._changes()), key=_place)

    def versions(self) -> list[Any]:
        """All rows of a history: (order key, op, valid from, valid to, is current, values), moments in microseconds."""
        columns = self.columns
        moment = "CASE WHEN {0} IS NULL THEN NULL ELSE CAST(extract(epoch FROM {0}) * 1000000 AS BIGINT) END"
        query = ", ".join(f"{moment.format(name)} AS {name}_us" for name in ("_tr_valid_from", "_tr_valid_to"))
        rows = self.target.query(f'SELECT *, {query} FROM "orders"').to_pylist()
        shown = [
            (
                *(r["_tr_pos"], r["_tr_op"], r["_tr_valid_from_us"], r["_tr_valid_to_us"]),
                *(r["_tr_is_current"], _shown(r, columns)),
            )
            for r in rows
        ]
        return sorted(shown, key=_version_place)

    def expected_versions(self) -> list[Any]:
        versions = []
        by_key: dict[str, dict[str, Change]] = {}
        for change in self._changes():
            by_key.setdefault(canonical_key(self.spec.keys, change.item), {}).setdefault(change.order, change)
        for changes in by_key.values():
            line = sorted(changes.values(), key=lambda change: change.order)
            line = [c for n, c in enumerate(line) if c.op != "r" or all(c.us < later.us for later in line[n + 1 :])]
            for change, following in zip(line, [*line[1:], None], strict=True):
                if change.op != "d":
                    until = None if following is None else following.us
                    values = self._values(change.item)
                    versions.append((change.order, change.op, change.us, until, following is None, values))
        return sorted(versions, key=_version_place)

    def check(self) -> None:
        """The target shows what was applied, in every way that its mode has."""
        assert self.shown() == self.expected()
        if self.spec.mode == "soft_delete":
            assert self.deleted() == self.expected_deleted()
        if self.spec.mode == "changelog":
            assert self.history() == self.expected_history()
        if self.spec.mode == "history":
            assert self.versions() == self.expected_versions()

    def _changes(self) -> list[Change]:
        return [change for changes in self.applied.values() for change in changes]

    def _newest(self, changes: Iterable[Change]) -> dict[str, Change]:
        return {canonical_key(self.spec.keys, change.item): change for change in sorted(changes, key=lambda c: c.order)}

    def _query(self, where: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.target.query(f'SELECT * FROM "orders" {where}').to_pylist()
        return rows

    def _by_key(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        columns = self.columns if rows else ()
        for row in rows:
            values = _shown(row, columns)
            key = canonical_key(
                self.spec.keys, {a.name: {a.tag: values[a.name, a.tag]} for a in self.spec.keys.attributes}
            )
            assert key not in shown, f"two rows of {key}"
            shown[key] = (row["_tr_op"], row["_tr_pos"], values)
        return shown

    def _values(self, item: Item) -> dict[tuple[str, str], Any]:
        parsed = parse_line(json.dumps({"Item": item}).encode())["Item"]
        decoded = decode_attributes(parsed).items()
        return {(name, tag): _exact(tag, value) for name, (tag, value) in decoded if tag != "NULL"}


def _place(row: tuple[str, str, bool, dict[tuple[str, str], Any]]) -> tuple[str, str]:
    """A sorting key: base rows have one order key."""
    return row[0], repr(sorted(row[3].items()))


def _version_place(row: tuple[Any, ...]) -> tuple[str, str]:
    return row[0], repr(sorted(row[-1].items()))


def _shown(row: Mapping[str, Any], columns: Sequence[Column]) -> dict[tuple[str, str], Any]:
    return {(c.attribute, c.tag): _exact(c.tag, row[c.name]) for c in columns if row[c.name] is not None}


def _exact(tag: str, value: Any) -> Any:
    """Numbers as canonical text, whatever type their column has; JSON by what it says, to the last digit."""
    if tag == "N":
        return canonical_number(str(value))
    if tag in ("M", "L"):
        return json.loads(value, parse_float=Decimal)
    if tag in ("SS", "NS", "BS") and isinstance(value, str):  # a query shows what has no type of its own as JSON
        value = json.loads(value, parse_float=Decimal)
        value = [base64.b64decode(member) for member in value] if tag == "BS" else value
    return [canonical_number(str(member)) for member in value] if tag == "NS" else value


@st.composite
def histories(draw: st.DrawFn, keys: KeySchema) -> list[list[tuple[int, list[Change]]]]:
    """Loads of numbered segments, in any order and with repeats, that come to one history of random changes."""
    segments: dict[int, list[Change]] = {}
    position = draw(st.integers(1, 10**39))
    based: set[str] = set()
    for number in range(1, draw(st.integers(1, 6)) + 1):
        base, changes = draw(st.integers(0, 4)) == 0, []
        for _ in range(draw(st.integers(1, 5))):
            item = draw(strategies.items(keys))
            key = canonical_key(keys, item)
            if base and key not in based:
                based.add(key)
                changes.append(Change("r", item))
            elif not base:
                position += draw(st.integers(1, 10**20))
                op: Op = draw(st.sampled_from(("c", "u", "u", "d")))
                image = {name: item[name] for name in keys.names} if op == "d" else item
                changes.append(Change(op, image, position, expired=op == "d" and draw(st.booleans())))
        if changes:
            segments[number] = changes
    numbered = dict(enumerate(segments.values(), 1))
    order = draw(st.permutations([*numbered, *draw(st.lists(st.sampled_from(sorted(numbered)), max_size=3))]))
    loads: list[list[tuple[int, list[Change]]]] = []
    for number in order:
        same_kind = bool(loads) and (loads[-1][0][1][0].op == "r") == (numbered[number][0].op == "r")
        if same_kind and draw(st.booleans()):
            loads[-1].append((number, numbered[number]))
        else:
            loads.append([(number, numbered[number])])
    return loads


class TargetContract:
    """Each call of `make_target` for one place gives a client of one and the same, at first empty, target.

    `tamper` runs SQL on it as somebody else would. The table under test is ``orders``.
    """

    ledger_table: ClassVar[str] = "_tailrace.ledger"
    ignores_case: ClassVar[bool] = True  # in names of tables
    ledger_apart: ClassVar[bool] = True  # from the table that it tells of, so that either can be lost alone
    holds_nul: ClassVar[bool] = True  # in texts; else records with one never come so far
    string_bytes: ClassVar[int] = 1 << 30  # and with a longer one
    loaders: ClassVar[int] = 4  # of the race
    joins: ClassVar[bool] = False  # a load that another loader began, and tells of it as well
    examples: ClassVar[int] = 4  # of random histories, per mode and kind of key
    modes: ClassVar[tuple[Mode, ...]] = MODES  # that the target offers

    def make_target(self, place: Path) -> Target:
        raise NotImplementedError

    def tamper(self, place: Path, sql: str) -> None:
        raise NotImplementedError

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        return self.make_target(tmp_path)

    @pytest.fixture
    def replica(self, target: Target) -> Replica:
        return Replica(target, self.modes[0])

    @pytest.fixture(params=MODES)
    def in_mode(self, target: Target, request: pytest.FixtureRequest) -> Replica:
        return Replica(target, self.offered(request.param))

    def offered(self, mode: Mode) -> Mode:
        """The mode, where the target has it; else the test is for others."""
        if mode not in self.modes:
            pytest.skip(f"the target has no mode {mode}")
        return mode

    # ---- a ledger row for rows, once

    def test_what_was_never_loaded_is_empty(self, replica: Replica) -> None:
        assert replica.ledger == Ledger()
        assert replica.shown() == replica.found(["a"]) == {}
        assert replica.target.applied(replica.spec, 1) is None

    def test_applying_again_changes_nothing(self, in_mode: Replica) -> None:
        history = (1, [put(1, x={"N": "1"}), put(2, "b"), delete(3, "b")])
        first = in_mode.apply(history)
        before = in_mode.ledger
        again = in_mode.apply(history)
        assert (first.segments, first.skipped, first.rows) == (1, 0, 3)
        assert (again.segments, again.skipped, again.rows) == (0, 1, 0)
        assert in_mode.ledger == before
        in_mode.check()

    def test_of_a_load_only_new_segments_are_applied(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1), put(2, "b")]))
        applied = in_mode.apply((1, [put(1), put(2, "b")]), (2, [put(3)]))
        assert (applied.segments, applied.skipped, applied.rows) == (1, 1, 1)
        in_mode.check()

    def test_a_segment_that_comes_twice_in_one_load_counts_once(self, in_mode: Replica) -> None:
        twice = (1, [put(1), put(2, "b")])
        applied = in_mode.apply(twice, twice, (2, [put(3, "c")]))
        assert (applied.segments, applied.skipped, applied.rows) == (2, 1, 3)
        assert [row.number for row in in_mode.ledger.recent] == [2, 1]
        in_mode.check()

    def test_the_ledger_says_what_was_applied(self, replica: Replica) -> None:
        load = replica.load((1, [put(1), put(2, "b"), delete(3, "b")]))
        segment = replace(load.segments[0].segment, sha256="ab" * 32, bytes=77, through_ms=123)
        replica.target.apply(replace(load, segments=[replace(load.segments[0], segment=segment)]))
        ledger = replica.ledger
        rows = 3 if replica.spec.mode == "changelog" else 1
        assert (ledger.applied_through, ledger.applied_beyond, ledger.rows, ledger.through_ms) == (
            1,
            frozenset(),
            rows,
            123,
        )
        [row] = ledger.recent
        assert (row.number, row.segment, row.epoch, row.sha256) == (1, "changes/1", 1, "ab" * 32)
        assert (row.rows, row.quarantined, row.bytes, row.through_ms) == (3, 0, 77, 123)
        assert row.lag_ms_p50 is not None
        assert row.lag_ms_p99 is not None
        assert row.lag_ms_p50 <= row.lag_ms_p99
        assert [replica.target.applied(replica.spec, number) for number in (1, 2)] == [row, None]

    def test_the_ledger_closes_holes(self, replica: Replica) -> None:
        for number, through, beyond in ((3, 0, {3}), (1, 1, {3}), (5, 1, {3, 5}), (2, 3, {5}), (4, 5, set())):
            replica.apply((number, [put(number)]))
            ledger = replica.ledger
            assert (ledger.applied_through, ledger.applied_beyond) == (through, frozenset(beyond))
            assert all(ledger.holds(n) == (n in replica.applied) for n in range(1, 7))

    def test_an_empty_segment_is_entered(self, replica: Replica) -> None:
        replica.apply((1, []), (2, [put(1)]))
        replica.apply((3, []))
        assert replica.ledger.applied_through == 3
        replica.check()

    def test_a_load_with_a_smaller_fence_than_the_last_one_is_refused_whole(self, in_mode: Replica) -> None:
        """Also one that brings nothing new, or new columns: who is late looks again."""
        replica, target = in_mode, in_mode.target
        assert (replica.ledger.fence, replica.ledger.recent) == (0, ())
        first = (1, [put(10, x={"N": "1"})])
        target.apply(replace(replica.load(first), fence=7))
        replica.applied.update([first])
        late = (2, [put(20, x={"N": "1.5"}, z={"S": "new"}), put(21, "b")])
        for load in (replica.load(first), replica.load(late), replica.sweep(2, 2)):
            with pytest.raises(LoaderFenced) as caught:
                target.apply(replace(load, fence=6))
            assert caught.value.facts == {"table": "Orders", "fence": 6, "recorded": 7}
        assert (replica.ledger.applied_through, set(replica.kinds())) == (1, {"pk", "x"})
        replica.check()
        target.apply(replace(replica.load(late), fence=7))
        last = (3, [put(30, "c")])
        target.apply(replace(replica.load(last), fence=12))
        replica.applied.update([late, last])
        ledger = replica.ledger
        assert (ledger.fence, [(row.number, row.fence) for row in ledger.recent]) == (12, [(3, 12), (2, 7), (1, 7)])
        replica.check()

    def test_tables_have_fences_of_their_own(self, tmp_path: Path) -> None:
        target = self.make_target(tmp_path)
        replica, other = Replica(target, self.modes[0]), Replica(target, self.modes[0])
        other.spec = replace(other.spec, source="Others", name="others")
        target.apply(replace(replica.load((1, [put(10)])), fence=9))
        target.apply(replace(other.load((1, [put(10)])), fence=1))
        assert (replica.ledger.fence, other.ledger.fence) == (9, 1)

    def test_loaders_that_race_apply_each_segment_once(self, tmp_path: Path) -> None:
        segments = [(number, [put(number, "ab"[number % 2])]) for number in range(1, 9)]
        replicas = [Replica(self.make_target(tmp_path), self.offered("changelog")) for _ in range(self.loaders)]
        replicas[0].apply((9, [put(9)]))  # the table is there, so loads can be made side by side
        loads = [[r.load(segment) for segment in segments] for r in replicas]
        with ThreadPoolExecutor(self.loaders) as pool:
            jobs = [pool.submit(r.target.apply, load) for r, mine in zip(replicas, loads, strict=True) for load in mine]
            applied = [job.result() for job in jobs]
        told = sum(a.segments for a in applied)
        assert told == len(segments) or (self.joins and told > len(segments))
        assert told + sum(a.skipped for a in applied) == len(segments) * self.loaders
        assert sorted(row.number for row in replicas[0].ledger.recent) == [*range(1, 10)]
        replicas[0].applied.update(segments)
        replicas[0].check()
        assert replicas[0].ledger.applied_through == 9

    @pytest.mark.parametrize(("keys", "kind"), [(PK, "replay"), (NUMBER, "replay"), (PK, "lambda")])
    def test_a_change_that_comes_again_in_another_segment_counts_once(
        self, target: Target, keys: KeySchema, kind: SegmentKind
    ) -> None:
        for mode in self.modes:
            replica = Replica(target, mode, keys)
            replica.spec = replace(replica.spec, name=f"orders_{mode}")
            one, two, three = (Change("u", {"pk": {keys.hash.tag: "7"}, "x": {"N": str(n)}}, n) for n in (1, 2, 3))
            replica.target.apply(replica.load((1, [one, three])))
            load = replica.load((2, [one, two, two]))
            replayed = replace(load.segments[0], segment=replace(load.segments[0].segment, kind=kind))
            replica.target.apply(replace(load, segments=[replayed]))
            query = f'SELECT "_tr_pos" FROM "orders_{mode}" ORDER BY 1'
            shown = [row["_tr_pos"] for row in target.query(query).to_pylist()]
            kept = (one, two, three) if mode in ("changelog", "history") else (three,)
            assert shown == [change.order for change in kept]

    # ---- order

    def test_an_older_change_never_wins(self, in_mode: Replica) -> None:
        in_mode.apply((2, [put(20, x={"S": "new"})]))
        in_mode.apply((1, [put(10, x={"S": "old"}), put(11, "b")]))
        in_mode.check()

    def test_an_insert_that_comes_after_its_delete_stays_deleted(self, in_mode: Replica) -> None:
        in_mode.apply((2, [delete(20, expired=True)]))
        in_mode.check()
        in_mode.apply((1, [put(10, x={"S": "old"})]))
        in_mode.check()
        assert in_mode.shown() == {}
        in_mode.apply((3, [put(30, x={"S": "again"})]))
        in_mode.check()
        assert len(in_mode.shown()) == 1

    def test_an_older_delete_leaves_a_newer_row(self, in_mode: Replica) -> None:
        in_mode.apply((3, [put(30)]))
        in_mode.apply((1, [delete(10)]), (2, [put(20, x={"S": "old"})]))
        in_mode.check()
        assert len(in_mode.shown()) == 1

    def test_a_change_beats_a_base_row_whichever_comes_first(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1), delete(2, "b")]))
        in_mode.apply((2, [Change("r", {"pk": {"S": key}, "x": {"S": "base"}}) for key in "abc"]))
        in_mode.check()
        assert len(in_mode.shown()) == 2
        in_mode.apply((3, [put(3, "c")]))
        in_mode.check()

    def test_long_and_short_positions_are_ordered_as_numbers(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(10**39 + 1, x={"S": "new"}), put(9 * 10**20, "b", x={"S": "old"})]))
        in_mode.apply((2, [put(9 * 10**20, x={"S": "old"}), put(10**21, "b", x={"S": "new"})]))
        in_mode.check()

    def test_a_change_that_comes_twice_is_one_row(self, replica: Replica) -> None:
        replica.apply((1, [put(1, x={"N": "1.0"}), put(1, x={"N": "1"}), put(2, "b")]), (2, [put(2, "b")]))
        replica.check()

    @pytest.mark.parametrize(
        "other",
        [
            put(5, x={"N": "2"}),
            put(5),
            put(5, x={"N": "1"}, y={"S": ""}),
            delete(5),
            Change("c", put(5, x={"N": "1"}).item, 5),
        ],
        ids=["value", "absent", "more", "delete", "event"],
    )
    def test_two_contents_at_one_place_are_refused_whole(self, target: Target, other: Change) -> None:
        for mode in [mode for mode in self.modes if mode in ("current", "soft_delete")]:
            replica = Replica(target, mode)
            replica.spec = replace(replica.spec, name=f"orders_{mode}")
            replica.target.apply(replica.load((1, [put(1)])))
            before = replica.ledger
            for last in ([], [put(9)]):
                with pytest.raises(OrderConflict) as error:
                    replica.target.apply(replica.load((2, [put(4, "b"), put(5, x={"N": "1"})]), (3, [other, *last])))
                assert error.value.facts["position"] == put(5).order
            assert replica.ledger == before
            assert list(replica.shown()) == ['["a"]']

    # ---- values

    @pytest.mark.parametrize("mode", MODES)
    def test_every_type_is_exact(self, target: Target, mode: Mode) -> None:
        replica = Replica(target, self.offered(mode))
        everything = EVERYTHING if self.holds_nul else _without_nul(EVERYTHING)
        extremes = {**EXTREMES, "x_s": {"S": "x" * min(100_000, self.string_bytes)}}
        replica.apply((1, [put(1, **everything), put(2, "b", **extremes), put(3, "c")]))
        replica.check()
        assert {"x_n int64", "x_dec decimal 20", "x_wide number_text"} <= {
            f"{n} {k}" for n, k in replica.kinds().items()
        }

    def test_null_and_absent_and_empty(self, replica: Replica) -> None:
        replica.apply((1, [put(1, x={"S": ""}, n={"NULL": True}, b={"B": ""}, s={"SS": []}, m={"M": {}}, t={"L": []})]))
        replica.check()
        assert "n" not in replica.kinds()
        replica.apply((2, [put(2, n={"S": "now"})]))
        replica.check()

    def test_an_upsert_replaces_the_whole_row(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1, x={"S": "x"}, y={"N": "1"})]))
        in_mode.apply((2, [put(2, y={"N": "2"})]))
        in_mode.check()

    def test_a_deleted_row_keeps_its_last_image_where_rows_are_kept(self, target: Target) -> None:
        replica = Replica(target, self.offered("soft_delete"))
        replica.apply((1, [put(1, x={"S": "x"}), put(2, "b", x={"S": "y"}), put(3, "c")]))
        replica.apply((2, [delete(4, expired=True), delete(5, "b")]))
        replica.check()
        assert [row[2] for row in replica.deleted().values()] == [True, False]
        replica.apply((3, [put(6, x={"S": "back"})]))
        replica.check()
        assert replica.ledger.rows == 2

    def test_a_history_tells_from_when_to_when(self, target: Target) -> None:
        replica = Replica(target, self.offered("history"))
        v1, v2, gone, v3 = (
            put(10, x={"S": "1"}),
            put(20, x={"S": "2"}),
            delete(30),
            put(40, x={"S": "3"}),
        )
        for number, change in enumerate((v3, gone, v1, v2), 1):  # in any order
            replica.apply((number, [change]))
        told = [(values["x", "S"], *times) for _, _, *times, values in replica.versions()]
        assert told == [("1", v1.us, v2.us, False), ("2", v2.us, gone.us, False), ("3", v3.us, None, True)]
        replica.check()

    @pytest.mark.parametrize("base_comes_first", [True, False])
    def test_a_base_row_is_told_since_it_was_known_and_only_where_nothing_older_came_behind(
        self, target: Target, base_comes_first: bool
    ) -> None:
        replica = Replica(target, self.offered("history"))
        is_later = 10**11 * 6  # than the base was known
        base = (1, [Change("r", {"pk": {"S": key}, "x": {"S": "base"}}) for key in "ab"])
        changes = (2, [put(1, "a", x={"S": "new"}), put(is_later, "b", x={"S": "new"})])
        for segment in (base, changes) if base_comes_first else (changes, base):
            replica.apply(segment)
        told = {(values["pk", "S"], values["x", "S"]): times for _, _, *times, values in replica.versions()}
        assert told == {
            ("a", "new"): [put(1).us, None, True],
            ("b", "base"): [KNOWN_MS * 1000, put(is_later).us, False],
            ("b", "new"): [put(is_later).us, None, True],
        }
        replica.check()

    def test_expiry_is_told_apart_in_a_changelog(self, target: Target) -> None:
        replica = Replica(target, self.offered("changelog"))
        replica.apply((1, [put(1), delete(2, expired=True), put(3), delete(4)]))
        replica.check()
        assert [row[2] for row in replica.history()] == [False, True, False, False]

    # ---- schema evolution

    def test_a_new_attribute_gets_a_column(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1)]))
        applied = in_mode.apply((2, [put(2, "b", late={"S": "x"})]))
        assert (applied.added, applied.widened) == (("late",), ())
        in_mode.check()

    def test_numbers_widen_and_keep_every_digit(self, in_mode: Replica) -> None:
        steps = ("5", "9223372036854775807", "0.1", "-12345678901234567890", "1E-10", "123456789012345678901234567890.5",
                 "1E-130", "9.99E125")  # fmt: skip
        kinds = []
        for number, value in enumerate(steps, 1):
            in_mode.apply((number, [put(number, f"k{number}", x={"N": value}, s={"NS": [value, "7"]})]))
            in_mode.check()
            kinds.append(in_mode.kinds()["x"])
        assert kinds == [
            "int64",
            "int64",
            "decimal 1",
            "decimal 1",
            "decimal 10",
            "number_text",
            "number_text",
            "number_text",
        ]
        assert in_mode.kinds()["s"] == "list_number_text"

    @pytest.mark.parametrize(
        "value", ["0.0000001", "0.00000012", "-0.00000000120", "1E-38", "-1.5E-9", "0", "100", "1200.50"]
    )
    def test_small_numbers_keep_their_spelling_when_a_column_becomes_text(self, replica: Replica, value: str) -> None:
        replica.apply((1, [put(1, x={"N": value}, y={"N": "1E-38"})]))
        replica.apply((2, [put(2, "b", x={"N": "1E125"}, y={"N": "1E125"})]))
        replica.check()
        assert replica.kinds()["x"] == "number_text"

    def test_another_type_gets_a_sibling_and_nobody_becomes_null(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1, x={"N": "1"}), put(2, "b", x={"N": "2"}), put(3, "c", x={"S": "three"})]))
        in_mode.apply((2, [put(4, "d", x={"BOOL": True}), put(5, "a", x={"S": "one"}), put(6, "e", x__s={"S": "own"})]))
        in_mode.check()
        assert (in_mode.name_of("x", "N"), in_mode.name_of("x", "S"), in_mode.name_of("x", "BOOL")) == (
            "x",
            "x__s",
            "x__bool",
        )
        assert in_mode.name_of("x__s", "S") == "x__s_2"

    def test_names_that_differ_by_case_only_stay_apart(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1, price={"N": "1"}, Price={"N": "2"}, PRICE={"N": "3"}), put(2, "b", Pk={"S": "4"})]))
        in_mode.apply((2, [put(3, prIce={"N": "5"})]))
        in_mode.check()

    def test_any_names_can_be_columns_of_one_table(self, in_mode: Replica) -> None:
        names = [name for name in dict.fromkeys([*strategies.HOSTILE_NAMES, *AWKWARD_COLUMNS]) if name != "pk"]
        in_mode.apply((1, [put(1, x={"S": "x"})]))
        in_mode.apply((2, [put(2, "b", **{name: {"N": "1"} for name in names})]))
        in_mode.apply((3, [put(3, "c", **{name: {"S": "s"} for name in reversed(names)})]))
        in_mode.apply((4, [put(4, "d", **{name: {"N": "1E-99"} for name in names}), delete(5, "c")]))
        in_mode.check()
        assert len({c.name.lower() for c in in_mode.columns}) == len(in_mode.columns) == 2 * len(names) + 2

    def test_any_name_can_be_a_key(self, tmp_path: Path) -> None:
        for place, name in enumerate(
            ('"; drop table "orders"; --', "rowid", "_tr_pos", "a\0b", "line", "key", "select")
        ):
            keys = KeySchema(KeyAttribute(name, "S"), KeyAttribute(name.upper() + "?", "N"))
            replica = Replica(self.make_target(tmp_path / str(place)), self.modes[0], keys)
            for position, text in enumerate(("a", "b", "a"), 1):
                item = {name: {"S": text}, name.upper() + "?": {"N": "1"}, "x": {"N": str(position)}}
                replica.apply((position, [Change("u", item, position)]))
            replica.check()
            assert replica.found(["a", "1"]) == {k: v for k, v in replica.expected().items() if '"a"' in k}

    def test_many_columns(self, replica: Replica) -> None:
        for number in range(3):
            replica.apply((number + 1, [put(number, **{f"x{number}_{n}": {"N": str(n)} for n in range(200)})]))
        replica.check()
        assert len(replica.columns) == 601

    # ---- keys

    def test_one_number_is_one_key_however_it_is_written(self, target: Target) -> None:
        replica = Replica(target, self.modes[0], NUMBER)
        for position, spelling in enumerate(("1", "1.0", "1E0", "+1", "001", "0", "-0", "1E2", "100"), 1):
            replica.apply((position, [Change("u", {"pk": {"N": spelling}, "x": {"S": spelling}}, position)]))
        replica.check()
        assert len(replica.shown()) == 3

    @pytest.mark.parametrize("mode", MODES)
    def test_old_rows_and_tombstones_are_found_after_a_key_column_widened(self, target: Target, mode: Mode) -> None:
        replica = Replica(target, self.offered(mode), NUMBER)

        def change(op: Any, position: int, key: str) -> Change:
            return Change(op, {"pk": {"N": key}} | ({} if op == "d" else {"x": {"N": str(position)}}), position)

        old = ("1", "100", "-20", "9007199254740993")
        replica.apply(
            (1, [change("u", 10 + n, key) for n, key in enumerate(old)]),
            (2, [change("d", 20, "7"), change("u", 21, "0")]),
        )
        number, position = 2, 21
        for wider in ("0.5", "0.0000000123", "1E-130"):
            for op, key in [("u", wider), ("u", "1"), ("d", "100"), ("u", "0"), ("u", "-20")]:
                number, position = number + 1, position + 1
                replica.apply((number, [change(op, position, key)]))
            replica.apply((number + 1, [change("u", 1, "7"), change("u", 2, "100"), change("u", 3, "0")]))
            number += 1
            replica.check()
            assert (
                replica.found(["1"], ["0.5"], ["7"], ["1.23E-8"], ["1E-130"], ["9007199254740993"]).items()
                <= replica.shown().items()
            )
        assert replica.kinds()["pk"] == "number_text"
        assert len(replica.found(["1"], ["0.5"], ["7"], ["1.23E-8"], ["1E-130"], ["9007199254740993"])) == 5

    def test_composite_keys_do_not_run_together(self, in_mode: Replica) -> None:
        in_mode.spec = replace(in_mode.spec, keys=COMPOSITE)
        pairs = [
            ("a", "bc"),
            ("ab", "c"),
            ("abc", ""),
            ("", "abc"),
            ("1:a", "b"),
            ("1", ":ab"),
            ("a\0", "b"),
            ("a", "\0b"),
            ("é", "x"),
            ("e\u0301", "x"),
        ]
        items: list[Item] = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in pairs]
        items = items if self.holds_nul else _without_nul(items)
        in_mode.apply((1, [Change("u", item | {"x": {"N": str(n)}}, n) for n, item in enumerate(items)]))
        assert len(in_mode.shown()) == len(pairs)
        for number, half in ((2, items[::2]), (3, items[1::2])):
            in_mode.apply((number, [Change("d", item, 100 + n) for n, item in enumerate(half)]))
            in_mode.check()
        in_mode.apply((4, [Change("u", item | {"x": {"S": "late"}}, n) for n, item in enumerate(items, 20)]))
        in_mode.check()
        assert in_mode.shown() == {}

    def test_binary_and_mixed_keys(self, tmp_path: Path) -> None:
        for keys in (BINARY, MIXED):
            replica = Replica(self.make_target(tmp_path / keys.hash.tag), self.modes[0], keys)
            parts = [b"", b"\0", b"\0\0", b"00", b"\xff", b"A", b"a", b"\x0a"]
            items = [
                {"pk": {"B": _b64(part)}} if keys is BINARY else {"pk": {"N": "1.50"}, "sk": {"B": _b64(part)}}
                for part in parts
            ]
            replica.apply((1, [Change("u", item, n + 1) for n, item in enumerate(items)]))
            replica.apply((2, [Change("d", item, n + 100) for n, item in enumerate(items[::2])]))
            replica.apply((3, [Change("u", item, n + 50) for n, item in enumerate(items)]))
            replica.check()
            wanted: list[list[str | bytes]] = [[part] if keys is BINARY else ["1.5", part] for part in parts]
            found = replica.found(*wanted)
            assert found == replica.shown()
            assert len(found) == 4

    def test_find_gives_what_is_live(self, in_mode: Replica) -> None:
        in_mode.apply(
            (1, [put(1), put(2, "b"), put(3, "c"), delete(4, "b"), put(5, "c", x={"M": {"y": {"N": "1.50"}}})])
        )
        assert in_mode.found(["a"], ["b"], ["c"], ["d"], ["a"]) == in_mode.expected()
        assert in_mode.found() == {}

    def test_keys_that_cannot_be_there_are_not_found(self, replica: Replica) -> None:
        replica.apply((1, [put(1), put(2, "b")]))
        assert list(replica.found(["a\0"], ["a"], ["\0"], ["x" * 2048], ["a "])) == list(replica.found(["a"]))
        replica.spec = replace(replica.spec, name="numbers", source="Numbers", keys=NUMBER)
        for number, (held, others) in enumerate(
            [("7", ["0.5", "7.4", "1E+100", "9" * 38, "9223372036854775808"]), ("1.25", ["1.254", "9" * 37, "1E-130"])],
            1,
        ):
            replica.apply((number, [Change("u", {"pk": {"N": held}}, number)]))
            assert len(replica.found([held], *([other] for other in others))) == 1
            assert replica.found(*([other] for other in others)) == {}

    def test_thousands_of_keys_are_found(self, replica: Replica) -> None:
        replica.spec = replace(replica.spec, keys=COMPOSITE)
        keys = [(f"'customer {n % 7}'\\", f"order {n}") for n in range(MANY)]
        replica.apply((1, [Change("u", {"pk": {"S": a}, "sk": {"S": b}}, n) for n, (a, b) in enumerate(keys[::3], 1)]))
        found = replica.found(*keys)
        assert len(found) == len(keys[::3])
        assert found == replica.shown()

    def test_rows_come_in_batches_that_have_room_for_the_largest_items(self, replica: Replica) -> None:
        replica.apply((1, [put(n, str(n)) for n in range(1, MANY)]))
        sizes = [batch.num_rows for batch in replica.target.rows(replica.spec)]
        assert sum(sizes) == MANY - 1
        assert max(sizes) * 400_000 < 2**29, "Arrow ends at four times of that, and values may be longer as JSON"

    # ---- epochs

    def test_a_later_epoch_wins_whatever_its_positions_are(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(900, "a"), put(901, "b"), delete(902, "c")]))
        in_mode.apply((2, [replace(put(1, key), epoch=2) for key in "abc"]))
        in_mode.apply((3, [put(990, "a"), delete(991, "b")]))
        in_mode.check()

    def test_a_sweep_ends_what_older_epochs_left(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1, "old", n={"N": "1"}), put(2, "base"), put(3, "changed"), delete(4, "gone")]))
        in_mode.apply((2, [Change("r", {"pk": {"S": "base"}}, epoch=2)]))
        in_mode.apply((3, [replace(put(1, "changed"), epoch=2), replace(put(2, "new"), epoch=2)]))
        for skipped in (0, 1):
            applied = in_mode.target.apply(in_mode.sweep(4, 2))
            assert (applied.segments, applied.skipped) == (1 - skipped, skipped)
            assert in_mode.ledger.applied_through == 4
            live = {row["pk"] for batch in in_mode.target.rows(in_mode.spec) for row in batch.to_pylist()}
            assert live == {"base", "changed", "new"}
        swept = order_key(2, CLASS_BASE)
        if in_mode.spec.mode == "soft_delete":
            assert sorted((op, pos) for op, pos, _, _ in in_mode.deleted().values()) == [
                ("d", order_key(1, CLASS_CHANGE, 4)),
                ("d", swept),
            ]
        if in_mode.spec.mode == "changelog":
            assert [(op, pos) for pos, op, _, _ in in_mode.history()].count(("d", swept)) == 1
        if in_mode.spec.mode == "history":
            ended = {values["pk", "S"]: until for *_, until, current, values in in_mode.versions() if not current}
            # what the sweep ended, and what the rows of the new epoch replaced
            assert ended["old"] == ended["base"] == KNOWN_MS * 1000
            assert ended["changed"] == replace(put(1, "changed"), epoch=2).us
        in_mode.apply((5, [replace(put(9, "old"), epoch=2), replace(put(9, "gone"), epoch=2)]))
        live = {row["pk"] for batch in in_mode.target.rows(in_mode.spec) for row in batch.to_pylist()}
        assert live == {"base", "changed", "new", "old", "gone"}

    def test_a_sweep_of_nothing(self, in_mode: Replica) -> None:
        assert in_mode.target.apply(in_mode.sweep(1, 2)).segments == 1
        assert in_mode.ledger.applied_through == 1
        in_mode.apply((2, [replace(put(1), epoch=2)]))
        in_mode.check()

    def test_rows_of_a_predecessor_are_taken_over(self, in_mode: Replica) -> None:
        in_mode.apply((1, [put(1, "a")]))
        before = in_mode.spec
        in_mode.spec = replace(before, incarnation="table-id-2", predecessors=("table-id-1",))
        assert in_mode.ledger.applied_through == 1
        in_mode.apply((2, [replace(put(1, "b"), epoch=2)]))
        in_mode.check()
        with pytest.raises(UserFault):
            in_mode.target.ledger(before)

    # ---- tables that are not as we left them

    def test_another_incarnation_mode_source_or_key_is_refused(self, replica: Replica) -> None:
        replica.apply((1, [put(1)]))
        for other in (
            replace(replica.spec, incarnation="table-id-2"),
            replace(replica.spec, mode="soft_delete"),
            replace(replica.spec, source="Customers"),
            replace(replica.spec, keys=NUMBER),
            *([replace(replica.spec, name="ORDERS", incarnation="table-id-2")] if self.ignores_case else []),
        ):
            load = replace(replica.load((2, [put(2)])), table=other)
            for use in (lambda o=other: replica.target.ledger(o), lambda ld=load: replica.target.apply(ld)):
                with pytest.raises(UserFault, match=r"orders|ORDERS") as error:
                    use()
                assert error.value.hint
        replica.check()

    @pytest.mark.parametrize("made", ["CREATE TABLE orders (pk VARCHAR)", "CREATE VIEW orders AS SELECT 'a' AS pk"])
    def test_a_table_that_somebody_else_made_is_refused(self, tmp_path: Path, made: str) -> None:
        self.tamper(tmp_path, made)
        replica = Replica(self.make_target(tmp_path), self.modes[0])
        load = Load(
            replica.spec, 1, *_parts(Replica(self.make_target(tmp_path / "other"), self.modes[0]).load((1, [put(1)])))
        )
        with pytest.raises(UserFault, match="did not make it"):
            replica.target.apply(load)
        with pytest.raises(UserFault, match="did not make it"):
            replica.target.ledger(replica.spec)

    @pytest.mark.parametrize(
        "damage", ['DROP TABLE "orders"', "DELETE FROM {ledger}"], ids=["table dropped", "ledger emptied"]
    )
    def test_rows_and_ledger_that_do_not_fit_are_refused(self, tmp_path: Path, damage: str) -> None:
        replica = Replica(self.make_target(tmp_path), self.modes[0])
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        self.tamper(tmp_path, damage.format(ledger=self.ledger_table))
        if damage.startswith("DROP") and not self.ledger_apart:
            assert replica.ledger == Ledger()
            replica.applied.clear()
            replica.apply((1, [put(1)]), (2, [put(2)]))
            replica.check()
            return
        for use in (lambda: replica.target.apply(load), lambda: replica.target.ledger(replica.spec), replica.shown):
            with pytest.raises(UserFault) as error:
                use()
            assert "Restore" in error.value.hint

    def test_what_was_written_before_there_were_fences_is_refused(self, tmp_path: Path) -> None:
        replica = Replica(self.make_target(tmp_path), self.modes[0])
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        for table in (self.ledger_table, self.ledger_table.replace("ledger", "tables")):
            self.tamper(tmp_path, f"ALTER TABLE {table} DROP COLUMN fence")
        for use in (lambda: replica.target.apply(load), lambda: replica.target.ledger(replica.spec)):
            with pytest.raises(UserFault, match="format 1") as error:
                use()
            assert "landing zone" in error.value.hint

    def test_tables_are_kept_apart(self, tmp_path: Path) -> None:
        target = self.make_target(tmp_path)
        ours, others = Replica(target, self.modes[0]), Replica(target, self.offered("changelog"))
        others.spec = replace(others.spec, source="Others", name="others")
        ours.apply((1, [put(1)]))
        others.apply((1, [put(1), put(2)]), (2, [delete(3)]))
        ours.apply((2, [delete(2)]))
        assert (ours.ledger.applied_through, others.ledger.applied_through) == (2, 2)
        assert (ours.ledger.rows, others.ledger.rows) == (2 if self.modes[0] == "changelog" else 0, 3)

    # ---- reading

    def test_a_query_reads(self, replica: Replica) -> None:
        replica.apply((1, [put(1, x={"N": "1.5"}), put(2, "b")]))
        assert replica.target.query("SELECT count(*) AS n FROM orders").to_pylist() == [{"n": 2}]

    @pytest.mark.parametrize(
        "sql", ["DELETE FROM orders", "DROP TABLE orders", "SELECT 1; DROP TABLE orders", "", "SELEC"]
    )
    def test_a_query_only_reads(self, replica: Replica, sql: str) -> None:
        replica.apply((1, [put(1)]))
        with pytest.raises(UsageInvalid):
            replica.target.query(sql)
        replica.check()

    # ---- all at once

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("keys", [PK, MIXED], ids=["S", "NB"])
    def test_any_order_and_any_repetition_give_the_plain_fold(self, mode: Mode, keys: KeySchema) -> None:
        self.offered(mode)

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(histories(keys))
        def apply_all(loads: list[list[tuple[int, list[Change]]]]) -> None:
            with tempfile.TemporaryDirectory() as place:
                replica = Replica(self.make_target(Path(place)), mode, keys)
                for load in loads if self.holds_nul else _without_nul(loads):
                    replica.apply(*load)
                    assert replica.shown() == replica.expected()
                replica.check()
                assert replica.ledger.applied_through == len(replica.applied)
                assert not replica.ledger.applied_beyond

        apply_all()


def _without_nul(value: Any) -> Any:
    """The same, with another sign for each NUL in a value; names of attributes keep theirs."""
    if isinstance(value, str):
        return value.replace("\0", "\u2400")
    if isinstance(value, Mapping):
        return {_without_nul(name): _without_nul(member) for name, member in value.items()}
    if isinstance(value, Change):
        return replace(value, item={name: _without_nul(member) for name, member in value.item.items()})
    return type(value)(map(_without_nul, value)) if isinstance(value, list | tuple) else value


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _parts(load: Load) -> tuple[Any, ...]:
    return load.segments, load.changes, load.seen, load.loaded_ms


AWKWARD_COLUMNS = (
    *(
        "; drop table orders; --",
        '"; drop table "orders"; --',
        "orders",
        "_tailrace",
        "main.orders",
        "lambda",
        "?",
        "$1",
    ),
    *(
        "place",
        "line",
        "lost",
        "key",
        "k0",
        "c0",
        "i.c0",
        "op",
        "pos",
        "incoming",
        "latest",
        "x" * 65_535,
        "X" * 65_535,
    ),
    *("_tr_deleted", "_tr_image_pos", "_tr_hash", "_TR_OP", "_tr_op_2", "_tr_rebuilt_orders", "ROWID"),
    *("\0\0", "a\0b", "a\u2400b", "A\0B"),
)
EVERYTHING: Mapping[str, Mapping[str, Any]] = {
    "x_s": {"S": "Zürich 水 🦀 \u2028 \0 '\""},
    "x_n": {"N": "9007199254740993"},
    "x_dec": {"N": "123456789012345678.1234567890123456789"},
    "x_wide": {"N": "1E-130"},
    "x_b": {"B": "AP8A"},
    "x_bool": {"BOOL": False},
    "x_null": {"NULL": True},
    "x_m": {"M": {"n": {"N": "1.50"}, "deep": {"L": [{"M": {"": {"NULL": True}}}, {"B": "AA=="}, {"SS": ["b", "a"]}]}}},
    "x_l": {"L": [{"N": "12345678901234567890123456789012345678"}, {"S": "\u2028"}]},
    "x_ss": {"SS": ["b", "a", ""]},
    "x_ns": {"NS": ["2", "-1", "1.0"]},
    "x_ns_dec": {"NS": ["0.5", "12345678901234567890"]},
    "x_ns_wide": {"NS": ["1E125", "1E-130"]},
    "x_bs": {"BS": ["/w==", "AA==", ""]},
}
EXTREMES: Mapping[str, Mapping[str, Any]] = {
    "x_s": {"S": "x" * 100_000},
    "x_n": {"N": "-9223372036854775808"},
    "x_dec": {"N": "-0.00000000000000000001"},
    "x_wide": {"N": "9.9999999999999999999999999999999999999E+125"},
    "x_b": {"B": ""},
    "x_bool": {"BOOL": True},
    "x_m": {"M": {}},
    "x_l": {"L": []},
    "x_ss": {"SS": []},
    "x_ns": {"NS": []},
    "x_bs": {"BS": []},
}
