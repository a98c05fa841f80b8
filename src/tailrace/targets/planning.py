"""What a load comes to, whichever target takes it: fresh segments, the newest change of each key, ledger rows, names."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.codec import META_FIELDS, decoded_columns, fold_latest, project
from tailrace.decide.schema import ColumnPlan
from tailrace.errors import LoaderFenced, RecordInvalid
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column
from tailrace.targets.taking import taken
from tailrace.targets.target import LedgerRow, Limits, Load, LoadedSegment, Mode, TableSpec

BATCH_ROWS: Final = 1_024  # rows in a batch that is read: of the largest items far less than the 2 GiB that Arrow takes

META_TYPES: dict[str, pa.DataType] = {
    "_tr_op": pa.string(),
    "_tr_ts": pa.int64(),
    "_tr_pos": pa.string(),
    "_tr_loaded_at": pa.timestamp("us"),
    "_tr_deleted": pa.bool_(),
    "_tr_expired": pa.bool_(),
    "_tr_image_pos": pa.string(),
    "_tr_valid_from": pa.timestamp("us"),
    "_tr_valid_to": pa.timestamp("us"),
    "_tr_is_current": pa.bool_(),
}
_ALL = ("_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at")
META_NAMES: dict[Mode, tuple[str, ...]] = {
    "current": _ALL,
    "soft_delete": (*_ALL, "_tr_deleted", "_tr_expired", "_tr_image_pos"),
    "changelog": (*_ALL, "_tr_expired"),
    "history": (*_ALL, "_tr_valid_from", "_tr_valid_to", "_tr_is_current"),
}
"""The columns that we add, in this order behind the attributes; they may not bear an attribute's name."""

# Which rows live, where a mode keeps others beside them. A changelog has its own way.
LIVE: dict[Mode, str] = {"soft_delete": "NOT _tr_deleted", "history": "_tr_is_current"}


def identity(table: TableSpec) -> tuple[str, str, str, str]:
    """What must not change under a table that holds rows: source, mode, key schema, incarnation."""
    mode = table.mode if table.layout.shape == "columns" else f"{table.mode}, {table.layout.shape}"
    return table.source, mode, json.dumps(table.keys.to_json()), table.incarnation


def why_foreign(table: TableSpec, held: tuple[str, str, str, str]) -> str | None:
    """What is wrong with loading into a table that was made for this identity; None: nothing."""
    *before, incarnation = held
    held = (*before, table.incarnation if incarnation in table.predecessors else incarnation)  # type: ignore[assignment]
    for what, old, new in zip(("source", "mode", "key schema", "incarnation"), held, identity(table), strict=True):
        if old != new:
            return f"holds rows of another {what}: {old} instead of {new}"
    return None


def check_fence(load: Load, recorded: int) -> None:
    """`recorded`: the greatest fence that has loaded into the table. Raises LoaderFenced where a greater one has."""
    if load.fence < recorded:
        raise LoaderFenced(
            "Another loader has taken over and loaded; nothing of this load was applied",
            hint="The loader looks again. What is left it loads, if nobody else does.",
            table=load.table.source,
            fence=load.fence,
            recorded=recorded,
        )


def moved_on(through: int, through_ms: int | None, beyond: Mapping[int, int | None]) -> tuple[int, int | None]:
    """`applied_through` over every segment that is now without a hole before it, and the moment that belongs to it.

    `beyond`: applied segments behind it, each with its own moment.
    """
    while through + 1 in beyond:
        through += 1
        moment = beyond[through]
        through_ms = through_ms if moment is None else moment
    return through, through_ms


def fresh(load: Load, held: Collection[int]) -> tuple[list[LoadedSegment], pa.Table]:
    """The segments that are not applied yet, each once, and their changes: rows lie segment by segment."""
    if sum(s.rows for s in load.segments) != load.changes.num_rows:
        raise AssertionError("a load's rows are not those of its segments")
    segments, pieces, taken, start = [], [load.changes.slice(0, 0)], set(held), 0
    for s in load.segments:
        if s.segment.number not in taken:
            taken.add(s.segment.number)
            segments.append(s)
            pieces.append(load.changes.slice(start, s.rows))
        start += s.rows
    return segments, pa.concat_tables(pieces)


def unfit(changes: pa.Table, limits: Limits) -> dict[int, str]:
    """The rows of decoded changes that a target cannot hold, each with the reason."""
    found: dict[int, str] = {}
    if limits == Limits():
        return found
    for index, (attribute, tag) in enumerate(decoded_columns(changes.schema), start=len(META_FIELDS)):
        if tag in ("M", "L") and limits.in_json:
            for row, what in _unfit_json(changes.column(index), limits):
                found.setdefault(row, f"{what} in {attribute!r:.100}, which the target cannot hold")
        if tag not in ("S", "SS"):
            continue
        texts, rows = changes.column(index), None
        if tag == "SS":
            texts, rows = texts.combine_chunks(), pc.list_parent_indices(texts).to_pylist()
            texts = pc.list_flatten(texts)
        checks = []
        if not limits.nul:
            checks.append((pc.match_substring(texts, "\0"), "a NUL"))
        if limits.string_bytes is not None:
            is_long = pc.greater(pc.binary_length(texts), limits.string_bytes)
            checks.append((is_long, f"more than {limits.string_bytes} bytes"))
        for mask, what in checks:
            for place in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
                row = place if rows is None else rows[place]
                found.setdefault(row, f"the text of {attribute!r:.100} has {what}, which the target cannot hold")
    return found


def _unfit_json(documents: pa.ChunkedArray, limits: Limits) -> Iterator[tuple[int, str]]:
    """Only what may be wrong is looked into: a NUL is spelled out in JSON, and no text is longer than its document."""
    suspects = pc.match_substring(documents, "\\u0000")
    if limits.string_bytes is not None:
        suspects = pc.or_(suspects, pc.greater(pc.binary_length(documents), limits.string_bytes))
    for row in pc.indices_nonzero(pc.fill_null(suspects, False)).to_pylist():
        for text in _texts(json.loads(documents[row].as_py())):
            if not limits.nul and "\0" in text:
                yield row, "a text with a NUL"
            if limits.string_bytes is not None and len(text.encode()) > limits.string_bytes:
                yield row, f"a text of more than {limits.string_bytes} bytes"


def _texts(value: Any) -> Iterator[str]:
    """All texts and names of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(member)


def ledger_rows(load: Load, segments: Sequence[LoadedSegment], changes: pa.Table, now_ms: int) -> list[LedgerRow]:
    """What the ledger says of these segments."""
    p50, p99 = _lag_ms(changes.column(1), now_ms)
    return [
        LedgerRow(
            number=s.segment.number,
            segment=s.segment.name,
            epoch=load.epoch,
            sha256=s.segment.sha256,
            rows=s.rows,
            quarantined=s.quarantined,
            bytes=s.segment.bytes,
            applied_ms=now_ms,
            through_ms=s.segment.through_ms,
            lag_ms_p50=p50,
            lag_ms_p99=p99,
            fence=load.fence,
        )
        for s in segments
    ]


def _lag_ms(written_us: pa.ChunkedArray, now_ms: int) -> tuple[int | None, int | None]:
    """How long the changes took from the source's clock to ours: median and 99th percentile."""
    oldest, newest = pc.quantile(written_us, [0.01, 0.5], interpolation="nearest").to_pylist()
    if oldest is None:
        return None, None
    return now_ms - newest // 1000, now_ms - oldest // 1000


def known_ms(load: Load) -> int:
    """When the newest segment of a load was published: by then its base rows were as they say."""
    return max(s.segment.published_ms for s in load.segments)


def spelled(
    plan: ColumnPlan, spell: Callable[[str], str], fold: Callable[[str], str], taken: Collection[str]
) -> ColumnPlan:
    """The plan with new names as a target can write them. `fold`: equal results are one name there; `taken`: more of them."""
    changed = [c for c in plan.added if spell(c.name) != c.name]
    used = {fold(name) for name in (*(c.name for c in plan.columns if c not in changed), *taken)}
    names: dict[tuple[str, str], Column] = {}
    for column in changed:
        name, number = spell(column.name), 1
        while fold(name) in used:
            number += 1
            name = _numbered(spell, column.name, number)
        used.add(fold(name))
        names[column.attribute, column.tag] = replace(column, name=name)
    columns, added = (tuple(names.get((c.attribute, c.tag), c) for c in old) for old in (plan.columns, plan.added))
    return replace(plan, columns=columns, added=added)


def _numbered(spell: Callable[[str], str], name: str, number: int) -> str:
    """``name_2``, cut before the number where it is too long for one."""
    base, end = spell(name), f"_{number}"
    while spell(base + end) != base + end:
        base = base[:-1]
    return base + end


def key_columns(columns: Sequence[Column], keys: KeySchema) -> list[Column]:
    """The columns of the key's attributes, HASH first."""
    return [next(c for c in columns if (c.attribute, c.tag) == (a.name, a.tag)) for a in keys.attributes]


def incoming(changes: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Decoded changes as loads reckon with them: c0, c1, … as `columns`, then ``op, ts, pos, expired``."""
    typed, meta = project(changes, columns), changes.columns[: len(META_FIELDS)]
    names = [f"c{n}" for n in range(typed.num_columns)] + ["op", "ts", "pos", "expired"]
    return pa.table([*typed.columns, *meta[:3], pc.fill_null(meta[3], False)], names=names)


def staged(
    changes: pa.Table, columns: Sequence[Column], keys: KeySchema, mode: Mode, known: int, *, is_replay: bool
) -> pa.Table:
    """The rows of a load that a target needs to see: c0, c1, … as `columns`, then ``op, ts, pos, expired`` and what a mode adds.

    See `needed`.
    """
    return needed(incoming(changes, columns), columns, keys, mode, known, is_replay=is_replay)


def needed(
    incoming: pa.Table, columns: Sequence[Column], keys: KeySchema, mode: Mode, known: int, *, is_replay: bool
) -> pa.Table:
    """Of the changes of some keys, all that a load has of them, the rows that a target needs to see.

    ``current``: the newest change of each key. ``soft_delete``: that and the newest image, told apart by ``is_top`` and
    ``is_image``.
    ``changelog``: all; of a replay, where a change may have come in its segment, too, each place once. ``history``: each
    place once, with its ``moment`` (`known`, in milliseconds, for base rows).

    Raises OrderConflict when two changes share key and position but not content, RecordInvalid for one without either.
    """
    key = [columns.index(column) for column in key_columns(columns, keys)]
    place = incoming.column_names.index("pos")
    if any(incoming.column(n).null_count for n in [*key, place]):
        raise RecordInvalid("A change has no key or no position", hint="Decode it with the key schema of its table.")
    if mode == "changelog":
        return taken(incoming, fold_latest(incoming, [*key, place], place)) if is_replay else incoming
    if mode == "history":
        moment = pc.coalesce(incoming["ts"], pa.scalar(known * 1000)).cast(pa.timestamp("us"))
        return taken(incoming.append_column("moment", moment), fold_latest(incoming, [*key, place], place))
    top = fold_latest(incoming, key, place)
    if mode == "current":
        return incoming if len(top) == incoming.num_rows else taken(incoming, top)
    lines = pa.array(range(incoming.num_rows), pa.uint64()).filter(pc.not_equal(incoming["op"], "d"))
    image = lines.take(fold_latest(taken(incoming, lines), key, place))
    chosen = pa.array(sorted({*top.to_pylist(), *image.to_pylist()}), pa.uint64())
    rows = taken(incoming, chosen).append_column("is_top", pc.is_in(chosen, top))
    return rows.append_column("is_image", pc.is_in(chosen, image))
