"""Which columns a target table gets: the rules of design for type conflicts, widening and names that collide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.model.keys import KeySchema
from tailrace.model.schema import TAGS, AttributeSeen, Column, NumberRange, Seen, Tag, column_type

SUFFIX: Final = {tag: f"__{tag.lower()}" for tag in TAGS}


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """All columns after a load: `added` are new, `widened` got a wider type. Names of existing columns never change."""

    columns: tuple[Column, ...]
    added: tuple[Column, ...] = ()
    widened: tuple[Column, ...] = ()


def plan_columns(
    existing: Sequence[Column],
    seen: Seen,
    keys: KeySchema | None,
    *,
    reserved: Collection[str] = (),
    case_insensitive: bool = True,
) -> ColumnPlan:
    """Add a column for each (attribute, tag) that has none and widen number columns to what was seen.

    The first type of an attribute takes its name: in one load the most frequent one (ties: the order of `TAGS`), and a
    key attribute's declared type always; others go to siblings ``name__s``. A name that is taken gets ``_2``, ``_3`` …
    """
    known = {(c.attribute, c.tag): c for c in existing}
    widened = {id_: wide for id_, column in known.items() if (wide := _widened(column, seen.get(id_))) != column}
    taken = {_folded(c.name, case_insensitive) for c in existing} | {_folded(n, case_insensitive) for n in reserved}
    plain = {c.attribute for c in existing}
    added: list[Column] = []
    for attribute, tag in _new_columns(seen, keys, known):
        wanted = attribute + SUFFIX[tag] if attribute in plain else attribute
        plain.add(attribute)
        name = _free_name(wanted, taken, case_insensitive)
        taken.add(_folded(name, case_insensitive))
        numbers = seen[attribute, tag].numbers if (attribute, tag) in seen else None
        if tag in ("N", "NS"):
            numbers = numbers or NumberRange()
        added.append(Column(attribute, tag, name, column_type(tag, numbers), numbers))
    columns = tuple(widened.get(id_, column) for id_, column in known.items()) + tuple(added)
    retyped = tuple(wide for id_, wide in widened.items() if wide.type != known[id_].type)
    return ColumnPlan(columns, tuple(added), retyped)


def _widened(column: Column, seen: AttributeSeen | None) -> Column:
    if seen is None or seen.numbers is None or column.numbers is None:
        return column
    numbers = column.numbers.join(seen.numbers)
    return replace(column, numbers=numbers, type=column_type(column.tag, numbers))


def _new_columns(
    seen: Seen, keys: KeySchema | None, known: Collection[tuple[str, Tag]]
) -> list[tuple[str, Tag]]:
    """Keys first, HASH before RANGE; then by name; within a name the most frequent type first."""
    key_columns: list[tuple[str, Tag]] = [] if keys is None else [(a.name, a.tag) for a in keys.attributes]
    rest = [column for column in seen if column[1] != "NULL" and column not in key_columns]
    rest.sort(key=lambda c: (c[0].encode("utf-8"), -seen[c].count, TAGS.index(c[1])))
    return [column for column in key_columns + rest if column not in known]


def _free_name(wanted: str, taken: Collection[str], case_insensitive: bool) -> str:
    name, number = wanted, 1
    while _folded(name, case_insensitive) in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _folded(name: str, case_insensitive: bool) -> str:
    return name.lower() if case_insensitive else name
