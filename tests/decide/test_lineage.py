"""The rules of a stream's lineage, each as a small example, and one property: no shard is ever lost silently."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.lineage import (
    ABSENT_MS,
    CHILDLESS_MS,
    CLOCKS_MS,
    RETENTION_MS,
    RETIRE_MS,
    UNREAD_MS,
    YOUNG_MS,
    Lineage,
    absent_since,
    closed_leaves,
    first_discovery,
    merge_listing,
    order_violation,
    ready_shards,
    seen_open,
    unread_beyond_retention,
    whole_before,
)
from tailrace.model.manifest import Gap, GapState, ShardState
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

T0 = 1_790_000_000_000
N = SequenceNumber


def info(shard_id: str, parent: str | None = None, last: int | None = None) -> ShardInfo:
    return ShardInfo(shard_id, parent, N(1), None if last is None else N(last))


def state(parent: str | None = None, **more: object) -> ShardState:
    return replace(ShardState(parent, since_ms=T0, listed_ms=T0), **more)  # type: ignore[arg-type]


def merge(
    known: Mapping[str, ShardState],
    listing: Sequence[ShardInfo],
    *,
    now_ms: int = T0,
    absent: Mapping[str, int] | None = None,
    gaps: Sequence[Gap] = (),
    open_ms: Mapping[str, int] | None = None,
    missed: Collection[str] = ("a", "b"),
    through_ms: int | None = None,
) -> tuple[Mapping[str, ShardState], list[tuple[str, str | None]]]:
    lineage = merged(known, gaps, listing, now_ms, open_ms or {}, absent or {}, missed, through_ms)
    return lineage.shards, [(gap.kind, gap.shard) for gap in lineage.gaps]


def merged(
    known: Mapping[str, ShardState],
    gaps: Sequence[Gap],
    listing: Sequence[ShardInfo],
    now_ms: int,
    open_ms: Mapping[str, int] = MappingProxyType({}),
    absent: Mapping[str, int] = MappingProxyType({}),
    missed: Collection[str] = (),
    through_ms: int | None = None,
) -> Lineage:
    """A listing whose answer came at once."""
    return merge_listing(
        known,
        gaps,
        listing,
        now_ms,
        open_ms=open_ms,
        absent_since_ms=absent,
        missed=missed,
        captured_through_ms=through_ms,
        shown_ms=now_ms,
    )


# ---- the first look


def test_from_the_horizon_everything_listed_is_read() -> None:
    found = first_discovery([info("a", "before", last=9), info("b", "a")], "TRIM_HORIZON", T0)
    assert found.shards == {"a": state("before", last=N(9)), "b": state("a")}
    assert found.gaps == ()
    assert ready_shards(found.shards) == ("a",)


def test_from_latest_only_open_shards_are_read_and_remember_when() -> None:
    found = first_discovery([info("a", last=9), info("b", "a"), info("c", "a")], "LATEST", T0)
    assert found.shards["a"].finished_ms == T0
    assert (found.shards["b"].start, found.shards["b"].since_ms) == ("LATEST", T0)
    assert ready_shards(found.shards) == ("b", "c")


def test_latest_is_for_the_first_look_only() -> None:
    known = first_discovery([info("a")], "LATEST", T0).shards
    shards, gaps = merge(known, [info("a", last=9), info("b", "a")], now_ms=T0 + 1)
    assert (shards["b"].start, gaps) == ("TRIM_HORIZON", [])


def test_an_empty_listing_is_no_shards() -> None:
    assert first_discovery([], "TRIM_HORIZON", T0).shards == {}
    assert merge({}, []) == ({}, [])


# ---- parents and children


def test_a_child_waits_until_its_parent_is_finished() -> None:
    shards = {"a": state(), "b": state("a"), "c": state("b")}
    assert ready_shards(shards) == ("a",)
    assert ready_shards(shards | {"a": state(finished_ms=T0)}) == ("b",)


def test_a_child_listed_before_its_parent_closes_waits() -> None:
    shards, gaps = merge({"a": state()}, [info("a"), info("b", "a")])
    assert (ready_shards(shards), gaps) == (("a",), [])


def test_a_parent_read_to_its_end_but_not_finished_still_holds_its_child() -> None:
    shards = {"a": state(mark=N(9), last=N(9)), "b": state("a")}
    assert ready_shards(shards) == ("a",)


def test_a_parent_that_was_forgotten_holds_nobody() -> None:
    assert ready_shards({"b": state("a")}) == ("b",)


def test_a_closed_leaf_is_one_whose_children_are_not_listed() -> None:
    shards = {"a": state(finished_ms=T0), "b": state("a", finished_ms=T0), "c": state(finished_ms=T0), "d": state()}
    assert closed_leaves(shards, []) == ("b", "c")
    assert closed_leaves(shards, [Gap("shard_vanished", "", T0, "c")]) == ("b",)
    assert closed_leaves(shards, [Gap("stream_trimmed", "", T0, "c")]) == ("b", "c")


def test_a_leaf_childless_for_25_hours_is_a_gap_once() -> None:
    known = {"a": state(finished_ms=T0, mark=N(5))}
    listing = [info("a", last=5)]
    assert merge(known, listing, now_ms=T0 + CHILDLESS_MS)[1] == []
    _, gaps = merge(known, listing, now_ms=T0 + CHILDLESS_MS + 1)
    assert gaps == [("lineage_broken", "a")]
    known_gap = [Gap("lineage_broken", "", T0, "a")]
    assert merge(known, listing, now_ms=T0 + CHILDLESS_MS + 2, gaps=known_gap)[1] == []


def test_a_child_listed_in_time_prevents_the_gap() -> None:
    known = {"a": state(finished_ms=T0)}
    assert merge(known, [info("a", last=5), info("b", "a")], now_ms=T0 + CHILDLESS_MS + 1)[1] == []


# ---- what a listing lacks


def test_a_shard_that_a_listing_lacks_for_less_than_a_minute_stays_as_it_is() -> None:
    known = {"a": state(mark=N(3)), "b": state()}
    assert merge(known, [info("b")]) == (known, [])
    assert merge(known, [info("b")], now_ms=T0 + ABSENT_MS - 1, absent={"a": T0}) == (known, [])


@pytest.mark.parametrize("mark", [None, N(3)])
def test_a_shard_gone_before_it_was_read_to_its_end_is_a_gap(mark: SequenceNumber | None) -> None:
    known = {"a": state(mark=mark, last=N(9)), "b": state("a")}
    lineage = merged(known, [], [info("b", "a")], T0 + ABSENT_MS, absent={"a": T0}, missed=["a"])
    (gap,) = lineage.gaps
    assert (gap.kind, gap.shard, gap.after, gap.state) == ("shard_vanished", "a", mark, "detected")
    assert lineage.shards["a"].finished_ms == T0 + ABSENT_MS
    assert ready_shards(lineage.shards) == ("b",)


def test_a_shard_that_can_be_read_is_not_gone_whatever_listings_say() -> None:
    known = {"a": state(mark=N(3))}
    assert merge(known, [], now_ms=T0 + 9 * ABSENT_MS, absent={"a": T0}, missed=["b"]) == (known, [])


def test_a_shard_gone_with_its_last_record_published_is_no_gap() -> None:
    shards, gaps = merge({"a": state(mark=N(9), last=N(9))}, [], now_ms=T0 + ABSENT_MS, absent={"a": T0})
    assert (shards["a"].finished_ms, gaps) == (T0 + ABSENT_MS, [])


def test_absence_is_counted_from_the_first_listing_that_lacks_a_shard() -> None:
    known = {"a": state(), "b": state()}
    first = absent_since(known, [info("b")], T0, before={}, listed_ms=None)
    assert first == {"a": T0}
    assert absent_since(known, [], T0 + 5, before=first, listed_ms=T0) == {"a": T0, "b": T0 + 5}
    assert absent_since(known, [info("a"), info("b")], T0 + 5, before=first, listed_ms=T0) == {}


def test_absence_is_counted_anew_when_nobody_has_listed_for_longer() -> None:
    later = T0 + ABSENT_MS + 1
    assert absent_since({"a": state()}, [], later, before={"a": T0}, listed_ms=T0) == {"a": later}


def test_a_parent_that_nobody_knows_holds_its_children_until_it_is_listed_or_gone() -> None:
    shards, gaps = merge({"a": state()}, [info("a"), info("c", "b"), info("d", "b")])
    assert (ready_shards(shards), gaps) == (("a", "b"), [])
    listing = [info("a", last=5), info("b", "a", last=9), info("c", "b"), info("d", "b")]
    listed, gaps = merge(shards, listing)
    assert (ready_shards(listed), listed["b"].parent, gaps) == (("a",), "a", [])
    listed, gaps = merge(shards, [info("a"), info("b", "x"), info("c", "b")])
    assert (ready_shards(listed), gaps) == (("a", "x"), [])
    lost, gaps = merge(shards, [info("a"), info("c", "b"), info("d", "b")], now_ms=T0 + ABSENT_MS, absent={"b": T0})
    assert gaps == [("shard_vanished", "b")]
    assert ready_shards(lost) == ("a", "c", "d")


def test_a_new_shard_may_be_as_old_as_the_last_listing_that_showed_its_parent_open() -> None:
    """However long listings lacked it. Or nobody would notice that its first changes were trimmed before it was listed at all."""
    known = {"a": state(finished_ms=T0 + 5), "b": state(since_ms=T0 - 7)}
    listing = [info("a", last=5), info("b", last=6), info("c", "a"), info("d", "b"), info("e", "d")]
    shards, _ = merge(known, listing, now_ms=T0 + 20, open_ms={"a": T0 + 3})
    assert {i: shards[i].since_ms for i in "cde"} == {"c": T0 + 3, "d": T0 - 7, "e": T0 - 7}


@pytest.mark.parametrize(
    ("parent", "began"),
    [
        (state(listed_ms=T0), T0 + CLOCKS_MS),  # the watermark is behind everything in it, but its end
        (state(listed_ms=T0 + 1), T0),  # by another clock it was listed after that moment
        (state(listed_ms=None), T0),
        (state(finished_ms=T0 + 5), T0),  # its end, too
    ],
)
def test_a_new_shard_is_younger_than_what_was_captured_of_an_open_parent(parent: ShardState, began: int) -> None:
    shards, _ = merge({"a": parent}, [info("a"), info("b", "a")], now_ms=T0 + 10**9, through_ms=T0 + CLOCKS_MS)
    assert shards["b"].since_ms == began


def test_a_shard_was_listed_when_the_answer_came_that_showed_it_first() -> None:
    shards = merge({"a": state(listed_ms=None)}, [info("a"), info("b", "c")], now_ms=T0 + 7)[0]
    assert {i: shards[i].listed_ms for i in "abc"} == {"a": T0 + 7, "b": T0 + 7, "c": None}
    assert merge(shards, [info("a"), info("b", "c")], now_ms=T0 + 9)[0]["a"].listed_ms == T0 + 7


@pytest.mark.parametrize(
    ("child", "before"),
    [
        (state("a", since_ms=T0 - 9, listed_ms=T0 - YOUNG_MS + 1), T0 - 9),  # its sibling may not be listed yet
        (state("a", since_ms=T0 - 9, listed_ms=T0 + 5), T0 - 9),
        (state("a", since_ms=T0 - 9, listed_ms=T0 - YOUNG_MS), T0),
        (state("a", since_ms=T0 + 9), T0),
        (state(None, since_ms=T0 - 9), T0),  # of the first look
    ],
)
def test_behind_the_beginning_of_a_young_shard_changes_of_its_sibling_may_be_missing(
    child: ShardState, before: int
) -> None:
    shards = {"a": state(since_ms=T0 - 99, listed_ms=T0 - 10**9), "b": child}
    assert whole_before(shards, T0) == before
    assert whole_before(shards, None) is None


def test_a_shard_whose_line_nobody_knows_may_be_as_old_as_any_end_of_a_line_that_is_known() -> None:
    known = {"a": state(since_ms=T0 - 9), "b": state("a", since_ms=T0 - 5), "c": state("a", since_ms=T0 - 3)}
    listing = [*(info(i) for i in "abc"), info("d"), info("f", "e")]
    shards, _ = merge(known, listing, open_ms={"c": T0 - 1})
    assert {i: shards[i].since_ms for i in "def"} == dict.fromkeys("def", T0 - 5)
    assert merge({}, [info("d")])[0]["d"].since_ms == T0


def test_a_parent_that_nobody_knows_may_be_the_other_child_of_a_split() -> None:
    known = {"a": state(since_ms=T0 - 9, finished_ms=T0), "b": state("a", since_ms=T0 - 9)}
    shards, _ = merge(known, [info("b"), info("d", "c")], now_ms=T0 + 9, open_ms={"b": T0 + 5})
    assert (shards["c"].since_ms, shards["d"].since_ms) == (T0 - 9, T0 - 9)


def test_seen_open_is_what_the_last_listings_said_until_a_shard_is_known_to_be_closed() -> None:
    shards = {"a": state(), "b": state(last=N(9)), "c": state(finished_ms=T0), "d": state(), "e": state()}
    listing = [*(info(i) for i in "abc"), info("d", last=7)]
    before = {"a": T0, "c": T0, "d": T0 + 1, "gone": T0}
    assert seen_open(shards, listing, T0 + 5, before) == {"a": T0 + 5, "c": T0, "d": T0 + 1}


def test_a_listing_never_takes_back_that_a_shard_is_closed() -> None:
    shards, _ = merge({"a": state(last=N(9))}, [info("a")])
    assert shards["a"].last == 9


# ---- forgetting


def test_a_finished_shard_is_remembered_for_48_hours_and_as_long_as_it_is_listed() -> None:
    known = {"a": state(finished_ms=T0), "b": state("a")}
    late = T0 + RETIRE_MS
    assert "a" in merge(known, [info("b", "a")], now_ms=late - 1, absent={"a": T0})[0]
    assert "a" in merge(known, [info("a"), info("b", "a")], now_ms=late)[0]
    assert "a" in merge(known, [info("b", "a")], now_ms=late, absent={})[0]  # one listing may be incomplete
    assert "a" not in merge(known, [info("b", "a")], now_ms=late, absent={"a": T0})[0]


def test_a_finished_shard_is_never_read_again() -> None:
    shards, gaps = merge({"a": state(finished_ms=T0)}, [info("a", last=9)])
    assert (ready_shards(shards), gaps) == ((), [])


# ---- listings that contradict themselves


@pytest.mark.parametrize(
    ("listing", "members"),
    [
        ([info("a", "a")], {"a"}),
        ([info("a", "b"), info("b", "a")], {"a", "b"}),
        ([info("a", "c"), info("b", "a"), info("c", "b"), info("d", "c")], {"a", "b", "c"}),
    ],
)
def test_a_shard_that_is_its_own_ancestor_is_read_and_its_broken_order_is_a_gap(
    listing: list[ShardInfo], members: set[str]
) -> None:
    for lineage in (
        first_discovery(listing, "TRIM_HORIZON", T0),
        merged({}, [], listing, T0),
    ):
        assert {gap.shard for gap in lineage.gaps} == members
        assert {gap.kind for gap in lineage.gaps} == {"lineage_broken"}
        assert set(ready_shards(lineage.shards)) == members


# ---- time alone


@pytest.mark.parametrize(("looked", "is_gap"), [(T0 - UNREAD_MS - 1, True), (T0 - UNREAD_MS, False)])
def test_a_shard_without_a_mark_that_nobody_looked_at_for_a_day_is_a_gap(looked: int, is_gap: bool) -> None:
    shards = {"a": state(since_ms=looked - 5), "b": state(since_ms=looked, mark=N(3)), "c": state(finished_ms=T0)}
    found = unread_beyond_retention(shards, [], looked, T0)
    assert ([gap.shard for gap in found.gaps] if found else None) == (["a"] if is_gap else None)
    if found is not None:
        assert found.shards["a"].start == "TRIM_HORIZON"
        assert unread_beyond_retention(found.shards, found.gaps, looked, T0 + 1) is None
        assert unread_beyond_retention(found.shards, found.gaps, looked, T0 + RETENTION_MS + 1) is not None


def test_two_clocks_that_aws_lets_in_do_not_hide_what_was_trimmed() -> None:
    """One worker looked, and its clock is five minutes ahead; a day later another one comes, five minutes behind."""
    ahead_ms, behind_ms = T0 + 300_000, T0 + RETENTION_MS + 1 - 300_000
    assert unread_beyond_retention({"a": state(since_ms=ahead_ms)}, [], ahead_ms, behind_ms) is not None


def test_a_gap_of_a_shard_is_no_look_at_the_listing() -> None:
    """A shard that nobody had listed by then may be as old as the last real look."""
    now_ms = T0 + RETENTION_MS + 10
    found = unread_beyond_retention({"a": state(since_ms=T0)}, [], None, now_ms)
    assert found is not None
    listing = [info("a"), info("b")]
    shards, _ = merge(found.shards, listing, now_ms=now_ms, gaps=found.gaps)
    assert shards["b"].since_ms == T0


@pytest.mark.parametrize(
    ("after", "gap_state", "is_told"), [(None, "detected", True), (None, "closed", False), (N(7), "detected", False)]
)
def test_a_child_listed_behind_one_that_was_read_too_late_was_not_read_in_time_either(
    after: SequenceNumber | None, gap_state: GapState, is_told: bool
) -> None:
    known = {"p": state(last=N(9), mark=N(9), finished_ms=T0), "a": state("p")}
    gaps = [Gap("stream_trimmed", "nobody read it", T0, "a", after, gap_state)]
    listing = [info("p", last=9), info("a", "p"), info("b", "p"), info("elsewhere", "a")]
    shards, found = merge(known, listing, gaps=gaps)
    assert found == ([("stream_trimmed", "b")] if is_told else [])
    again = [*gaps, Gap("stream_trimmed", "", T0, "b")]
    assert merge(shards, listing, gaps=again)[1] == []


def test_a_shard_first_listed_today_was_looked_at_today() -> None:
    assert unread_beyond_retention({"a": state(since_ms=T0 - 5)}, [], T0 - 3 * RETENTION_MS, T0) is None
    assert unread_beyond_retention({"a": state(since_ms=T0 - RETENTION_MS - 1)}, [], None, T0) is not None
    assert unread_beyond_retention({"a": state(since_ms=None)}, [], None, T0) is None  # of an older release


# ---- order


@pytest.mark.parametrize(
    ("end", "first"),
    [
        (10**21 - 1, 10**21),  # 21 and 22 digits: as text the order is the other way round
        (9 * 10**20, 10**21 + 5),
        (10**22 - 1, 10**39),
        (10**39 - 1, 10**39),  # 39 and 40 digits
    ],
)
def test_sequence_numbers_are_integers(end: int, first: int) -> None:
    shards = {"a": state(mark=N(end), finished_ms=T0), "b": state("a")}
    assert order_violation(shards, "b", N(first)) is None
    shards = {"a": state(mark=N(first), finished_ms=T0), "b": state("a")}
    assert order_violation(shards, "b", N(end)) is not None


def test_the_parents_end_is_its_mark_or_its_ending_number_whichever_is_greater() -> None:
    for parent in (state(mark=N(7), last=N(5)), state(mark=N(5), last=N(7)), state(last=N(7))):
        shards = {"a": parent, "b": state("a")}
        assert order_violation(shards, "b", N(8)) is None
        violation = order_violation(shards, "b", N(7))
        assert violation is not None
        assert "shard b" in violation


def test_order_is_checked_at_a_shards_first_record_only() -> None:
    assert order_violation({"a": state(mark=N(9)), "b": state("a", mark=N(3))}, "b", N(5)) is None
    assert order_violation({"b": state("a")}, "b", N(5)) is None
    assert order_violation({"a": state(), "b": state("a")}, "b", N(5)) is None


def test_a_parent_without_a_record_vouches_for_nobody_before_it() -> None:
    shards = {"a": state(mark=N(9)), "b": state("a", last=N(3)), "c": state("b")}
    assert order_violation(shards, "c", N(10)) is None
    assert order_violation(shards, "c", N(5)) == "shard c begins at 5, its ancestor a ended at 9"


# ---- the property


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, str | None], list[tuple[int, frozenset[str]]]]:
    """Any graph of parents (absurd ones too), and what listings show of it, minutes apart."""
    ids = [f"shard-{number}" for number in range(draw(st.integers(1, 6)))]
    parents = {i: draw(st.none() | st.sampled_from([*ids, "never-listed"])) for i in ids}
    listings = draw(
        st.lists(st.tuples(st.integers(0, 26 * 60), st.frozensets(st.sampled_from(ids))), min_size=1, max_size=8)
    )
    return parents, listings


@given(histories(), st.data())
def test_no_shard_is_lost_silently(
    history: tuple[dict[str, str | None], list[tuple[int, frozenset[str]]]], data: st.DataObject
) -> None:
    """Whatever listings say: a shard that was listed once is known until it is finished, every finished one was read to its
    end or has a gap, and as long as one is not finished, one can be read."""
    parents, listings = history
    now_ms, known, gaps, absent = T0, dict[str, ShardState](), list[Gap](), dict[str, int]()
    last_ms: int | None = None
    read: set[str] = set()
    seen: set[str] = set()
    for minutes, listed in listings:
        now_ms += minutes * 60_000
        listing = [info(i, parents[i]) for i in sorted(listed)]
        missed = data.draw(st.frozensets(st.sampled_from(sorted(known)))) if known else ()
        lineage = merged(known, gaps, listing, now_ms, absent=absent, missed=missed)
        known, gaps = dict(lineage.shards), [*gaps, *lineage.gaps]
        absent = dict(absent_since(known, listing, now_ms, before=absent, listed_ms=last_ms))
        last_ms = now_ms
        seen |= listed
        named = {gap.shard for gap in gaps}
        seen |= known.keys()
        for shard_id in seen:
            shard = known.get(shard_id)
            assert shard is not None or shard_id in read | named
            assert shard is None or shard.finished_ms is None or shard_id in read | named
        ready = ready_shards(known)
        assert ready or all(shard.finished_ms is not None for shard in known.values())
        assert len({(g.kind, g.shard) for g in gaps}) == len(gaps)
        for shard_id in ready:
            parent = known[shard_id].parent
            assert parent not in known or known[parent].finished_ms is not None
            if data.draw(st.booleans()):
                known[shard_id] = replace(known[shard_id], mark=N(7), finished_ms=now_ms)
                read.add(shard_id)
