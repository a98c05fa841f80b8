"""The target itself: what a load comes to is reckoned first, and made visible by one commit with the ledger in it."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from tailrace.clock import Budget, Clock
from tailrace.codec import widen
from tailrace.decide.schema import ColumnPlan, folded, plan_columns
from tailrace.errors import (
    AlreadyExists,
    NotFound,
    OutcomeUnknown,
    ServiceUnavailable,
    StateContended,
    TailraceError,
)
from tailrace.model.positions import CLASS_BASE, order_prefix
from tailrace.targets.delta import rewriting
from tailrace.targets.lake import columns, duck
from tailrace.targets.lake.files import Files, check_folder, is_folder, reading
from tailrace.targets.lake.ledger import (
    RESTORE,
    DataFile,
    Entry,
    LakeLedger,
    checked,
    from_bytes,
    refused,
    row_of,
    spilled,
    to_bytes,
)
from tailrace.targets.lake.location import Location
from tailrace.targets.lake.merge import ENDS, POS, STANDING, Arithmetic, Patch, whole
from tailrace.targets.lake.turns import Turns
from tailrace.targets.planning import (
    check_fence,
    fresh,
    identity,
    key_columns,
    known_ms,
    ledger_rows,
    spelled,
    staged,
)
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, LoadedSegment, TableSpec

log = logging.getLogger(__name__)

APP: Final = "tailrace"  # whose transactions they are
ENDS_MAX: Final = 8  # files of deletes; more are put together
ENDS_GROUP_ROWS: Final = 50_000  # deletes that are read at once, or passed over, in a file that has more
CHECKPOINT_COMMITS: Final = 10  # commits between two checkpoints: who opens the table reads fewer than so many
OPTIMIZE_COMMITS: Final = 16  # our commits between two times of putting small files together: each file costs requests
VACUUM_COMMITS: Final = 100  # and between two times of removing what nobody needs
FILE_BYTES: Final = 32 << 20  # what small files are put together to: a single change writes as much anew
RESERVED: Final = (*columns.RESERVED, duck.FILE, "_change_type", "_commit_version", "_commit_timestamp")
# Features with which rows are still what is in the files.
READ: Final = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
REPLACED: Final = re.compile(r"RESTORE|CLONE|.*REPLACE TABLE.*")  # operations that bring another state of a table
RESTORED: Final = (
    "RESTORE it to the version before that one; or remove its folder, and the landing zone is loaded again."
)
_FINAL: Final = re.compile("append-only|[Tt]able features")  # in refusals of a commit that is no conflict
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")  # in deltalake's messages
_SPELLED: Final = str.maketrans(dict.fromkeys(" ,;{}()\n\t=", "_"))  # Spark's Delta takes no such name

Perform: TypeAlias = Callable[[str, Callable[[], Any]], Any]
"""How an effect is carried out: gets its name and the effect. Tests put faults here."""


def perform_plainly(name: str, effect: Callable[[], Any]) -> Any:
    """Just do it."""
    return effect()


@dataclass(frozen=True, slots=True)
class _Held:
    """What stands: the table as it was opened, None where there is none, and its ledger."""

    table: DeltaTable | None
    ledger: LakeLedger


class DeltaTarget:
    """Keeps `tailrace.targets.target.Target` in a Delta table for each table, in every mode.

    `files` is the folder of the target, for what stands beside the Delta log; `location` the same place for deltalake.
    """

    kind = "delta"
    limits = Limits()

    def __init__(
        self, name: str, files: Files, location: Location, clock: Clock, perform: Perform = perform_plainly
    ) -> None:
        self.name = name
        self._files = files
        self._location = location
        self._clock = clock
        self._perform = perform
        self._turns = Turns(clock)

    # ---- the port

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        held = self._held(table)
        return Ledger() if held.table is None else held.ledger.as_ledger()

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        return row_of(self._held(table).ledger, lambda page: self._files.read(f"{table.name}/{page}").data, number)

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        return self._turns.take(load, lambda: self._apply(load))

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        yield from self._live(table, None)

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        batches = list(self._live(table, keys))
        return pa.Table.from_batches(batches) if batches else pa.table({})

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement over the tables of this target, by DuckDB. Raises UsageInvalid when DuckDB refuses it."""
        return duck.query(sql, self._named)

    # ---- reading

    def _open(self, name: str) -> DeltaTable | None:
        url = f"{self._location.url}/{name}"
        try:
            opened = DeltaTable(url, storage_options=self._location.storage_options())
        except TableNotFoundError:
            return None
        except Exception as error:
            raise _translated(error, name) from error
        _check_readable(name, opened)
        return opened

    def _held(self, table: TableSpec) -> _Held:
        """The table and its ledger. Raises UserFault where going on would mix or lose rows."""
        check_folder(table)
        opened = self._open(table.name)
        if opened is None:
            self._check_unused(table)
            return _Held(None, LakeLedger(identity(table)))
        counter = opened.transaction_version(APP)
        if counter is None:
            hint = "Rename it, or set another `name` for this table."
            raise refused(table.name, "exists, and Tailrace did not make it", hint)
        ledger = checked(table, from_bytes(self._document(table.name, opened, counter), table.name))
        held = {field.name for field in opened.schema().fields}
        lost = [column.name for column in ledger.columns if column.name not in held]
        if lost:
            raise refused(table.name, f"has lost the column {lost[0]!r:.80}", RESTORE)
        return _Held(opened, ledger)

    def _check_unused(self, table: TableSpec) -> None:
        """No Delta table stands there, so nothing of one may: neither files of somebody else nor a ledger of ours."""
        for listed in self._files.list(f"{table.name}/"):
            if listed.name.startswith(f"{table.name}/_tailrace/ledger/"):
                raise refused(table.name, "is gone, while the ledger says that it was loaded", RESTORE)
            if not listed.name.startswith(f"{table.name}/_tailrace/"):
                hint = "Rename it, or set another `name` for this table."
                raise refused(table.name, "exists, and Tailrace did not make it", hint)

    def _document(self, name: str, table: DeltaTable, counter: int) -> bytes:
        """The ledger that belongs to a table's transaction number: out of our newest commit, else beside the log.

        What others committed since then is looked at on the way, because RESTORE brings back the rows of an older version and
        leaves the transaction number as it is. One to a version with all that we committed does no harm.
        """
        version, refusal = table.version(), ""
        while (commit := self._commit_info(name, version)) is not None:
            document = _unpacked(commit)
            if document is not None and json.loads(document)["counter"] == counter:
                return document
            if document is not None:
                break
            operation = str(commit.get("operation"))
            if REPLACED.fullmatch(operation):
                refusal = (
                    refusal or f"was given other rows by {operation}, its version {version}, and its ledger was not"
                )
                version = min(version, _restored(commit) + 1)
            version -= 1
        if refusal:
            raise refused(name, refusal, RESTORED)
        try:  # the log is older than it is kept
            return self._files.read(_mirror(name, counter)).data
        except NotFound:
            raise refused(name, f"has no ledger {counter}, neither beside its log nor in it", RESTORE) from None

    def _commit_info(self, name: str, version: int) -> dict[str, Any] | None:
        """What a commit says of itself; None: the log does not have it, or no longer.

        Read out of the log here: deltalake's own `history` keeps every other thread waiting meanwhile.
        """
        try:
            log_file = self._files.read(f"{name}/_delta_log/{version:020d}.json")
        except NotFound:
            return None
        actions = map(json.loads, log_file.data.splitlines())
        return next((action["commitInfo"] for action in actions if "commitInfo" in action), {})

    def _dataset(self, name: str, table: DeltaTable, paths: Sequence[str] | None = None) -> pyarrow.dataset.Dataset:
        """The table's files, or some, read by pyarrow alone: deltalake's own file system is called by threads that may
        outlive us.
        """
        folder, filesystem = self._location.below(name), self._location.filesystem()
        kind, sizes = pyarrow.dataset.ParquetFileFormat(), _sizes(table)
        fragments = [  # with its size nobody asks the store for it
            kind.make_fragment(f"{folder}/{unquote(path)}", filesystem, file_size=sizes[path])
            for path in (sizes if paths is None else paths)
        ]
        return pyarrow.dataset.FileSystemDataset(fragments, _arrow(table), kind, filesystem)

    def _live(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]] | None) -> Iterator[pa.RecordBatch]:
        held = self._held(table)
        if held.table is not None:
            yield from duck.live_rows(self._dataset(table.name, held.table), table, held.ledger.columns, keys)

    def _named(self, name: str) -> pyarrow.dataset.Scanner | None:
        """A table that a person names. OPTIMIZE may write string views, to which Arrow cannot apply a filter: so a scanner."""
        table = self._open(name) if is_folder(name) else None
        return None if table is None else self._dataset(name, table).scanner()

    # ---- loading

    def _apply(self, load: Load) -> Applied:
        table, held = load.table, self._held(load.table)
        before = held.ledger
        check_fence(load, before.fence)
        segments, changes = fresh(load, [s.segment.number for s in load.segments if before.holds(s.segment.number)])
        skipped = len(load.segments) - len(segments)
        if held.table is not None and not segments:
            return Applied(0, skipped, 0, before.columns)
        foreign = [] if held.table is None else _foreign(held.table, before)
        plan = plan_columns(before.columns, load.seen, table.keys, reserved=[*RESERVED, *foreign])
        plan = spelled(plan, _spell, folded, [*RESERVED, *foreign])
        is_replay = any(s.segment.may_repeat for s in segments)
        rows = staged(changes, plan.columns, table.keys, table.mode, known_ms(load), is_replay=is_replay)
        held = self._evolved(table, held, plan)
        after = self._commit_rows(load, held, segments, changes, rows, is_replay=is_replay)
        self._maintain(table, before.counter, after)
        return Applied(
            segments=len(segments),
            skipped=skipped,
            rows=changes.num_rows,
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def _evolved(self, table: TableSpec, held: _Held, plan: ColumnPlan) -> _Held:
        """The table with the planned columns: made, added to, or written anew with wider types, each by one commit."""
        before = held.ledger
        if held.table is not None and plan.columns == before.columns:
            return held
        ledger = replace(before, columns=plan.columns, counter=before.counter + 1)
        schema = Schema.from_arrow(_schema(table, plan.columns))
        url, options = f"{self._location.url}/{table.name}", self._location.storage_options()
        opened = held.table
        if opened is None:

            def act(properties: CommitProperties) -> None:
                settings: Any = {"delta.checkpointInterval": str(CHECKPOINT_COMMITS)}
                DeltaTable.create(
                    url, schema, configuration=settings, storage_options=options, commit_properties=properties
                )
        elif plan.widened:
            reader = self._rewritten(table, opened, plan)

            def act(properties: CommitProperties) -> None:
                write_deltalake(opened, reader, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
        elif plan.added:
            names = {column.name for column in plan.added}
            fields = [field for field in schema.fields if field.name in names]

            def act(properties: CommitProperties) -> None:
                opened.alter.add_columns(fields, commit_properties=properties)
        else:
            return replace(held, ledger=replace(before, columns=plan.columns))  # only their numbers have more room
        self._commit("columns", table, ledger, act)
        held = self._held(table)
        if held.ledger != ledger:
            raise StateContended(
                "Another writer committed meanwhile", hint="Read it again and go on.", table=table.source
            )
        return held

    def _rewritten(self, table: TableSpec, opened: DeltaTable, plan: ColumnPlan) -> pa.RecordBatchReader:
        """All rows in the columns' new types; columns of somebody else stay as they are."""
        dataset = self._dataset(table.name, opened)
        wanted = {field.name: field for field in _schema(table, plan.columns)}
        fields = [wanted.pop(field.name, field) for field in dataset.schema]
        schema, there = pa.schema([*fields, *wanted.values()]), set(dataset.schema.names)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in dataset.to_batches():
                rows = pa.Table.from_batches([batch])
                arrays = [
                    widen(rows[field.name], field.type) if field.name in there else pa.nulls(rows.num_rows, field.type)
                    for field in schema
                ]
                yield from pa.Table.from_arrays(arrays, schema=schema).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _commit_rows(
        self,
        load: Load,
        held: _Held,
        segments: Sequence[LoadedSegment],
        changes: pa.Table,
        rows: pa.Table,
        *,
        is_replay: bool,
    ) -> LakeLedger:
        """Reckon what becomes of the rows, and commit it. The ledger after it."""
        table, ledger, opened = load.table, held.ledger, held.table
        assert opened is not None
        schema, keys = _schema(table, ledger.columns), [c.name for c in key_columns(ledger.columns, table.keys)]
        arithmetic = Arithmetic(table.mode, _plain(schema), keys, load.loaded_ms, known_ms(load))
        is_sweep = any(s.segment.kind == "sweep" for s in segments)
        if is_sweep:
            standing = self._all_standing(table, opened, keys, load.epoch)
            patch = arithmetic.sweep(standing, load.epoch)
        else:
            standing = self._standing(table, held, keys, rows, is_replay=is_replay)
            ends = self._ends(table, ledger, ledger.ends, _firsts(ledger, keys, rows))
            patch = arithmetic.patch(rows, standing, ends, replayed=is_replay)
        entry = Entry(tuple(ledger_rows(load, segments, changes, self._clock.now_ms())))
        after = ledger.applied(table, entry, ledger.columns, patch.live, load.fence)
        after = replace(after, counter=ledger.counter + 1)
        first = order_prefix(load.epoch, CLASS_BASE) if is_sweep and table.mode == "current" else ""
        after = replace(after, ends=self._ends_with(table, after, patch.ended, first))
        after, pages = spilled(after)
        for page, data in pages:
            self._files.create(f"{table.name}/{page.name}", data)
        actions = self._written(table, opened, after, patch, standing, keys)

        def act(properties: CommitProperties) -> None:
            opened.create_write_transaction(actions, "append", opened.schema(), commit_properties=properties)

        self._commit("rows", table, after, act)
        return after

    def _written(
        self,
        table: TableSpec,
        opened: DeltaTable,
        ledger: LakeLedger,
        patch: Patch,
        standing: pa.Table,
        keys: Sequence[str],
    ) -> list[AddAction | RemoveAction]:
        """New files, which count once a commit adds them, and what such a commit has to say: old files go, new ones come.

        A row comes into the file of the row that it replaces; rows of new keys come into a file of their own.
        """
        schema, now_ms, word = _arrow(opened), self._clock.now_ms(), secrets.token_hex(4)
        sizes = _sizes(opened)
        added, homes = whole(patch.added, schema), pa.array(rewriting.placed(patch, standing, duck.FILE), pa.string())
        actions: list[AddAction | RemoveAction] = []

        def write(rows: pa.Table) -> None:
            if rows.num_rows:
                path = f"part-{ledger.counter:012d}-{len(actions)}-{word}.zstd.parquet"
                data = rewriting.file_bytes(rows)
                self._files.create(f"{table.name}/{path}", data)
                actions.append(AddAction(path, len(data), {}, now_ms, True, rewriting.stats(rows, keys)))

        for name, hit in rewriting.touched(patch, standing, duck.FILE).items():
            path = name.removeprefix(f"{self._location.below(table.name)}/")
            path = next(known for known in sizes if unquote(known) == path)
            with reading():
                rows = self._dataset(table.name, opened, [path]).to_table()
            lines = duck.lines(rows, hit, [*keys, POS])
            if lines.num_rows != hit.num_rows:
                raise AssertionError(f"{lines.num_rows} rows of {path} were found again, of {hit.num_rows}")
            actions.append(RemoveAction(path, True, now_ms, sizes[path], {}))
            come = added.filter(pc.fill_null(pc.equal(homes, name), False))
            write(pa.concat_tables([rewriting.rewritten(rows, lines, patch), come]))
        write(added.filter(pc.is_null(homes)) if added.num_rows else added)
        return actions

    def _standing(
        self, table: TableSpec, held: _Held, keys: Sequence[str], rows: pa.Table, *, is_replay: bool
    ) -> pa.Table:
        """Rows that may matter, each with its place here."""
        assert held.table is not None
        names, ledger = STANDING[table.mode], held.ledger
        nothing = _plain(_schema(table, ledger.columns)).empty_table().select([*keys, *names])
        nothing = nothing.append_column(duck.FILE, pa.array([], pa.string()))
        if rows.num_rows == 0 or (table.mode == "changelog" and not is_replay):
            return _placed(nothing)
        if table.mode == "changelog":
            places = pc.min_max(rows["pos"]).as_py()
            dataset = self._dataset(table.name, held.table)
            return _placed(duck.between(dataset, [*keys, *names, duck.FILE], places["min"], places["max"]))
        wanted = {f"k{n}": rows[f"c{ledger_index(ledger, key)}"] for n, key in enumerate(keys)}
        dataset = self._dataset(table.name, held.table, _near(held.table, keys[0], _firsts(ledger, keys, rows)))
        return _placed(duck.standing(dataset, keys, [*names, duck.FILE], pa.table(wanted)))

    def _all_standing(self, table: TableSpec, opened: DeltaTable, keys: Sequence[str], epoch: int) -> pa.Table:
        """For a sweep: rows of older epochs, of a changelog all."""
        names = [*STANDING[table.mode], duck.FILE, *(["_tr_op"] if table.mode == "changelog" else [])]
        last = "~" if table.mode == "changelog" else order_prefix(epoch, CLASS_BASE)
        return _placed(duck.between(self._dataset(table.name, opened), [*keys, *names], "", last))

    # ---- deletes that are kept apart

    def _ends(
        self, table: TableSpec, ledger: LakeLedger, files: Sequence[DataFile], wanted: Sequence[Any] | None = None
    ) -> pa.Table:
        """The deletes in these files, in the key's present types; at least those whose HASH key is `wanted`, in order."""
        names = [c.name for c in key_columns(ledger.columns, table.keys)]
        schema = _ends_schema(table, ledger)
        pieces = [schema.empty_table()]
        for file in files:
            rows = self._ends_in(table, file, wanted)
            arrays = [widen(rows.column(n), schema.field(n).type) for n in range(len(names))]
            pieces.append(pa.Table.from_arrays([*arrays, *rows.columns[len(names) :]], schema=schema))
        return pa.concat_tables(pieces)

    def _ends_in(self, table: TableSpec, file: DataFile, wanted: Sequence[Any] | None) -> pa.Table:
        if wanted is None or file.rows <= ENDS_GROUP_ROWS:
            return pq.read_table(io.BytesIO(self._files.read(f"{table.name}/{file.path}").data))
        with (
            reading(),
            self._location.filesystem().open_input_file(self._location.below(table.name, file.path)) as opened,
        ):
            parquet = pq.ParquetFile(opened)
            groups = [
                number
                for number in range(parquet.num_row_groups)
                if _may_hold(parquet.metadata.row_group(number).column(0).statistics, wanted)
            ]
            return parquet.read_row_groups(groups)

    def _ends_with(self, table: TableSpec, ledger: LakeLedger, ended: pa.Table, first: str) -> tuple[DataFile, ...]:
        """Files of deletes after a load that adds some. `first`: those before this place go; "": none.

        Whatever is written here counts once a ledger lists it. The largest file stays as it is while the others are little
        beside it, so that a delete is written few times, however many there are.
        """
        if first:
            kept = self._ends(table, ledger, ledger.ends)
            kept = kept.filter(pc.greater_equal(kept[POS], first))
            return () if kept.num_rows == 0 else (self._ends_file(table, ledger, kept),)
        if not ENDS[table.mode] or ended.num_rows == 0:
            return ledger.ends
        ended = whole(ended, _ends_schema(table, ledger))
        if len(ledger.ends) < ENDS_MAX:
            return (*ledger.ends, self._ends_file(table, ledger, ended))
        *small, largest = sorted(ledger.ends, key=lambda file: file.rows)
        if 4 * (sum(file.rows for file in small) + ended.num_rows) > largest.rows:
            small.append(largest)
        gathered = self._ends_file(table, ledger, pa.concat_tables([self._ends(table, ledger, small), ended]))
        return (*(file for file in ledger.ends if file not in small), gathered)

    def _ends_file(self, table: TableSpec, ledger: LakeLedger, rows: pa.Table) -> DataFile:
        path = f"_tailrace/ends/{ledger.counter:020d}-{secrets.token_hex(4)}.parquet"
        rows = rows.sort_by([(name, "ascending") for name in rows.column_names[: len(table.keys.names)]])
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd", row_group_size=ENDS_GROUP_ROWS)
        self._files.create(f"{table.name}/{path}", sink.getvalue())
        places = pc.min_max(rows[POS]).as_py()
        return DataFile(path, rows.num_rows, places["min"], places["max"])

    # ---- commits

    def _commit(self, what: str, table: TableSpec, ledger: LakeLedger, act: Callable[[CommitProperties], None]) -> None:
        """One commit with the ledger in it, on the version that was read. Raises StateContended where that is not the newest.

        An answer that was lost is settled by reading: every commit carries a word of its own.
        """
        word, document = secrets.token_hex(8), to_bytes(ledger)
        properties = CommitProperties(
            custom_metadata={"tailrace": _packed(document), "tailrace.word": word},
            app_transactions=[Transaction(APP, ledger.counter)],
            max_commit_retries=0,
        )
        try:
            self._perform(what, lambda: act(properties))
        except AssertionError:
            raise
        except Exception as error:
            if not self._landed(table, ledger.counter, word):
                if _is_conflict(error):
                    raise StateContended(
                        "Another writer committed first", hint="Read it again and go on.", table=table.source
                    ) from error
                raise _translated(error, table.name) from error
        self._keep(_mirror(table.name, ledger.counter), document)

    def _keep(self, name: str, document: bytes) -> None:
        """Beside the log, in place of what stands there where the log was restored from a backup, and goes its way again."""
        try:
            self._files.create(name, document)
        except AlreadyExists:
            self._files.delete(name)
            self._files.create(name, document)

    def _landed(self, table: TableSpec, counter: int, word: str) -> bool:
        """Whether a commit that did not answer is in the log."""
        try:
            opened = self._open(table.name)
            if opened is None or (opened.transaction_version(APP) or 0) < counter:
                return False
            version = opened.version()
            while (commit := self._commit_info(table.name, version)) is not None:
                document = _unpacked(commit)
                if document is not None and json.loads(document)["counter"] <= counter:
                    return commit.get("tailrace.word") == word
                version -= 1
            return False
        except TailraceError as error:
            raise OutcomeUnknown(
                f"Whether a commit was made is not known: {error.message}",
                hint="The next load looks at the ledger first and goes on from it.",
                table=table.source,
            ) from error

    # ---- tidying up

    def _maintain(self, table: TableSpec, before: int, ledger: LakeLedger) -> None:
        """Where its turn has come since commit `before`: put small files together, remove what no version of the last week needs.

        A failure ends no load. Of what stands beside the log, the newest stays: somebody may have read the ledger a moment ago.
        """
        try:
            if before // OPTIMIZE_COMMITS < ledger.counter // OPTIMIZE_COMMITS:
                opened = self._open(table.name)
                assert opened is not None
                self._perform("optimize", lambda: opened.optimize.compact(target_size=FILE_BYTES))
            if before // VACUUM_COMMITS < ledger.counter // VACUUM_COMMITS:
                self._vacuum(table, ledger)
        except Exception as error:
            log.warning("%s into %s: tidying up failed: %s", table.name, self.name, error)

    def _vacuum(self, table: TableSpec, ledger: LakeLedger) -> None:
        opened = self._open(table.name)
        assert opened is not None
        self._perform("vacuum", lambda: opened.vacuum(dry_run=False))
        oldest = f"{max(0, ledger.counter - VACUUM_COMMITS):020d}"
        kept = {f"{table.name}/{file.path}" for file in ledger.ends}
        for folder in ("ledger", "ends"):
            for listed in list(self._files.list(f"{table.name}/_tailrace/{folder}/")):
                if listed.name.rpartition("/")[2] < oldest and listed.name not in kept:
                    self._files.delete(listed.name)


def _check_readable(name: str, table: DeltaTable) -> None:
    """Raises UserFault where files alone do not say what the rows are, or whose columns."""
    protocol = table.protocol()
    unknown = sorted({*(protocol.reader_features or ())} - READ)
    if protocol.min_reader_version == 2:
        unknown = ["columnMapping"]
    if unknown:
        hint = "Drop the feature (ALTER TABLE … DROP FEATURE …); or remove the table's folder, and it is loaded again."
        raise refused(name, f"has features that Tailrace does not read: {', '.join(unknown)}", hint)


def _files(table: DeltaTable) -> pa.Table:
    """A line for each file: ``path``, ``size_bytes``, ``min.…`` and ``max.…`` of its columns."""
    return pa.table(table.get_add_actions(flatten=True))


def _sizes(table: DeltaTable) -> dict[str, int]:
    """The bytes of each file, by its path as the log spells it."""
    files = _files(table)
    return dict(zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True))


def _firsts(ledger: LakeLedger, keys: Sequence[str], rows: pa.Table) -> list[Any]:
    """The HASH keys of a load, in order."""
    return sorted(pc.unique(rows[f"c{ledger_index(ledger, keys[0])}"]).to_pylist())


def _may_hold(statistics: Any, wanted: Sequence[Any]) -> bool:
    """Whether a column's part may hold one of these values, by what the file says of it."""
    if statistics is None or not statistics.has_min_max:
        return True
    return rewriting.may_hold(statistics.min, statistics.max, wanted)


def _near(table: DeltaTable, key: str, wanted: Sequence[Any]) -> list[str]:
    """The files that may hold one of these values, in order, by the bounds that the log has."""
    files = _files(table)
    known = [
        files[f"{what}.{key}"].to_pylist() if f"{what}.{key}" in files.column_names else [None] * files.num_rows
        for what in ("min", "max")
    ]
    return [
        path
        for path, least, greatest in zip(files["path"].to_pylist(), *known, strict=True)
        if rewriting.may_hold(least, greatest, wanted)
    ]


def ledger_index(ledger: LakeLedger, name: str) -> int:
    """Which column bears this name."""
    return next(n for n, column in enumerate(ledger.columns) if column.name == name)


def _schema(table: TableSpec, known: Sequence[Any]) -> pa.Schema:
    """The table's columns as Delta keeps them: moments are in UTC, and say so."""
    return pa.schema(
        [
            pa.field(field.name, pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
            for field in columns.table_schema(known, table.mode)
        ]
    )


def _arrow(table: DeltaTable) -> pa.Schema:
    """A table's schema in the types that its files have; deltalake says "view" where it would read them itself."""
    return pa.schema([(field.name, _unviewed(field.type)) for field in pa.schema(table.schema().to_arrow())])


def _unviewed(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type_):
        return pa.list_(pa.field("element", _unviewed(type_.value_type)))
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(type_, type_)


def _plain(schema: pa.Schema) -> pa.Schema:
    """The same with moments as the arithmetic takes them."""
    return pa.schema([pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in schema])


def _ends_schema(table: TableSpec, ledger: LakeLedger) -> pa.Schema:
    """The key's columns, then what `ENDS` says."""
    plain = _plain(_schema(table, ledger.columns))
    keys = [plain.field(c.name) for c in key_columns(ledger.columns, table.keys)]
    more = {POS: pa.string(), "_tr_valid_from": pa.timestamp("us")}
    return pa.schema([*keys, *(pa.field(name, more[name]) for name in ENDS[table.mode])])


def _placed(rows: pa.Table) -> pa.Table:
    rows = rows.cast(_plain(rows.schema))
    return rows.append_column("place", pa.array(range(rows.num_rows), pa.int64()))


def _foreign(opened: DeltaTable, ledger: LakeLedger) -> list[str]:
    """Columns that somebody else added."""
    ours = {*(column.name for column in ledger.columns), *RESERVED}
    return [field.name for field in opened.schema().fields if field.name not in ours]


def _spell(name: str) -> str:
    return columns.spell(name.translate(_SPELLED))


def _mirror(name: str, counter: int) -> str:
    return f"{name}/_tailrace/ledger/{counter:020d}.json"


def _packed(document: bytes) -> str:
    return base64.b64encode(zlib.compress(document, 6)).decode()


def _unpacked(commit: dict[str, Any]) -> bytes | None:
    packed = commit.get("tailrace")
    return zlib.decompress(base64.b64decode(packed)) if isinstance(packed, str) else None


def _restored(commit: dict[str, Any]) -> int:
    """To which version a commit brought a table back; -1: it does not say."""
    try:
        return int(commit["operationParameters"]["version"])
    except (LookupError, TypeError, ValueError):
        return -1


def _is_conflict(error: Exception) -> bool:
    """Another version is the newest, or somebody made the table meanwhile."""
    is_lost = isinstance(error, CommitFailedError) and _FINAL.search(str(error)) is None
    return is_lost or "already exists" in str(error)


def _translated(error: Exception, name: str) -> TailraceError:
    """deltalake's errors in our words."""
    if isinstance(error, TailraceError):
        return error
    text = " ".join(_COLOURS.sub("", str(error)).split())[:500] or type(error).__name__
    if isinstance(error, CommitFailedError):
        hint = "Take that feature or property back (ALTER TABLE …), or remove the table's folder and load it again."
        return refused(name, f"takes no commit of Tailrace: {text}", hint)
    if isinstance(error, SchemaMismatchError | DeltaProtocolError):
        return refused(name, f"is not as it was left: {text}", "Undo the change that was made to it.")
    return ServiceUnavailable(
        f"Delta could not finish: {text}", hint="Nothing of this load was applied; it is repeated.", name=name
    )
