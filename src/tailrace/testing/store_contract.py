"""What every store must do. Subclass in a test module, name it ``Test…``, and give it a `make_store`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from tailrace.errors import AlreadyExists, NotFound, StateContended, UsageInvalid
from tailrace.landing.store import Store

WRITERS = 16


class StoreContract:
    """Each call of `make_store` within one test gives a client of one and the same, at first empty, store."""

    listed_objects: ClassVar[int] = 50  # where a listing has pages, more than one page
    rounds: ClassVar[int] = 10  # of every race

    def make_store(self, tmp_path: Any) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def open_store(self, tmp_path: Any) -> Callable[[], Store]:
        return lambda: self.make_store(tmp_path)

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        return open_store()

    # ---- create

    def test_what_is_created_can_be_read_by_others(self, open_store: Callable[[], Store]) -> None:
        open_store().create("t/changes/dt=2026-11-22/hr=05/1-2-ab.json.gz", b"one")
        assert open_store().read("t/changes/dt=2026-11-22/hr=05/1-2-ab.json.gz").data == b"one"

    def test_creating_the_same_again_changes_nothing(self, store: Store) -> None:
        store.create("a", b"one")
        version = store.read("a").version
        store.create("a", b"one")
        assert (store.read("a").data, store.read("a").version) == (b"one", version)

    def test_creating_over_other_bytes_is_refused_and_overwrites_nothing(self, store: Store) -> None:
        store.create("a", b"one")
        with pytest.raises(AlreadyExists):
            store.create("a", b"two")
        assert store.read("a").data == b"one"

    def test_an_object_may_be_empty_or_large(self, store: Store) -> None:
        large = hashlib.shake_128(b"tailrace").digest(5_000_001)
        store.create("empty", b"")
        store.create("large", large)
        assert store.read("empty").data == b""
        assert store.read("large").data == large

    @pytest.mark.parametrize(
        "name", ["t/a b+c%2e&=d.json", "t/Größe/\u20ac\u2028.json", "A/a", "t/.hidden", "t/a..b/..c"]
    )
    def test_unusual_names_are_kept_as_they_are(self, store: Store, name: str) -> None:
        store.create(name, b"one")
        assert store.read(name).data == b"one"
        assert [listed.name for listed in store.list("")] == [name]

    @pytest.mark.parametrize(
        "name",
        ["", "/a", "a//b", "a/", "..", "../a", "a/../b", "./a", "a/.", "a\0b", "a\nb", "..\\a", "\x7f"],
    )
    def test_names_that_could_leave_the_store_are_refused(self, store: Store, name: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.read(name),
            lambda: store.open(name),
            lambda: store.read_range(name, 0, 1),
            lambda: store.create(name, b""),
            lambda: store.replace(name, b"", None),
            lambda: store.delete(name),
        ]
        for call in calls:
            with pytest.raises(UsageInvalid):
                call()

    # ---- read

    def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        store.create("a/b", b"one")
        for name in ("b", "a/c"):
            with pytest.raises(NotFound):
                store.read(name)
            with pytest.raises(NotFound):
                store.open(name)
            with pytest.raises(NotFound):
                store.read_range(name, 0, 1)

    def test_a_stream_gives_the_same_bytes_in_pieces(self, store: Store) -> None:
        data = hashlib.shake_128(b"stream").digest(3_000_000)
        store.create("a", data)
        with store.open("a") as stream:
            pieces = [stream.read(7), *iter(lambda: stream.read(1 << 20), b"")]
        assert pieces[0] == data[:7]
        assert b"".join(pieces) == data

    @pytest.mark.parametrize(
        ("offset", "size", "found"),
        [(0, 3, b"abc"), (2, 3, b"cde"), (5, 1, b"f"), (4, 9, b"ef"), (6, 1, b""), (9, 9, b"")],
    )
    def test_a_range_ends_where_the_object_ends(self, store: Store, offset: int, size: int, found: bytes) -> None:
        store.create("a", b"abcdef")
        assert store.read_range("a", offset, size) == found

    # ---- replace

    def test_a_replace_needs_the_version_that_is_there(self, store: Store) -> None:
        first = store.replace("m", b"one", None)
        assert store.read("m").version == first
        second = store.replace("m", b"two", first)
        assert store.read("m").version == second != first
        assert store.read("m").data == b"two"

    @pytest.mark.parametrize("expected", ["missing", "stale"])
    def test_a_replace_with_another_version_is_refused(self, store: Store, expected: str) -> None:
        stale = store.replace("m", b"one", None)
        store.replace("m", b"two", stale)
        with pytest.raises(StateContended):
            store.replace("m", b"three", None if expected == "missing" else stale)
        assert store.read("m").data == b"two"

    def test_a_replace_of_what_is_gone_is_refused(self, store: Store) -> None:
        version = store.replace("m", b"one", None)
        store.delete("m")
        with pytest.raises(StateContended):
            store.replace("m", b"two", version)
        with pytest.raises(NotFound):
            store.read("m")

    # ---- list and delete

    def test_a_listing_is_whole_sorted_and_below_its_prefix(self, store: Store) -> None:
        names = [f"t/q/{number:04d}.json" for number in range(self.listed_objects)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.create(name, name.encode()), reversed(names)))
        for other in ("t/q-", "t/qq/1", "u/q/1", "t/q/0001.json-"):
            store.create(other, b"")
        listed = list(store.list("t/q/"))
        assert [entry.name for entry in listed] == sorted([*names, "t/q/0001.json-"])
        assert {entry.bytes for entry in listed} == {0, len("t/q/0000.json")}
        assert [entry.name for entry in store.list("t/q/0001")] == ["t/q/0001.json", "t/q/0001.json-"]
        assert [entry.name for entry in store.list("t/q")][:2] == ["t/q-", "t/q/0000.json"]
        assert list(store.list("nothing/here")) == []

    def test_what_is_deleted_is_gone_and_deleting_it_again_is_fine(self, store: Store) -> None:
        store.create("a/b", b"one")
        store.delete("a/b")
        store.delete("a/b")
        assert list(store.list("")) == []
        store.create("a/b", b"two")
        assert store.read("a/b").data == b"two"

    # ---- races

    def test_of_many_creators_exactly_one_wins(self, open_store: Callable[[], Store]) -> None:
        for number in range(self.rounds):
            name = f"race/{number}"
            won = _race(open_store, lambda store, me, name=name: store.create(name, me))  # type: ignore[misc]
            assert won == [open_store().read(name).data]

    def test_of_many_replacers_exactly_one_wins(self, open_store: Callable[[], Store]) -> None:
        version: str | None = None
        for number in range(self.rounds):
            label = f"round {number}, ".encode()  # equal bytes would be an equal version
            won = _race(open_store, lambda store, me, v=version: store.replace("m", me, v), label)  # type: ignore[misc]
            stored = open_store().read("m")
            assert won == [stored.data]
            version = stored.version

    def test_creators_of_the_same_bytes_all_succeed(self, open_store: Callable[[], Store]) -> None:
        won = _race(open_store, lambda store, _: store.create("same", b"same"))
        assert len(won) == WRITERS

    # ---- probe

    def test_the_probe_finds_it_fit_and_leaves_nothing(self, store: Store) -> None:
        store.probe()
        store.probe()
        assert list(store.list("")) == []


def _race(open_store: Callable[[], Store], write: Callable[[Store, bytes], object], label: bytes = b"") -> list[bytes]:
    """All writers start at once, each with its own bytes and client; the bytes of those who succeeded."""
    barrier = threading.Barrier(WRITERS)
    stores = [open_store() for _ in range(WRITERS)]

    def run(number: int) -> bytes | None:
        me = label + f"writer {number}".encode()
        barrier.wait()
        try:
            write(stores[number], me)
        except (AlreadyExists, StateContended):
            return None
        return me

    with ThreadPoolExecutor(WRITERS) as pool:
        return [me for me in pool.map(run, range(WRITERS)) if me is not None]
