"""What point-in-time recovery remembers: states are exclusive of their moment, windows inclusive of their start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.local.history import TableHistory


def image(key: str, value: int) -> dict[str, object]:
    return {"id": {"S": key}, "v": {"N": str(value)}}


def test_a_state_holds_what_was_written_before_it_and_a_window_its_start_but_not_its_end() -> None:
    history = TableHistory(0)
    history.record({"id": {"S": "a"}}, image("a", 1), 100)
    history.record({"id": {"S": "b"}}, image("b", 1), 200)
    assert [i["id"]["S"] for i in history.state_at(200)] == ["a"]
    assert [i["id"]["S"] for i in history.state_at(201)] == ["a", "b"]
    assert [c.keys["id"]["S"] for c in history.changes(100, 200)] == ["a"]
    assert [c.keys["id"]["S"] for c in history.changes(200, 300)] == ["b"]


def test_what_came_and_went_inside_a_window_leaves_nothing() -> None:
    history = TableHistory(0)
    history.record({"id": {"S": "a"}}, image("a", 1), 100)
    history.record({"id": {"S": "a"}}, None, 150)
    assert list(history.changes(100, 200)) == []
    assert next(history.changes(0, 120)).new == image("a", 1)
    [deleted] = history.changes(120, 200)
    assert (deleted.old, deleted.new, deleted.written_us) == (image("a", 1), None, 150)


def test_deleted_and_inserted_again_is_an_update() -> None:
    history = TableHistory(0)
    history.record({"id": {"S": "a"}}, image("a", 1), 100)
    history.record({"id": {"S": "a"}}, None, 150)
    history.record({"id": {"S": "a"}}, image("a", 2), 160)
    [change] = history.changes(120, 200)
    assert (change.old, change.new, change.written_us) == (image("a", 1), image("a", 2), 160)


def test_a_write_without_effect_shows_only_where_asked_for() -> None:
    history = TableHistory(0)
    history.record({"id": {"S": "a"}}, image("a", 1), 100)
    history.record({"id": {"S": "a"}}, image("a", 1), 150)
    assert list(history.changes(120, 200)) == []
    assert len(list(history.changes(120, 200, equal_images=True))) == 1


@given(
    writes=st.lists(st.tuples(st.integers(1, 50), st.sampled_from("abc"), st.none() | st.integers(1, 3)), max_size=20),
    cuts=st.lists(st.integers(0, 600), min_size=2, max_size=6),
)
def test_windows_that_tile_carry_any_state_to_any_later_one(
    writes: list[tuple[int, str, int | None]], cuts: list[int]
) -> None:
    history, now = TableHistory(0), 0
    for pause, key, value in writes:
        now += pause
        history.record({"id": {"S": key}}, None if value is None else image(key, value), now)
    start, *ends = sorted(cuts)
    state = {str(i["id"]): i for i in history.state_at(start)}
    for end in ends:
        for change in history.changes(start, end):
            state.pop(str(change.keys["id"]), None)
            if change.new is not None:
                state[str(change.keys["id"])] = change.new
        start = end
    assert state == {str(i["id"]): i for i in history.state_at(start)}
