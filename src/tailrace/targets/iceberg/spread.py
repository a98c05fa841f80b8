"""A load that many workers carry out: each has one range of keys, with the files and the rows in it; one commit in the end.

What a worker does is what `target` does with a whole load. A file that lies in several ranges is written anew by each of their
workers, as far as its rows are theirs: so all of them must do their part, and a load that lacks one is not committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema

from tailrace.aws import Login
from tailrace.decide.lake import Key, rows_per_file, to_merge
from tailrace.decide.spread import range_of, share_of, splits
from tailrace.errors import OutcomeUnknown
from tailrace.model.keys import KeySchema
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Column
from tailrace.model.segments import Segment
from tailrace.targets.duckdb.file import perform_plainly
from tailrace.targets.iceberg.catalog import translated
from tailrace.targets.iceberg.commit import MAIN, Writer, head_of
from tailrace.targets.iceberg.fields import Fields, Replaced
from tailrace.targets.iceberg.files import Files, remove
from tailrace.targets.iceberg.found import DELETES, Lake, create, find, planned, understood
from tailrace.targets.iceberg.layout import Layout, Place, SortedKeys, key_tuples
from tailrace.targets.iceberg.loading import Work, applied, as_range, settled, with_op
from tailrace.targets.lake.columns import table_schema
from tailrace.targets.lake.merge import ENDS, POS, STANDING, Arithmetic, Patch, whole
from tailrace.targets.planning import check_fence, key_columns, known_ms, needed
from tailrace.targets.target import Applied, Load, LoadedSegment, Mode

_KEY: Final = "client.access-key-id"
_SECRET: Final = "client.secret-access-key"
_TOKEN: Final = "client.session-token"


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker of a load is told. `splits`: see `decide.spread`; there is one more range than that."""

    mode: Mode
    keys: KeySchema
    columns: tuple[Column, ...]
    is_replay: bool
    loaded_ms: int
    known_ms: int
    splits: tuple[Key, ...]
    schema: Schema
    properties: Mapping[str, str]
    replaced: Mapping[str, Replaced]
    io: FileIO
    folder: str
    prefix: str
    place: Place
    per_file: int
    rows: tuple[DataFile, ...]
    deletes: tuple[DataFile, ...]

    @property
    def ranges(self) -> int:
        return len(self.splits) + 1

    @property
    def key_places(self) -> list[int]:
        """The numbers of the key's columns, HASH first."""
        return [self.columns.index(column) for column in key_columns(self.columns, self.keys)]

    @property
    def replaced_keys(self) -> dict[str, Replaced]:
        """What is replaced in deletes, which have nothing but keys."""
        keys = {self.columns[place].name for place in self.key_places}
        return {name: old for name, old in self.replaced.items() if name in keys}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker did: of rows and of deletes the paths that go and the files that come. `live`: more live rows by so many."""

    removed: tuple[str, ...] = ()
    added: tuple[DataFile, ...] = ()
    removed_deletes: tuple[str, ...] = ()
    added_deletes: tuple[DataFile, ...] = ()
    live: int = 0


Run = Callable[[Share, Sequence[LoadedSegment]], Sequence[Outcome]]
"""Has `work` done for each range, with the rows of these segments."""


def can_be_spread(mode: Mode, segments: Sequence[Segment]) -> bool:
    """A sweep looks at everything that is old; a changelog that may repeat itself at everything there is. Both have few rows."""
    return not any(s.kind == "sweep" or (mode == "changelog" and s.may_repeat) for s in segments)


def apply(lake: Lake, load: Load, samples: Sequence[Key], ranges: int, run: Run) -> Applied:
    """`IcebergTarget.apply`, with the rows where `run` reaches them. Raises what it raises, and what `run` raises.

    Args:
        load: its `changes` are some of them, enough to tell how late they are.
        samples: keys out of all changes, HASH first, as they were decoded.
        ranges: how many workers are wanted.
    """
    return settled(lake, load, lambda: _attempt(lake, load, samples, ranges, run))


def _attempt(lake: Lake, load: Load, samples: Sequence[Key], ranges: int, run: Run) -> Applied:
    found = find(lake, load.table)
    if found is not None:
        check_fence(load, found.state.fence)
    fresh = [s for s in load.segments if found is None or not found.state.holds(s.segment.number)]
    skipped = len(load.segments) - len(fresh)
    if found is not None and not fresh:
        return Applied(0, skipped, 0, found.state.columns)
    plan = planned(load, found)
    if found is None:
        found = create(lake, load.table, plan)
    rows, io = sum(s.rows for s in fresh), found.table.io
    with translated("load a table"), understood(load.table.name):
        work = Work(lake, load, found, plan, fresh, rows, "spark")
        heads = [head_of(found.table.metadata, branch, io, lake.perform) for branch in (MAIN, DELETES)]
        typed = [_typed(key_columns(plan.columns, load.table.keys), key) for key in samples]
        share = _share(work, heads[0].files, heads[1].files, typed, rows, ranges)
    outcomes = run(share, fresh)
    assert len(outcomes) == share.ranges, f"{len(outcomes)} of {share.ranges} workers did their part"
    added = [file for o in outcomes for file in o.added]
    ends = [file for o in outcomes for file in o.added_deletes]
    gone, gone_ends = _all(o.removed for o in outcomes), _all(o.removed_deletes for o in outcomes)
    writer = Writer(found.table, work.schema, work.commit_id, lake.perform)
    try:
        with translated("load a table"):
            work.finish(heads, (gone, added), (gone_ends, ends), sum(o.live for o in outcomes), writer)
    except OutcomeUnknown:
        raise  # what was written may be referred to
    except BaseException:
        remove(io, [*writer.made, *(file.file_path for file in (*added, *ends))], lake.perform)
        raise
    return applied(plan, len(fresh), skipped, rows)


def _typed(columns: Sequence[Column], key: Key) -> Key:
    """A decoded key in the types of its columns."""
    return tuple(
        canonical_number(str(value)) if column.type.kind == "number_text" else value
        for column, value in zip(columns, key, strict=True)
    )


def _all(paths: Any) -> list[str]:
    return sorted({path for some in paths for path in some})


def _share(
    work: Work, rows: Sequence[DataFile], deletes: Sequence[DataFile], samples: Sequence[Key], count: int, ranges: int
) -> Share:
    table, load = work.table, work.load
    standing = Layout(rows, work.fields, work.access, work.keys, 1).ranges
    size = sum(file.bytes for file in standing)
    held = sum(file.rows for file in standing)
    total = held + count
    is_appended = work.mode == "changelog"
    return Share(
        mode=work.mode,
        keys=load.table.keys,
        columns=work.plan.columns,
        is_replay=any(s.segment.may_repeat for s in work.segments),
        loaded_ms=load.loaded_ms,
        known_ms=known_ms(load),
        splits=splits(samples, count, [] if is_appended else standing, ranges),
        schema=work.schema,
        properties=dict(table.metadata.properties),
        replaced=work.replaced,
        io=table.io,
        folder=table.location_provider().data_path,
        prefix=work.commit_id,
        place=work.partition(),
        per_file=rows_per_file(total, size * total // held if held else 0),
        rows=() if is_appended and not work.replaced else tuple(rows),
        deletes=tuple(deletes),
    )


def has_credentials(share: Share) -> bool:
    """Whether files are reached with AWS's credentials that the driver found."""
    return _KEY in share.io.properties


def renewed(share: Share, login: Login) -> Share:
    """With other credentials."""
    found = {_KEY: login.access_key, _SECRET: login.secret_key, _TOKEN: login.token}
    properties = {**share.io.properties, **found}
    return replace(
        share,
        io=load_file_io({name: value for name, value in properties.items() if value is not None}, share.folder),
    )


def work(share: Share, number: int, rows: pa.Table) -> Outcome:
    """One range's part of a load. `rows`: all changes of its keys, as `planning.incoming` gives them."""
    fields = Fields(share.schema, share.properties)
    keys = [share.columns[place].name for place in share.key_places]
    attempt = f"{share.prefix}-{number:05}-{uuid.uuid4().hex[:8]}"  # a worker that was lost may still be writing
    access = _Part(share.io, fields, share.folder, attempt, perform_plainly)
    main, shared = _layout(share, share.rows, number, fields, access, keys)
    deletes, shared_deletes = _layout(share, share.deletes, number, fields, access, keys)
    rows = needed(rows, share.columns, share.keys, share.mode, share.known_ms, is_replay=share.is_replay)
    if not (rows.num_rows or shared or shared_deletes or share.replaced):
        return Outcome()
    reckon = Arithmetic(share.mode, table_schema(share.columns, share.mode), keys, share.loaded_ms, share.known_ms)
    wanted = SortedKeys(rows.select(share.key_places))
    standing, ends = main.nothing([*keys, *STANDING[share.mode]]), deletes.nothing([*keys, *ENDS[share.mode]])
    if share.mode != "changelog":
        standing = main.standing(wanted, [*keys, *STANDING[share.mode]], share.replaced)
    if ENDS[share.mode]:
        ends = deletes.standing(wanted, [*keys, *ENDS[share.mode]], share.replaced_keys)
    patch = reckon.patch(rows, standing, ends)
    patch = replace(patch, added=whole(patch.added, fields.arrow))
    removed, added = main.rewrite(patch, _merged(share, main, shared, patch), share.replaced, share.place)
    ended = whole(with_op(patch.ended, share.loaded_ms), fields.arrow)
    gone_ends: list[str] = []
    new_ends: list[DataFile] = []
    if ended.num_rows or shared_deletes or share.replaced_keys:
        nothing = pa.array([], pa.int64())
        more = Patch(nothing, pa.table({"place": nothing}), ended, pa.nulls(ended.num_rows, pa.int64()), ended, 0)
        place = Place(spec_id=share.place.spec_id)
        gone_ends, new_ends = deletes.rewrite(
            more, _merged(share, deletes, shared_deletes, more), share.replaced_keys, place
        )
    return Outcome(tuple(removed), tuple(added), tuple(gone_ends), tuple(new_ends), patch.live)


def _merged(share: Share, layout: Layout, shared: Sequence[int], patch: Patch) -> list[int]:
    """Files that become one run: those that other ranges have a part of always, or their rows would stand twice."""
    merged = () if share.mode == "changelog" else to_merge([*layout.ranges, *as_range(patch)])
    return sorted({*shared, *(n for n in merged if n < len(layout.files))})


def _layout(
    share: Share, files: Sequence[DataFile], number: int, fields: Fields, access: _Part, keys: Sequence[str]
) -> tuple[Layout, list[int]]:
    """A range's part of a branch, and which of its files (by number) others have a part of, too."""
    if share.mode == "changelog":  # its files are no ranges, and each is written anew by itself, or not at all
        mine = [at for at in range(len(files)) if at % share.ranges == number]
        return _Range([files[at] for at in mine], fields, access, [POS], 1, share.per_file), []
    ranges = Layout(files, fields, access, keys, 1).ranges
    whole_ones, parts = share_of(ranges, share.splits, number)
    for at in parts:
        access.limit(files[at].file_path, keys, share.splits, number)
    layout = _Range([files[at] for at in [*whole_ones, *parts]], fields, access, keys, 1, share.per_file)
    return layout, list(range(len(whole_ones), len(whole_ones) + len(parts)))


class _Range(Layout):
    """New files are as large as the whole table wants them."""

    def __init__(
        self,
        files: Sequence[DataFile],
        fields: Fields,
        access: Files,
        keys: Sequence[str],
        threads: int,
        per_file: int,
    ) -> None:
        super().__init__(files, fields, access, keys, threads)
        self._rows_per_file = per_file

    def _per_file(self, patch: Patch) -> int:
        return self._rows_per_file

    def _per_file_of_run(self, rows: int, per_file: int) -> int:
        return per_file  # a run is what all ranges write together


class _Part(Files):
    """Reads of some files only the rows in one range, always the same ones in the same order."""

    def __init__(self, *of_files: Any) -> None:
        super().__init__(*of_files)
        self._limits: dict[str, tuple[Sequence[str], Sequence[Key], int]] = {}

    def limit(self, path: str, keys: Sequence[str], splits: Sequence[Key], number: int) -> None:
        """From now on this file has only the rows of range `number`."""
        self._limits[path] = keys, splits, number

    def read(self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced]) -> pa.Table:
        if path not in self._limits:
            return super().read(path, names, replaced)
        keys, splits, number = self._limits[path]
        rows = super().read(path, [*names, *(key for key in keys if key not in names)], replaced)
        mine = [range_of(splits, key) == number for key in key_tuples(rows.select(list(keys)))]
        return rows.filter(pa.array(mine, pa.bool_())).select(list(names))

    def search(
        self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced], values: pa.Array
    ) -> tuple[pa.Table, pa.ChunkedArray] | None:
        if path not in self._limits:
            return super().search(path, names, replaced, values)
        rows = self.read(path, names, replaced)
        return rows, pc.is_in(rows.column(0), value_set=values)
