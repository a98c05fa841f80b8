"""A table that is captured from its stream: what may befall the stream, and what its capture must make of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.errors import IteratorExpired, ServiceUnavailable, Throttled
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.landing import Landing
from tailrace.model.manifest import Gap, Manifest, ShardState
from tailrace.model.segments import Segment
from tailrace.testing.faults import FaultySource
from tailrace.testing.sim.oracles import Fact, Judge, Violation, values_of
from tailrace.testing.sim.plan import Bits, Setup
from tailrace.testing.sim.world import TABLE, Process, World
from tailrace.testing.source import InlineExecutor, ModelSource, Written

DISORDER: Final = 500_000_000  # further back than the numbers of one history reach
DISORDER_TURNS: Final = 35  # until what can be captured beside a refused shard is captured
UNLISTED_MS: Final = 20_000  # well below the minute after which capture takes a shard for gone
LISTED_MS: Final = 61_000  # from then on capture counts anew


@dataclass(frozen=True, slots=True)
class Change:
    """One write, as the world made it. `image` None is a delete."""

    key: str
    image: Mapping[str, Any] | None
    ms: int
    expired: bool = False

    def is_told_by(self, fact: Fact) -> bool:
        """The line says what was written; its time is that of the stream, in whole seconds."""
        keys = {"pk": {"S": self.key}}
        wanted = Fact(
            key=(self.key,),
            position=fact.position,
            op="d" if self.image is None else "u",
            written_us=self.ms // 1000 * 1_000_000,
            expired=self.expired,
            values=values_of(keys if self.image is None else {**keys, **self.image}),
            number=fact.number,
            is_good=fact.is_good,
        )
        return fact == wanted


@dataclass(slots=True)
class StreamJudge(Judge):
    """Compares what is published with every record that the stream was given."""

    source: ModelSource = field(kw_only=True)
    changes: dict[int, Change] = field(default_factory=dict)  # by sequence number
    written: dict[int, Written] = field(default_factory=dict)
    unpublished: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # by shard
    published_in: dict[int, int] = field(default_factory=dict)  # sequence number to segment number
    newest: dict[tuple[Any, ...], int] = field(default_factory=dict)  # published in this epoch, by key
    furthest: dict[str, int] = field(default_factory=dict)  # published in this epoch, by shard
    parents: dict[str, str | None] = field(default_factory=dict)  # the truth, whatever a listing says
    early: set[int] = field(default_factory=set)  # written before capture began
    forgiven: set[int] = field(default_factory=set)  # of these, lost before they were read
    hidden: set[int] = field(default_factory=set)  # in a shard that no listing showed when a watermark passed it

    def wrote(self, written: Written, change: Change) -> None:
        """The stream was given a record."""
        assert written.number not in self.changes, "the model gave one number twice"
        self.changes[written.number] = change
        self.written[written.number] = written
        self.unpublished[written.shard_id].add(written.number)

    def is_lost(self, number: int) -> bool:
        """The source does not have it any more."""
        return number in self.source.trimmed or self.written[number].shard_id in self.source.gone

    def is_excused(self, number: int) -> bool:
        """No gap need tell that it is lost: it was old when capture began."""
        return number in self.early

    def _begin(self) -> None:
        """What was gone before the stream was ever looked at is no loss of ours; what is old may go at any moment."""
        self.early = set(self.changes)
        for numbers in self.unpublished.values():
            for number in [n for n in numbers if self.is_lost(n)]:
                self.forgive(number)

    def forgive(self, number: int) -> None:
        self.forgiven.add(number)
        self.unpublished[self.written[number].shard_id].discard(number)

    def _check_lines(self, segment: Segment) -> None:
        for fact in self.facts[segment.number]:
            self._check_line(fact, segment)

    def _check_line(self, fact: Fact, segment: Segment) -> None:
        """Published once, in the order of its key, as it was written. [I5, I8]"""
        written, change = self.written.get(fact.number), self.changes.get(fact.number)
        if written is None or change is None or not change.is_told_by(fact):
            raise Violation("I8", f"{fact.number} is published as {fact}, which nobody wrote")
        if fact.number in self.published_in:
            raise Violation("I8", f"{fact.number} is published twice")
        if fact.number <= self.newest.get(fact.key, 0):
            raise Violation("I5", f"{fact.key} goes back from {self.newest[fact.key]} to {fact.number}")
        self.newest[fact.key] = fact.number
        self.furthest[written.shard_id] = max(fact.number, self.furthest.get(written.shard_id, 0))
        self.published_in[fact.number] = segment.number
        self.unpublished[written.shard_id].discard(fact.number)

    def check_source(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        if before is None:
            self._begin()
        elif before.epoch != manifest.epoch:
            self.newest.clear()
            self.furthest.clear()
        for segment in added:
            if segment.kind == "stream":
                self._check_lines(segment)
        is_known = before is not None and before.incarnation == manifest.incarnation
        known: Mapping[str, ShardState] = before.shards if before is not None and is_known else {}
        for shard_id, shard in manifest.shards.items():
            was = known.get(shard_id)
            if was is not shard and was != shard:
                self._check_mark(shard_id, shard, was, manifest)
        for shard_id, shard in known.items():
            if shard_id not in manifest.shards and (shard.finished_ms is None or self._is_there(shard_id)):
                raise Violation("I4", f"shard {shard_id} was forgotten before its time")
        for segment in added:
            for shard_id in segment.shards:
                self._check_lineage(shard_id, segment, manifest)
        self._check_captured_through(manifest, before)

    def _check_mark(self, shard_id: str, shard: ShardState, was: ShardState | None, manifest: Manifest) -> None:
        """A mark moves over nothing that is not published, set aside, or told as a gap; and never back. [I2, I3, I14]"""
        is_freed = shard.mark is None and not self.furthest and _tells(manifest.open_gaps, shard_id)
        if was is not None and (was.mark or 0) > (shard.mark or 0) and not is_freed:
            raise Violation("I3", f"the mark of {shard_id} goes back from {was.mark} to {shard.mark}")
        if was is not None and was.finished_ms is not None and shard.finished_ms is None:
            raise Violation("I3", f"shard {shard_id} is not finished any more")
        is_over = shard.finished_ms is not None
        for number in sorted(self.unpublished.get(shard_id, ())):
            if not is_over and number > (shard.mark or 0):
                break
            if self.is_set_aside(number):
                self.unpublished[shard_id].discard(number)
            elif not self.is_lost(number):
                raise Violation("I3", f"{number} of {shard_id} is passed over: mark {shard.mark}, finished {is_over}")
            elif _tells(manifest.open_gaps, shard_id):
                continue
            elif self.is_excused(number):
                self.forgive(number)
            else:
                raise Violation("I14", f"{number} of {shard_id} was lost, and no gap tells")
        furthest = self.furthest.get(shard_id, 0)
        if furthest > (shard.mark or 0) and not is_over:
            raise Violation("I3", f"{furthest} of {shard_id} is published beyond the mark {shard.mark}")

    def _check_lineage(self, shard_id: str, segment: Segment, manifest: Manifest) -> None:
        """Nothing of a child before all of its parents is published, or known to be lost. [I4]"""
        parent = self.parents.get(shard_id)
        while parent is not None:
            for number in self.unpublished.get(parent, ()):
                if self.written[number].line is not None and not self.is_lost(number):
                    raise Violation("I4", f"segment {segment.number} of {shard_id} before {number} of parent {parent}")
            parent = self.parents.get(parent)

    def _check_captured_through(self, manifest: Manifest, before: Manifest | None) -> None:
        """Every change before `captured_through_ms` is published, unless a gap tells. [8.3, watermark honesty]"""
        through, earlier = manifest.captured_through_ms, before.captured_through_ms if before is not None else None
        if earlier is not None and (through is None or through < earlier):
            raise Violation("I6", f"the capture watermark goes back from {earlier} to {through}")
        if through is None or not self.time_is_exact or manifest.open_gaps:
            return
        for numbers in self.unpublished.values():
            for number in numbers:
                is_due = self.changes[number].ms < through and self.written[number].line is not None
                is_excused = self.is_lost(number) and self.is_excused(number)
                if is_due and not is_excused and not self._is_hidden(number, manifest):
                    raise Violation(
                        "I6", f"captured through {through}, and {number} of {self.changes[number].ms} is not"
                    )

    def _is_hidden(self, number: int, manifest: Manifest) -> bool:
        """In one of two children of a shard, of which a listing showed the other: nobody could know that it was there."""
        if number in self.hidden:
            return True
        shard_id: str | None = self.written[number].shard_id
        while shard_id is not None and shard_id not in manifest.shards:
            parent = self.parents[shard_id]
            if parent is not None and any(self.parents[i] == parent for i in manifest.shards):
                self.hidden.add(number)
                return True
            shard_id = parent
        return False

    def is_true(self, gap: Gap) -> bool:
        """Where only time tells (nothing was ever read of a shard) a gap may be told although nothing was written."""
        assert gap.shard is not None or gap.kind == "stream_replaced"
        if gap.kind == "stream_trimmed" and gap.after is not None:
            after = gap.after
            return any(n > after and self.written[n].shard_id == gap.shard for n in self.source.trimmed)
        if gap.kind == "shard_vanished":
            assert gap.shard is not None
            return not self._is_there(gap.shard)
        return True

    def _is_there(self, shard_id: str) -> bool:
        return shard_id in self.source.model.shards and shard_id not in self.source.gone

    def is_set_aside(self, number: int) -> bool:
        """A record with a bad envelope stands in quarantine."""
        written = self.written[number]
        if written.line is not None:
            return False
        files = Landing(self.store, self.table).quarantined()
        return any(record.payload == written.payload for file in files for record in file.records)

    # ---- at each commit

    def check_claim(self, claimed_ms: int) -> None:
        """What the target claims to be complete up to, it is. [8.3, watermark honesty]"""
        assert self.manifest is not None
        for number, change in self.changes.items():
            if change.ms >= claimed_ms or self.written[number].line is None or number in self.early:
                continue
            is_excused = self.is_lost(number) or self._is_hidden(number, self.manifest)
            if self.published_in.get(number) not in self.applied and not is_excused:
                raise Violation("I6", f"complete through {claimed_ms} is claimed, and {number} is missing")


def _tells(gaps: Sequence[Gap], shard_id: str) -> bool:
    return any(gap.shard == shard_id or gap.kind == "stream_replaced" for gap in gaps)


class StreamWorld(World):
    """A table with a stream."""

    judge: StreamJudge

    # ---- its parts

    def make_source(self, setup: Setup) -> None:
        self.source = ModelSource(
            self.clock, table=TABLE, shards=setup.shards, seed=self.plan.seed, first_number=setup.first_number
        )
        self.source.page_records, self.source.repeats = setup.page_records, setup.repeats
        self.is_replaced = self.is_disordered = False
        self._listed_again_ms = -LISTED_MS

    def make_judge(self, **parts: Any) -> StreamJudge:
        parents = {shard_id: shard.parent for shard_id, shard in self.source.model.shards.items()}
        return StreamJudge(**parts, source=self.source, parents=parents)

    def stream(self) -> Any:
        """As one process sees it."""
        return self.source

    def make_capturer(self, process: Process, landing: Landing) -> Capturer:
        setup = self.plan.setup
        return Capturer(
            FaultySource(self.stream(), process),
            landing,
            CaptureSettings(
                flush_seconds=setup.flush_seconds, flush_bytes=setup.flush_bytes, buffer_bytes=setup.buffer_bytes
            ),
            process.clock,
            process.name,
            on_published=process.on_published,
            executor=InlineExecutor(),
        )

    def record(self, key: str, image: Mapping[str, Any] | None, *, expired: bool) -> str:
        written = self.source.write(key, remove=image is None, expired=expired, image=image)
        self.judge.wrote(written, Change(key, image, self.clock.ms, expired))
        return f"{written.number} in {written.shard_id[-8:]}"

    @property
    def takes_writes(self) -> bool:
        return not self.is_replaced  # the stream belongs to another table by then

    def begin_turn(self) -> None:
        if self.source.unlisted and self.clock.ms >= self._listed_again_ms:
            self.source.unlisted = set()

    # ---- what befalls it

    def do_poison(self, bits: Bits) -> None:
        if self.is_replaced:
            return
        odd = bits.of(({"Keys": None}, {"eventName": "UPSERT"}, {"SequenceNumber": None}))
        self.values += 1
        written = self.source.write("poison", self.values, **odd)
        self.judge.wrote(written, Change("poison", None, self.clock.ms))
        self.note("", f"poison as {written.number}")

    def do_split(self, bits: Bits) -> None:
        self.source.split()
        self._note_lineage()

    def do_roll(self, bits: Bits) -> None:
        self.source.roll()
        self._note_lineage()

    @property
    def is_looked_at(self) -> bool:
        """Before the first look at a stream all of it is listed: nobody could tell what is not."""
        manifest = self.judge.manifest
        return manifest is not None and manifest.incarnation == self.source.table

    def do_hide(self, bits: Bits) -> None:
        if not self.is_looked_at:
            return
        self.source.model.hide_children_seconds = bits.of((0, 2, 100))

    def do_empty(self, bits: Bits) -> None:
        self.source.empty_pages = bits.below(3)  # three in a row count as the tip

    def do_fail(self, bits: Bits) -> None:
        operation = bits.of(("incarnation", "shards", "iterator", "read"))
        kinds = [Throttled, ServiceUnavailable, *([IteratorExpired] if operation == "read" else [])]
        self.source.errors[operation] = [
            bits.of(kinds)("simulated", hint="It is simulated.") for _ in range(1 + bits.below(5))
        ]

    def do_expire(self, bits: Bits) -> None:
        self.source.expire_iterators()

    def do_deny(self, bits: Bits) -> None:
        self.source.denied = set() if self.source.denied else {bits.of(("shards", "iterator", "read"))}

    def do_unlist(self, bits: Bits) -> None:
        """Listings lack some shards for a while, and then for a while they do not."""
        if not self.is_looked_at or self.clock.ms < self._listed_again_ms + LISTED_MS:
            return
        shards = sorted(self.source.model.shards)
        self.source.unlisted = {bits.of(shards) for _ in range(1 + bits.below(3))}
        self.clock.ms += 11_000  # so that somebody looks
        self._listed_again_ms = self.clock.ms + UNLISTED_MS

    def do_age(self, bits: Bits) -> None:
        self.source.age(bits.of((13, 25)) * 3600)
        self._note_lost()

    def do_vanish(self, bits: Bits) -> None:
        """The oldest go first."""
        there = {i: s for i, s in self.source.model.shards.items() if i not in self.source.gone}
        closed = sorted(i for i, s in there.items() if s.last is not None and s.parent not in there)
        if closed:
            self.source.gone.add(bits.of(closed))
            self._note_lost()

    def do_digits(self, bits: Bits) -> None:
        """Numbers become longer at once."""
        number = bits.of((10**21, 10**22, 10**30, 10**39))
        ends = (shard.last or shard.first for shard in self.source.model.shards.values())
        if not self.is_disordered and number > max([*ends, *self.judge.changes]):
            self.source.model.skip_to(number)

    def do_disorder(self, bits: Bits) -> None:
        """What AWS has never been seen to do: children whose numbers are smaller than their parents'."""
        if self.is_disordered or not self.judge.changes:
            return
        self.is_disordered = True
        for shard_id in [i for i, s in sorted(self.source.model.shards.items()) if s.last is None]:
            self.source.roll(shard_id)
        self._note_lineage()
        self.source.model.skip_to(min(self.judge.changes) - DISORDER)

    def do_replace(self, bits: Bits) -> None:
        """Another table, or another stream, answers under the name; the old stream says nothing more."""
        if not self.is_replaced and self.judge.manifest is not None:
            self.is_replaced = True
            self.source.replace_table(**bits.of(({"table_id": "id-2"}, {"stream_arn": "arn:other"})))

    def _note_lineage(self) -> None:
        self.judge.parents.update({i: s.parent for i, s in self.source.model.shards.items()})

    def _note_lost(self) -> None:
        for number in self.judge.changes:
            if self.judge.is_lost(number) and number not in self.judge.published_in:
                self.unsure.add(self.judge.changes[number].key)

    # ---- the end

    def calm(self) -> None:
        source = self.source
        source.denied, source.errors, source.unlisted = set(), {}, set()
        source.empty_pages, source.page_records = 0, 1000
        source.model.hide_children_seconds = 0

    def is_settled(self, turn: int) -> bool:
        manifest = self.judge.manifest
        if manifest is None or len(self.judge.applied) != manifest.next_number - 1:
            return False
        if self.is_replaced:
            return manifest.state == "SOURCE_CHANGED"
        if self.is_disordered and turn > DISORDER_TURNS and manifest.state == "PAUSED":
            return True
        is_shown = manifest.state in self.final_states or bool(manifest.open_gaps)
        return is_shown and super().is_settled(turn)

    @property
    def final_states(self) -> tuple[str, ...]:
        """What a state without trouble is in the end. Clocks that disagree by hours may hold back what follows a base."""
        return ("CONSISTENT",) if self.judge.time_is_exact else ("CONSISTENT", "CATCHING_UP")

    def check_end(self, manifest: Manifest) -> None:
        """Everything is published that is not lost, and the state says how it is. [I2, I14, I16]"""
        if self.is_replaced:
            if manifest.state != "SOURCE_CHANGED":
                raise Violation("I16", f"another stream answers, and the state is {manifest.state}")
        elif self.is_disordered:
            self.hits["disorder ends"] += 1
        elif not manifest.gaps and (manifest.state not in self.final_states or not self.is_settled(0)):
            raise Violation("I16", f"faults have stopped, and the state is {manifest.state}")
        for shard_id, numbers in sorted(self.judge.unpublished.items()):
            for number in sorted(numbers):
                self._check_missing(shard_id, number, manifest)

    def _check_missing(self, shard_id: str, number: int, manifest: Manifest) -> None:
        judge = self.judge
        if judge.is_set_aside(number):
            return
        self.unsure.add(judge.changes[number].key)
        if self.is_replaced or (self.is_disordered and manifest.pause is not None):
            return
        if not judge.is_lost(number):
            raise Violation("I2", f"{number} of {shard_id} was never published")
        if not manifest.open_gaps and number not in judge.early:
            raise Violation("I14", f"{number} of {shard_id} was lost, and no gap tells")
