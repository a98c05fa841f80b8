"""What was read of one shard and waits to be published. A cache: all of it can be had again from the mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tailrace.capture.records import line_of, payload_of, sequence_number_of
from tailrace.capture.source import RecordsPage, StreamSource
from tailrace.errors import RecordInvalid
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import ShardRange

EMPTY_PAGES_AT_TIP: Final = 3  # empty pages are normal in the middle of a shard; so many in a row mean its tip


class Landed(Protocol):
    """What a function has landed and somebody has listed of a stream that is read behind it.

    `due_ms`: of a record that is not there and was written before this moment, the function is not waited for any longer.
    """

    due_ms: int

    def holds(self, number: SequenceNumber, keys: Mapping[str, Any]) -> bool:
        """Whether a listed segment holds this change."""

    def is_set_aside(self, number: SequenceNumber) -> bool:
        """Whether the function has put a bad record of this position into quarantine."""


@dataclass(slots=True)
class ShardReader:
    """Reads one shard from `read_to` on and keeps what it gives, in its order, until it is published.

    `through_ms`: every change that the shard had before this moment was read; None: nothing is known yet.
    """

    shard_id: str
    read_to: SequenceNumber | None = None  # the last number read, published or not
    skip_before_ms: int | None = None  # records from before LATEST was asked for
    from_horizon: bool = False  # what follows `read_to` was trimmed: go on with the oldest that is left
    iterator: str | None = None
    next_poll: float = 0.0
    failures: int = 0  # in a row
    misses: int = 0  # in a row: not found, or trimmed
    answered: bool = False  # a page came since this reader began, or since we were refused
    checked: bool = False  # its first number follows its parent's last one
    refused: str = ""  # why it does not: nothing of this shard may be published
    ended: bool = False  # the null iterator was seen: the shard is closed and read to its end
    empty_pages: int = 0
    through_ms: int | None = None
    began_at: SequenceNumber | None = None  # the first number read
    first: SequenceNumber | None = None  # of `lines`, as `last`
    last: SequenceNumber | None = None
    newest_ms: int = 0
    lines: list[bytes] = field(default_factory=list)
    poison: list[QuarantinedRecord] = field(default_factory=list)
    bytes: int = 0
    landed: Landed | None = None  # read behind a function: what it has landed is only looked at
    seen: int = 0  # records that it had
    waits: bool = False  # for it: the next record is not there yet, and young

    @property
    def at_tip(self) -> bool:
        return self.ended or self.empty_pages >= EMPTY_PAGES_AT_TIP

    @property
    def has_news(self) -> bool:
        """There is something to publish, if only that the shard has ended."""
        return not self.refused and bool(self.lines or self.poison or self.ended or self.seen)

    @property
    def range(self) -> ShardRange:
        """What `lines` cover."""
        assert self.first is not None
        assert self.last is not None
        return ShardRange(self.first, self.last, len(self.lines))

    def fetch(self, source: StreamSource) -> RecordsPage:
        """The next page, with a new iterator where there is none. May run in another thread than the rest."""
        if self.iterator is None:
            after = None if self.from_horizon else self.read_to
            self.iterator = source.iterator(self.shard_id, after=after)
        return source.read(self.iterator)

    def take(self, page: RecordsPage, asked_ms: int | None) -> None:
        """Keep a page. Records delivered twice count once, bad ones are set aside.

        `asked_ms`: when it was asked for, None for a shard that has children: its tip says nothing about now.
        """
        self.waits = False
        created_ms = self._take_records(page)
        if page.records:
            self.from_horizon = self.from_horizon and self.waits
            self.empty_pages = 0
        else:
            self.empty_pages += 1
        self.iterator = None if self.waits else page.next_iterator
        self.ended = page.next_iterator is None and not self.waits
        self.failures = self.misses = 0
        self.answered = True
        if self.at_tip and not self.ended and asked_ms is not None:
            created_ms = asked_ms
        if created_ms is not None:
            self.through_ms = max(created_ms, self.through_ms or 0)

    def _take_records(self, page: RecordsPage) -> int | None:
        """The creation time of the last record that tells one."""
        created_ms = None
        for record in page.records:
            try:
                number, created_ms, data = line_of(record)
            except RecordInvalid as error:
                self._set_aside(record, error)
                continue
            if self.read_to is not None and number <= self.read_to:
                continue
            is_meant = self.skip_before_ms is None or created_ms >= self.skip_before_ms
            is_landed = self.landed is not None and self.landed.holds(number, record["dynamodb"]["Keys"])
            if self.landed is not None and is_meant and not is_landed and created_ms >= self.landed.due_ms:
                self.waits = True
                return created_ms
            self.read_to = number
            if not is_meant:
                continue
            self.began_at = self.began_at or number
            if is_landed:
                self.seen += 1
                continue
            if self.first is None:
                self.first = number
            self.last = number
            self.newest_ms = max(self.newest_ms, created_ms)
            self.lines.append(data)
            self.bytes += len(data)
        return created_ms

    def _set_aside(self, record: Any, error: RecordInvalid) -> None:
        """A record with a number moves `read_to` as any other. One without is read again with whatever precedes it."""
        number = sequence_number_of(record)
        if number is not None:
            if self.read_to is not None and number <= self.read_to:
                return
            self.read_to = number
            self.began_at = self.began_at or number
            if self.landed is not None and self.landed.is_set_aside(number):
                self.seen += 1
                return
        text = None if number is None else str(number)
        payload = payload_of(record)
        aside = QuarantinedRecord("bad_envelope", error.message, payload, shard=self.shard_id, sequence_number=text)
        if number is None and aside in self.poison:
            return
        self.poison.append(aside)
        self.bytes += len(payload)

    def published(self) -> None:
        """What was read is durable and listed."""
        self._forget()

    def refuse(self, why: str) -> None:
        """Nothing of this shard may be published."""
        self.refused = why
        self.through_ms = None
        self._forget()

    def _forget(self) -> None:
        self.lines, self.poison, self.bytes = [], [], 0
        self.first = self.last = None
        self.newest_ms = self.seen = 0
