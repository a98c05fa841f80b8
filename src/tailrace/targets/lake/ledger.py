"""The ledger of a table of files: one small document, which says what is applied, and immutable pages of what is older.

The document is replaced as a whole; whoever replaces it makes a load visible. ``docs/formats/lake-ledger.md``. No I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from tailrace.errors import UserFault
from tailrace.model.schema import Column
from tailrace.targets.lake.progress import RECENT_MAX, Progress, from_json, to_json
from tailrace.targets.planning import why_foreign
from tailrace.targets.target import Ledger, LedgerRow, TableSpec

FORMAT: Final = 1
NAME: Final = "_tailrace/ledger.json"  # in the folder of the table
TAIL_ROWS_MAX: Final = 1000  # ledger rows in the document; beyond them all but the newest go to a page
PAGES_MAX: Final = 32  # of one level; so many become one page of the next


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that is complete: its path below the folder of its version, its rows, and between which places they are."""

    path: str
    rows: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One load: a ledger row for each of its segments, and the files that it added."""

    rows: tuple[LedgerRow, ...]
    files: tuple[DataFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """An immutable object of older entries, or (`level` above 0) of pages of the level below.

    `numbers`: the least and the greatest segment in it; `first` and `last`: places of the rows in its files.
    """

    name: str
    level: int
    numbers: tuple[int, int]
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A load that somebody is writing. Its files may stand already, and count once the document lists them.

    `facts`: what decides its content; a load with others is another one. `version`: of the folder that it leaves behind.
    `paths` hold the counter of the document that began it, so no other load ever has these names.
    """

    facts: str
    version: int
    loaded_ms: int
    through: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retired:
    """A folder that nothing refers to any more, and since when."""

    version: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class LakeLedger(Progress):
    """The document. `counter` goes up with each replacement; `tail` holds the newest entries, oldest first."""

    counter: int = 0
    tail: tuple[Entry, ...] = ()
    pages: tuple[Page, ...] = ()
    version: int = 1
    version_last: int = 1
    begun: Begun | None = None
    abandoned: tuple[str, ...] = ()  # paths of files of loads that were begun and will never be listed, to be removed
    retired: tuple[Retired, ...] = ()
    ends: tuple[DataFile, ...] = ()  # files of deletes that are kept apart from the rows

    def applied(self, table: TableSpec, entry: Entry, columns: tuple[Column, ...], live: int, fence: int) -> LakeLedger:
        """With one more load, as `Progress.moved`."""
        return replace(self.moved(table, entry.rows, columns, live, fence), tail=(*self.tail, entry))

    def as_ledger(self) -> Ledger:
        """As the port shows it."""
        begun_through = 0 if self.begun is None else self.begun.through
        return self.shown((row for entry in self.tail for row in entry.rows), begun_through)


# ---- pages


def spilled(ledger: LakeLedger) -> tuple[LakeLedger, tuple[tuple[Page, bytes], ...]]:
    """The document with its older entries on pages, and the pages to write before it. Nothing to write: as it was."""
    if sum(max(1, len(entry.rows)) for entry in ledger.tail) <= TAIL_ROWS_MAX:
        return ledger, ()
    kept = len(ledger.tail)
    rows = 0
    while kept and rows < RECENT_MAX:
        kept -= 1
        rows += len(ledger.tail[kept].rows)
    old, tail = ledger.tail[:kept], ledger.tail[kept:]
    if not old:
        return ledger, ()
    written = [_page_of_entries(ledger.counter, old)]
    pages = [*ledger.pages, written[0][0]]
    level = 0
    while len(lower := [page for page in pages if page.level == level]) >= PAGES_MAX:
        written.append(_page_of_pages(ledger.counter, level + 1, lower))
        pages = [*(page for page in pages if page.level != level), written[-1][0]]
        level += 1
    return replace(ledger, tail=tail, pages=tuple(pages)), tuple(written)


def _page_of_entries(counter: int, entries: Sequence[Entry]) -> tuple[Page, bytes]:
    numbers = [row.number for entry in entries for row in entry.rows]
    places = [(file.first, file.last) for entry in entries for file in entry.files]
    data = _bytes({"format": FORMAT, "entries": [_entry_json(entry) for entry in entries]})
    return _page(counter, 0, numbers, places, data), data


def _page_of_pages(counter: int, level: int, pages: Sequence[Page]) -> tuple[Page, bytes]:
    numbers = [number for page in pages for number in page.numbers]
    data = _bytes({"format": FORMAT, "pages": [asdict(page) for page in pages]})
    return _page(counter, level, numbers, [(p.first, p.last) for p in pages if p.last], data), data


def _page(counter: int, level: int, numbers: Sequence[int], places: Sequence[tuple[str, str]], data: bytes) -> Page:
    name = f"_tailrace/pages/{counter:012d}-{level}-{hashlib.sha256(data).hexdigest()[:8]}.json"
    first = min((first for first, _ in places), default="")
    last = max((last for _, last in places), default="")
    return Page(name, level, (min(numbers, default=0), max(numbers, default=0)), first, last)


def read_page(data: bytes) -> tuple[tuple[Entry, ...], tuple[Page, ...]]:
    """A page's entries, or the pages that it lists."""
    document = json.loads(data)
    pages = tuple(_page_from(page) for page in document.get("pages", ()))
    return tuple(_entry(entry) for entry in document.get("entries", ())), pages


def entries_of(
    ledger: LakeLedger, read: Callable[[str], bytes], wanted: Callable[[Page], bool] = lambda _: True
) -> Iterator[Entry]:
    """All entries, oldest pages first, the tail last; of pages only the `wanted` ones. `read` gives a page by its name."""
    pages = [*reversed(ledger.pages)]
    while pages:
        page = pages.pop()
        if wanted(page):
            entries, below = read_page(read(page.name))
            yield from entries
            pages += reversed(below)
    yield from ledger.tail


def row_of(ledger: LakeLedger, read: Callable[[str], bytes], number: int) -> LedgerRow | None:
    """The ledger row of a segment, where it is applied."""
    if not ledger.holds(number):
        return None
    entries = entries_of(ledger, read, lambda page: page.numbers[0] <= number <= page.numbers[1])
    return next((row for entry in entries for row in entry.rows if row.number == number), None)


# ---- JSON


def to_bytes(ledger: LakeLedger) -> bytes:
    """The document. Equal ledgers are equal bytes."""
    names = ("source", "mode", "keys", "incarnation")
    document = {
        "format": FORMAT,
        "counter": ledger.counter,
        **dict(zip(names, ledger.identity, strict=True)),
        "version": ledger.version,
        "version_last": ledger.version_last,
        **to_json(ledger),
        "begun": None if ledger.begun is None else asdict(ledger.begun),
        "abandoned": list(ledger.abandoned),
        "ends": [asdict(file) for file in ledger.ends],
        "retired": [asdict(retired) for retired in ledger.retired],
        "pages": [asdict(page) for page in ledger.pages],
        "tail": [_entry_json(entry) for entry in ledger.tail],
    }
    return _bytes(document)


def from_bytes(data: bytes, name: str) -> LakeLedger:
    """The document of a table. Raises UserFault where it is none, or one of another release."""
    try:
        document = json.loads(data)
        format_ = document["format"]
        if format_ != FORMAT:
            hint = "Upgrade this Tailrace to the release that wrote it."
            raise refused(name, f"has a ledger that was written in format {format_}", hint)
        begun = document["begun"]
        return LakeLedger(
            identity=(document["source"], document["mode"], document["keys"], document["incarnation"]),
            **from_json(document),
            counter=document["counter"],
            tail=tuple(_entry(entry) for entry in document["tail"]),
            pages=tuple(_page_from(page) for page in document["pages"]),
            version=document["version"],
            version_last=document["version_last"],
            begun=None if begun is None else Begun(**{**begun, "paths": tuple(begun["paths"])}),
            abandoned=tuple(document["abandoned"]),
            ends=tuple(DataFile(**file) for file in document["ends"]),
            retired=tuple(Retired(**retired) for retired in document["retired"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        what = f"has a ledger that cannot be read ({type(error).__name__}: {error})"
        raise refused(name, what, RESTORE) from error


RESTORE: Final = (
    "Restore the table's folder from a backup; or remove the folder, and it is loaded again from the landing zone."
)


def checked(table: TableSpec, ledger: LakeLedger) -> LakeLedger:
    """The ledger, if it is this table's. Raises UserFault where going on would mix or lose rows."""
    foreign = why_foreign(table, ledger.identity)
    if foreign is not None:
        raise refused(table.name, foreign, "Give this table another `name` in the target, or another place.")
    held = {row.number for entry in ledger.tail for row in entry.rows}
    newest = max([*held, *(page.numbers[1] for page in ledger.pages)], default=0)
    if newest < ledger.applied_through:
        raise refused(table.name, "has rows, while its ledger was emptied", RESTORE)
    return ledger


def refused(name: str, what: str, hint: str) -> UserFault:
    return UserFault(f"Table {name!r} in the target {what}", hint=hint)


_ROW_FIELDS: Final = tuple(field.name for field in fields(LedgerRow))


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"segments": [asdict(row) for row in entry.rows], "files": [asdict(file) for file in entry.files]}


def _entry(document: dict[str, Any]) -> Entry:
    rows = tuple(LedgerRow(**{name: row[name] for name in _ROW_FIELDS}) for row in document["segments"])
    return Entry(rows, tuple(DataFile(**file) for file in document["files"]))


def _page_from(document: dict[str, Any]) -> Page:
    first, last = document["numbers"]
    return Page(**{**document, "numbers": (first, last)})


def _bytes(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
