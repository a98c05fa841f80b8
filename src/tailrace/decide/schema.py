"""Which columns a target table gets: the rules for type conflicts, widening and names that collide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.model.keys import KeySchema
from tailrace.model.schema import TAGS, AttributeSeen, Column, NumberRange, Seen, Tag, column_type

DOT_ABOVE: Final = "\u0307"  # what is left of İ in small letters, beside the i
SUFFIX: Final = {tag: f"__{tag.lower()}" for tag in TAGS}


def folded(name: str) -> str:
    """What names have in common that are one for an engine which ignores case.

    Most go by small letters. Spark goes by capitals first, letter by letter, so there ſ is an s, and ı and İ are an i.
    """
    letters = (_simply(_simply(letter, str.upper), str.lower) for letter in name.lower())
    return "".join(letters).replace(f"i{DOT_ABOVE}", "i")


def _simply(letter: str, change: Callable[[str], str]) -> str:
    """The letter in the other case, where that is one letter."""
    changed = change(letter)
    return changed if len(changed) == 1 else letter


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """All columns after a load: `added` are new, `widened` got a wider type. Existing names never change."""

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
    """Add a column for each (attribute, tag) without one, and widen number columns to what was seen.

    The first type of an attribute takes its name: in one load the most frequent one (ties go by `TAGS`), and
    a key attribute's declared type always. Others go to siblings ``name__s``. A name that is taken or
    `reserved` gets ``_2``, ``_3`` …
    """
    known = {(c.attribute, c.tag): c for c in existing}
    widened = {id_: wide for id_, column in known.items() if (wide := _widened(column, seen.get(id_))) != column}
    names = _Names([*reserved, *(c.name for c in existing)], case_insensitive)
    added = []
    for attribute, tag, wanted in _wanted(existing, seen, keys):
        numbers = seen[attribute, tag].numbers if (attribute, tag) in seen else None
        if tag in ("N", "NS") and numbers is None:
            numbers = NumberRange()
        added.append(Column(attribute, tag, names.take(wanted), column_type(tag, numbers), numbers))
    columns = *(widened.get(id_, column) for id_, column in known.items()), *added
    retyped = tuple(wide for id_, wide in widened.items() if wide.type != known[id_].type)
    return ColumnPlan(columns, tuple(added), retyped)


def _widened(column: Column, seen: AttributeSeen | None) -> Column:
    if seen is None or seen.numbers is None or column.numbers is None:
        return column
    numbers = column.numbers.join(seen.numbers)
    return replace(column, numbers=numbers, type=column_type(column.tag, numbers))


def _wanted(existing: Sequence[Column], seen: Seen, keys: KeySchema | None) -> list[tuple[str, Tag, str]]:
    """New columns and the name each would like: the key first, then plain names, then siblings."""
    known = {(c.attribute, c.tag) for c in existing}
    key_columns: list[tuple[str, Tag]] = [] if keys is None else [(a.name, a.tag) for a in keys.attributes]
    others = [column for column in seen if column[1] != "NULL" and column not in key_columns]
    others.sort(key=lambda c: (c[0], -seen[c].count, TAGS.index(c[1])))
    named = {c.attribute for c in existing}
    plain, siblings = [], []
    for attribute, tag in key_columns + others:
        if (attribute, tag) in known:
            continue
        if attribute in named:
            siblings.append((attribute, tag, attribute + SUFFIX[tag]))
        else:
            named.add(attribute)
            plain.append((attribute, tag, attribute))
    return plain + siblings


class _Names:
    """Names that are taken; equal ones differ by more than case where the target ignores it."""

    def __init__(self, taken: Iterable[str], case_insensitive: bool) -> None:
        self._fold: Callable[[str], str] = folded if case_insensitive else str
        self._taken = {self._fold(name) for name in taken}

    def take(self, wanted: str) -> str:
        name, number = wanted, 1
        while self._fold(name) in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(self._fold(name))
        return name
