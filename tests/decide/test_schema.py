"""Which columns a target gets: names, siblings, widening, collisions. The order of files never matters for types."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.codec import META_FIELDS
from tailrace.decide.schema import folded, plan_columns
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import (
    TAGS,
    AttributeSeen,
    Column,
    ColumnType,
    NumberRange,
    Seen,
    Tag,
    column_type,
    join_seen,
    range_of,
)
from tailrace.testing import strategies


def seen(**counts: int) -> dict[tuple[str, Tag], AttributeSeen]:
    """``price__S=3``: the attribute price held S three times. Numbers are whole."""
    report: dict[tuple[str, Tag], AttributeSeen] = {}
    for name, count in counts.items():
        attribute, _, tag = name.rpartition("__")
        report[attribute, tag] = AttributeSeen(count, range_of(["1"]) if tag in ("N", "NS") else None)  # type: ignore[index]
    return report


def names(report: Seen, existing: Any = (), keys: KeySchema | None = None, **options: Any) -> dict[str, str]:
    """``attribute:tag`` to the column's name, in column order."""
    plan = plan_columns(existing, report, keys, **options)
    assert plan.columns == (*plan.columns[: len(existing)], *plan.added)
    return {f"{c.attribute}:{c.tag}": c.name for c in plan.columns}


def numbers(*texts: str, count: int = 1) -> Seen:
    return {("n", "N"): AttributeSeen(count, range_of(texts))}


# ---- names ------------------------------------------------------------------------------------------------


def test_a_column_is_called_like_its_attribute() -> None:
    assert names(seen(b__S=1, a__N=1, c__M=1)) == {"a:N": "a", "b:S": "b", "c:M": "c"}


def test_the_most_frequent_type_takes_the_plain_name() -> None:
    assert names(seen(price__S=1, price__N=9)) == {"price:N": "price", "price:S": "price__s"}
    assert names(seen(price__S=9, price__N=1)) == {"price:S": "price", "price:N": "price__n"}


def test_ties_go_by_the_order_of_tags() -> None:
    assert names({("a", tag): AttributeSeen(5) for tag in reversed(TAGS)}) == {
        "a:S": "a",
        **{f"a:{tag}": f"a__{tag.lower()}" for tag in TAGS if tag not in ("S", "NULL")},
    }


def test_null_has_no_column_however_frequent() -> None:
    assert names(seen(a__NULL=99, a__S=1, b__NULL=1)) == {"a:S": "a"}


def test_an_existing_column_keeps_the_plain_name_for_ever() -> None:
    first = plan_columns((), seen(price__N=1), None).columns
    assert names(seen(price__S=1_000_000), first) == {"price:N": "price", "price:S": "price__s"}


def test_a_key_attribute_has_its_declared_type_and_comes_first() -> None:
    keys = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
    assert names(seen(a__S=9, pk__N=9, pk__S=1, sk__S=9), keys=keys) == {
        "pk:S": "pk",
        "sk:N": "sk",
        "a:S": "a",
        "pk:N": "pk__n",
        "sk:S": "sk__s",
    }


def test_a_key_attribute_has_a_column_before_anything_was_seen() -> None:
    keys = KeySchema(KeyAttribute("pk", "N"), KeyAttribute("sk", "B"))
    columns = plan_columns((), {}, keys).columns
    assert columns == (
        Column("pk", "N", "pk", ColumnType("int64"), NumberRange()),
        Column("sk", "B", "sk", ColumnType("binary")),
    )


def test_names_that_differ_by_case_are_told_apart_where_the_target_does_not() -> None:
    report = seen(id__S=1, Id__S=1, ID__S=1)
    assert names(report) == {"ID:S": "ID", "Id:S": "Id_2", "id:S": "id_3"}
    assert names(report, case_insensitive=False) == {"ID:S": "ID", "Id:S": "Id", "id:S": "id"}


def test_a_new_case_variant_leaves_the_old_column_alone() -> None:
    first = plan_columns((), seen(id__S=1), None).columns
    assert names(seen(ID__S=1), first) == {"id:S": "id", "ID:S": "ID_2"}


def test_reserved_names_are_never_given() -> None:
    report = seen(_tr_op__S=1, _TR_POS__S=1, a__S=1)
    assert names(report, reserved=META_FIELDS) == {"_TR_POS:S": "_TR_POS_2", "_tr_op:S": "_tr_op_2", "a:S": "a"}
    assert names(report, reserved=META_FIELDS, case_insensitive=False)["_TR_POS:S"] == "_TR_POS"


def test_plain_names_go_before_siblings() -> None:
    report = seen(a__S=9, a__N=1) | {("a__n", "S"): AttributeSeen(1)}
    assert names(report) == {"a:S": "a", "a__n:S": "a__n", "a:N": "a__n_2"}


def test_a_name_that_looks_numbered_is_one_like_any_other() -> None:
    report = {("id", "S"): AttributeSeen(1), ("ID", "S"): AttributeSeen(1), ("id_2", "S"): AttributeSeen(1)}
    assert names(report) == {"ID:S": "ID", "id:S": "id_2", "id_2:S": "id_2_2"}


def test_names_are_not_changed_otherwise() -> None:
    hostile = {(name, "S"): AttributeSeen(1) for name in strategies.HOSTILE_NAMES}
    assert names(hostile, case_insensitive=False) == {f"{name}:S": name for name in sorted(strategies.HOSTILE_NAMES)}


def test_letters_are_one_if_either_case_makes_them_one() -> None:
    """As Java compares letters, and so Spark the names of columns: the capital of each, and then its small letter."""
    alike = ["kK\u212a", "sSſ", "iIıİ", "µμΜ", "σςΣ", "ǆǅǄ", "ßẞ", "ᾳᾼ"]
    assert {len({folded(f"a{letter}") for letter in letters}) for letters in alike} == {1}
    assert len({folded(letter) for letter in ("ß", "ss", "ﬁ", "fi", "é", "e", "\u0307", "i", "j\u0307")}) == 9
    for letter in map(chr, range(0xD800)):
        other = letter.upper() if len(letter.upper()) == 1 else letter
        assert folded(letter) == folded(letter.lower()) == folded(other), hex(ord(letter))


def test_letters_without_a_simple_lower_case_stay_apart() -> None:
    report: Seen = {(name, "S"): AttributeSeen(1) for name in ("İ", "i\u0307", "ß", "ẞ", "\u212a", "k")}
    assert len({name.lower() for name in names(report).values()}) == 6


# ---- types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (["1"], ["2"], ColumnType("int64")),
        (["1"], ["0.5"], ColumnType("decimal", 1)),
        (["0.5"], ["1"], ColumnType("decimal", 1)),
        (["0.5"], ["0.25"], ColumnType("decimal", 2)),
        (["1"], ["1E-130"], ColumnType("number_text")),
        (["1" * 30], ["0." + "1" * 9], ColumnType("number_text")),
        (["1E-130"], ["1"], ColumnType("number_text")),
    ],
    ids=str,
)
def test_a_number_column_widens_to_what_was_seen_and_never_narrows(before: Any, after: Any, kind: ColumnType) -> None:
    first = plan_columns((), numbers(*before), None)
    second = plan_columns(first.columns, numbers(*after), None)
    [column] = second.columns
    assert (column.type, column.name, second.added) == (kind, "n", ())
    assert second.widened == ((column,) if column.type != first.columns[0].type else ())
    assert column.numbers == range_of([*before, *after])


def test_a_range_grows_without_a_change_of_type() -> None:
    first = plan_columns((), numbers("0.5"), None).columns
    plan = plan_columns(first, numbers("123.5"), None)
    assert (plan.widened, plan.columns[0].numbers) == ((), NumberRange(False, 3, 1))


def test_only_what_changed_is_reported() -> None:
    first = plan_columns((), {**numbers("1"), ("m", "NS"): AttributeSeen(1, range_of(["1"]))}, None)
    plan = plan_columns(
        first.columns, {("m", "NS"): AttributeSeen(1, range_of(["0.5"])), ("z", "S"): AttributeSeen(1)}, None
    )
    assert [c.attribute for c in plan.widened] == ["m"]
    assert [c.attribute for c in plan.added] == ["z"]
    assert [c.attribute for c in plan.columns] == ["m", "n", "z"]


def test_nothing_new_changes_nothing() -> None:
    first = plan_columns((), {**seen(a__S=1, a__N=1), **numbers("0.5")}, None).columns
    for report in ({}, seen(a__S=5), numbers("0.5")):
        plan = plan_columns(first, report, None)
        assert (plan.columns, plan.added, plan.widened) == (first, (), ())


ranges = st.lists(strategies.numbers(), max_size=3)
tagged = st.sampled_from([tag for tag in TAGS if tag != "NULL"])


@st.composite
def reports(draw: st.DrawFn) -> Seen:
    columns = draw(
        st.lists(st.tuples(st.sampled_from(["a", "A", "b", "_tr_op", "a__n"]), tagged), max_size=5, unique=True)
    )
    return {
        (name, tag): AttributeSeen(
            draw(st.integers(1, 5)),
            range_of(map(canonical_number, draw(ranges))) if tag in ("N", "NS") else None,
        )
        for name, tag in columns
    }


def loaded(files: list[Seen]) -> tuple[Column, ...]:
    """Columns after loading one file after the other."""
    return functools.reduce(
        lambda columns, report: plan_columns(columns, report, None, reserved=META_FIELDS).columns, files, ()
    )


@given(files=st.lists(reports(), max_size=4), random=st.randoms(use_true_random=False))
def test_the_order_of_files_never_matters_for_types(files: list[Seen], random: Any) -> None:
    shuffled = files[:]
    random.shuffle(shuffled)

    def types(columns: tuple[Column, ...]) -> dict[Any, Any]:
        return {(c.attribute, c.tag): (c.type, c.numbers) for c in columns}

    at_once = plan_columns((), functools.reduce(join_seen, files, {}), None).columns
    assert types(loaded(files)) == types(loaded(shuffled)) == types(at_once)


@given(files=st.lists(reports(), max_size=4), keys=st.sampled_from([None, KeySchema(KeyAttribute("a", "N"))]))
def test_names_are_unique_and_stay(files: list[Seen], keys: KeySchema | None) -> None:
    columns: tuple[Column, ...] = ()
    for report in files:
        plan = plan_columns(columns, report, keys, reserved=META_FIELDS)
        assert [c.name for c in plan.columns[: len(columns)]] == [c.name for c in columns]
        assert {(c.attribute, c.tag) for c in plan.columns} >= {c for c in report if c[1] != "NULL"}
        columns = plan.columns
    taken = [name.lower() for name in (*META_FIELDS, *(c.name for c in columns))]
    assert len(taken) == len(set(taken))
    assert all(c.type == column_type(c.tag, c.numbers) for c in columns)


@given(report=reports(), random=st.randoms(use_true_random=False))
def test_the_order_of_a_report_never_matters(report: Seen, random: Any) -> None:
    shuffled = list(report.items())
    random.shuffle(shuffled)
    assert plan_columns((), dict(shuffled), None) == plan_columns((), report, None)
