"""Planted defects: one rule of the real code broken at a time, by editing its source. The simulator must notice each.

A simulator that finds nothing may be blind. So every defect here is a mistake that somebody could make, or has made; the edit
names the text that it replaces, and fails when that text is no longer there.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tailrace.testing.sim.patches import patched
from tailrace.testing.sim.plan import CAPTURES
from tailrace.testing.sim.run import run_seeds

CAPTURE: Final = "tailrace.jobs.capture:Capturer"
READER: Final = "tailrace.capture.reader:ShardReader"
LINEAGE: Final = "tailrace.decide.lineage:"
LANDING: Final = "tailrace.landing.landing:Landing"
LOADER: Final = "tailrace.jobs.load:Loader"
TARGET: Final = "tailrace.testing.sim.target:"
BACKFILL: Final = "tailrace.jobs.backfill"
COMPACT: Final = "tailrace.jobs.compact"
EXPORTS: Final = "tailrace.jobs.exports:ExportCapturer"
WINDOWS: Final = "tailrace.decide.windows:"
REPAIR: Final = "tailrace.decide.repair:"
REPAIRER: Final = "tailrace.jobs.repair:Repairer"


@dataclass(frozen=True, slots=True)
class Defect:
    """`edits`: where (``module:function`` or ``module:Class.method``), and what becomes of which text there.

    A constant is edited by its whole value.
    """

    name: str
    what: str
    edits: tuple[tuple[str, str, str], ...]
    capture: str = "stream"  # whose histories can show it; "exports" are tiling and sliding ones

    def may_show_in(self, seed: int) -> bool:
        """Whether the history of this seed is of a kind that has the broken rule in it."""
        return CAPTURES[seed % len(CAPTURES)] in _KINDS.get(self.capture, (self.capture,))


_KINDS: Final[Mapping[str, tuple[str, ...]]] = {"stream": ("stream", "scan"), "exports": ("tiling", "sliding")}


def _one(name: str, what: str, where: str, old: str, new: str, capture: str = "stream") -> Defect:
    return Defect(name, what, ((where, old, new),), capture)


_ENTRIES: Final = (
    "            entries = [\n"
    "                self._landing.write_segment(draft).entry(manifest.next_number, now_ms, captured_ms, manifest.epoch)\n"
    "            ]\n"
)

STREAM: Final = (
    _one(
        "mark_before_segment",
        "the marks move in a swap of their own, before the one that lists the segment",
        f"{CAPTURE}._flush",
        "        self._publish(\n",
        "        if entries:\n"
        "            self._publish(replace(manifest, shards=shards))\n"
        "            manifest = replace(manifest, version=self._manifest.version)\n"
        "        self._publish(\n",
    ),
    _one(
        "segment_before_mark",
        "the segment is listed in a swap of its own, before the one that moves the marks",
        f"{CAPTURE}._flush",
        "        self._publish(\n",
        "        if entries:\n"
        "            listed = (*manifest.segments, *entries)\n"
        "            self._publish(replace(manifest, segments=listed, next_number=manifest.next_number + len(entries)))\n"
        "            manifest = replace(manifest, version=self._manifest.version)\n"
        "        self._publish(\n",
    ),
    _one(
        "segment_after_swap",
        "the segment is written after the swap that lists it",
        f"{CAPTURE}._flush",
        _ENTRIES,
        "            store = self._landing.store\n"
        "            late = []\n"
        "            class Late:\n"
        "                def __getattr__(self, name):\n"
        "                    return getattr(store, name)\n"
        "                def create(self, *what):\n"
        "                    late.append(what)\n"
        "            self._landing.store = Late()\n" + _ENTRIES + "            self._landing.store = store\n",
    ),
    _one(
        "buffer_dropped_early",
        "what was read is forgotten before the swap has happened",
        f"{CAPTURE}._flush",
        "        self._publish(\n",
        "        for reader in readers:\n            reader.published()\n        self._publish(\n",
    ),
    _one(
        "child_first",
        "a child is read while its parent is not finished",
        f"{LINEAGE}ready_shards",
        "and not waits(shards, shard)",
        "",
    ),
    _one(
        "empty_is_the_end",
        "an empty page is taken for the end of a closed shard",
        f"{READER}.take",
        "self.ended = page.next_iterator is None",
        "self.ended = page.next_iterator is None or (not page.records and asked_ms is None)",
    ),
    _one(
        "ended_before_its_last_page",
        "the records that come with the null iterator are not kept",
        f"{READER}.take",
        "created_ms = self._take_records(page)",
        "created_ms = None if page.next_iterator is None else self._take_records(page)",
    ),
    _one(
        "text_order",
        "sequence numbers are compared as text",
        f"{READER}._take_records",
        "if self.read_to is not None and number <= self.read_to:",
        "if self.read_to is not None and str(number) <= str(self.read_to):",
    ),
    _one(
        "latest_for_children",
        "a shard that was found later is read from its newest record on",
        f"{READER}.fetch",
        "self.iterator = source.iterator(self.shard_id, after=after)",
        "self.iterator = source.iterator(self.shard_id, after=after, latest=after is None)",
    ),
    _one(
        "doubles_kept",
        "records that come twice are kept twice",
        f"{READER}._take_records",
        "if self.read_to is not None and number <= self.read_to:",
        "if False:",
    ),
    _one(
        "expired_to_the_horizon",
        "after an expired iterator a shard is read from its beginning",
        f"{CAPTURE}._take",
        "            reader.iterator = None\n",
        "            reader.iterator = reader.read_to = None\n",
    ),
    _one(
        "expired_to_the_end",
        "after an expired iterator a shard is read from its newest record on",
        f"{CAPTURE}._take",
        "            reader.iterator = None\n",
        "            reader.iterator = self._source.iterator(reader.shard_id, latest=True)\n",
    ),
    _one(
        "no_order_check",
        "nobody looks whether a child's numbers follow its parent's",
        f"{LINEAGE}order_violation",
        "if shards[shard_id].mark is not None:",
        "if True:",
    ),
    _one(
        "order_check_of_the_parent_only",
        "a parent without a record vouches for the numbers before it",
        f"{LINEAGE}order_violation",
        "        parent_id = parent.parent\n",
        "        parent_id = None\n",
    ),
    _one(
        "order_check_as_text",
        "parents' and children's numbers are compared as text",
        f"{LINEAGE}order_violation",
        "first <= before",
        "str(first) <= str(before)",
    ),
    _one(
        "refusal_forgotten",
        "a pause that comes and goes hides that a shard is refused for its order",
        f"{CAPTURE}._pause_left",
        "if refused is not None:",
        "if False:",
    ),
    _one(
        "trimmed_is_finished",
        "a shard whose position was trimmed counts as finished, without a gap",
        f"{CAPTURE}._trimmed",
        "        self._flush()\n",
        "        reader.ended = True\n        self._flush()\n        return\n",
    ),
    _one(
        "trimmed_goes_on",
        "behind a trimmed position reading goes on, without a gap",
        f"{CAPTURE}._trimmed",
        "            self._publish_gaps(Lineage(self._manifest.shards, (gap,)))\n",
        "            pass\n",
    ),
    _one(
        "gap_not_shown",
        "a gap is recorded, and the state is as if there were none",
        f"{CAPTURE}._publish_gaps",
        'state=manifest.state if manifest.state == "SOURCE_CHANGED" else "GAP"',
        "state=manifest.state",
    ),
    _one(
        "gap_replaces_gaps",
        "a new gap takes the place of the known ones",
        f"{CAPTURE}._publish_gaps",
        "gaps = (*self._manifest.gaps, *",
        "gaps = (*(), *",
    ),
    _one(
        "vanished_silently",
        "a shard that left the listing unread is finished, without a gap",
        f"{LINEAGE}merge_listing",
        "            if shard.mark is None or shard.mark != shard.last:\n",
        "            if False:\n",
    ),
    _one(
        "vanished_at_once",
        "one listing that lacks a shard is enough to give it up",
        f"{LINEAGE}merge_listing",
        "elif now_ms - absent_since_ms.get(shard_id, now_ms) < ABSENT_MS:",
        "elif shard_id not in absent_since_ms:",
    ),
    _one(
        "finished_forgotten",
        "a finished shard is forgotten while the stream still has it",
        f"{LINEAGE}merge_listing",
        "        if info is not None:\n",
        "        if info is not None and shard.finished_ms is not None:\n            continue\n        if info is not None:\n",
    ),
    _one(
        "no_retention",
        "a shard that nobody looked at for more than a day has lost nothing",
        f"{LINEAGE}unread_beyond_retention",
        "if not changed:",
        "if True:",
    ),
    _one(
        "retention_before_the_read_only",
        "a process that sleeps for days between its look at the clock and its read notices nothing",
        f"{CAPTURE}._take_page",
        "self._check_retention([reader])",
        "pass",
    ),
    _one(
        "listed_late_is_young",
        "a shard that listings lacked counts as born when one shows it, so what it lost before goes untold",
        f"{LINEAGE}_born_after",
        "    if parent in began_ms:\n        return began_ms[parent]\n",
        "    if parent in began_ms:\n        return now_ms\n",
    ),
    _one(
        "poison_dropped",
        "a record with a bad envelope is passed over and not set aside",
        f"{READER}._set_aside",
        "        self.poison.append(aside)\n",
        "",
    ),
    _one(
        "poison_stops_its_shard",
        "a record with a bad envelope is read again and again",
        f"{READER}._take_records",
        "                self._set_aside(record, error)\n                continue\n",
        "                break\n",
    ),
    _one(
        "stand_by_keeps_all",
        "a worker that lost to another one keeps what the other has published",
        f"{CAPTURE}._give_way",
        "self._readers.clear()",
        "pass",
    ),
    _one(
        "another_stream_ignored",
        "it does not matter which table or stream answers under the name",
        f"{CAPTURE}._look",
        "if found != known:",
        "if False:",
    ),
    _one(
        "watermark_of_the_fastest",
        "captured through is the furthest shard, not the slowest",
        f"{CAPTURE}._captured_through_ms",
        "min(throughs)",
        "max(throughs)",
    ),
    _one(
        "watermark_without_children",
        "captured through moves on while a closed shard's children are not listed",
        f"{CAPTURE}._captured_through_ms",
        "if self._leaves:",
        "if False:",
    ),
    _one(
        "first_empty_page_is_the_tip",
        "one empty page means that there is nothing more",
        f"{READER}.take",
        "if self.at_tip and not self.ended and asked_ms is not None:",
        "if self.empty_pages and not self.ended and asked_ms is not None:",
    ),
    _one(
        "ttl_marker_lost",
        "a delete by TTL looks like any other",
        "tailrace.capture.records:_expired",
        "if identity and TTL_PRINCIPAL in",
        "if identity and TTL_PRINCIPAL * 2 in",
    ),
)

STORE: Final = (
    _one(
        "swap_forced",
        "who loses a swap writes all the same",
        f"{LANDING}.save",
        "            saved = self._settle(data, document_version, error)\n",
        "            now = self.store.read(self._name(MANIFEST)).version\n"
        "            saved = Published(manifest, self.store.replace(self._name(MANIFEST), data, now))\n",
    ),
    _one(
        "unknown_is_done",
        "a swap without an answer counts as done",
        f"{LANDING}.save",
        "            saved = self._settle(data, document_version, error)\n",
        "            if isinstance(error, StateContended):\n"
        "                raise\n"
        "            saved = Published(manifest, hashlib.sha256(data).hexdigest())\n",
    ),
    _one(
        "nonce_is_enough",
        "a manifest of our own nonce and version is taken for the one that we wrote last",
        f"{LANDING}._settle",
        "        if found is not None and found.manifest.to_bytes() == data:",
        "        ours = Manifest.from_bytes(data)\n"
        "        if found is not None and (found.manifest.version, found.manifest.writer) == (ours.version, ours.writer):",
    ),
    _one(
        "named_by_its_start",
        "a segment's name holds its first position only, so two contents have one name",
        "tailrace.landing.names:changes_name",
        "{first}-{last}-{sha256[:8]}",
        "{first}",
    ),
    _one(
        "page_loses_one",
        "the oldest entry is not among those that move to a page",
        f"{LANDING}._write_page",
        "for segment in entries]}",
        "for segment in entries[1:]]}",
    ),
    _one(
        "page_not_written",
        "old entries leave the manifest, and the page that holds them is not there",
        f"{LANDING}._write_page",
        "        self.store.create(self._name(name), data)\n",
        "",
    ),
)

LOAD: Final = (
    _one(
        "ledger_before_lock",
        "the ledger is read before the lock is taken",
        f"{TARGET}TargetClient._begin",
        '        self._effects.read("target lock", lambda: self._target.lock(owner))\n'
        '        held: set[int] = self._effects.read("target ledger under lock", lambda: self._target.held(numbers))\n',
        '        held: set[int] = self._effects.read("target ledger under lock", lambda: self._target.held(numbers))\n'
        '        self._effects.read("target lock", lambda: self._target.lock(owner))\n',
    ),
    _one(
        "ledger_not_read_again",
        "what was planned is applied, whatever another loader did meanwhile",
        f"{TARGET}TargetClient._begin",
        "return held",
        "return set()",
    ),
    _one(
        "ledger_in_its_own_transaction",
        "rows are committed first, their ledger rows afterwards",
        f"{TARGET}TargetClient._apply",
        '        self._effects.write("target commit", lambda: self._target.commit(load, fresh, rows, plan.columns))\n',
        '        self._effects.write("target rows", lambda: merge(self._target.contents, rows, is_replay=False))\n'
        '        self._effects.write("target commit", lambda: self._target.commit(load, fresh, [], plan.columns))\n',
    ),
    _one(
        "no_fence",
        "a loader that lost its lease in its sleep commits all the same",
        f"{TARGET}TargetClient._apply",
        "        check_fence(load, self._target.contents.fence)\n",
        "",
    ),
    _one(
        "lease_for_ever",
        "the lease of a loader that died does not run out",
        "tailrace.decide.lease:is_held",
        " and 0 < lease.until_ms - now_ms <= 2 * _MS",
        "",
    ),
    _one(
        "unknown_commit_is_done",
        "a commit without an answer counts as done",
        f"{LOADER}._load",
        "        applied = self._target.apply(\n",
        "        from tailrace.errors import OutcomeUnknown\n"
        "        from tailrace.targets.target import Applied\n"
        "        def hopefully(*load):\n"
        "            try:\n"
        "                return self._target.apply(*load)\n"
        "            except OutcomeUnknown:\n"
        "                return Applied(len(loaded), 0, 0, ledger.columns)\n"
        "        applied = hopefully(\n",
    ),
    _one(
        "bad_lines_dropped",
        "lines that cannot be decoded are left out and not set aside",
        "tailrace.jobs.load:set_aside",
        "    if records:\n",
        "    if False:\n",
    ),
    _one(
        "bad_lines_after_commit",
        "lines that cannot be decoded are set aside after the commit that leaves them out",
        f"{LOADER}._load",
        "            set_aside(self._landing, segment, rejected)\n",
        "            pass\n",
    ),
    _one(
        "decoded_ahead_of_something_else",
        "what was decoded ahead is taken for what is wanted, whatever that is",
        f"{LOADER}._begun_before",
        "begun[0] != segments",
        "len(begun[0]) != len(segments)",
    ),
    _one(
        "old_attributes_stay",
        "an attribute that an item no longer has keeps its value in the target",
        f"{TARGET}merge",
        "            contents.rows[row.key] = row\n",
        "            before = NOTHING if standing is None else standing.values\n"
        "            from dataclasses import replace\n"
        "            contents.rows[row.key] = replace(row, values={**before, **row.values})\n",
    ),
)

PITR: Final = (
    _one(
        "window_skipped",
        "a window whose export failed is given up",
        f"{EXPORTS}._failed",
        "        again = retried(plan, why, self._clock.now_ms())\n",
        "        again = retried(plan, why, self._clock.now_ms())\n"
        "        if plan.window is not None:\n"
        "            end = plan.window.end + (plan.window.end - plan.window.start)\n"
        "            again = replace(again, window=type(plan.window)(plan.window.end, end), moment=end)\n",
        "exports",
    ),
    _one(
        "failed_is_empty",
        "a failed export is an empty window",
        f"{EXPORTS}._look",
        '            return self._failed(plan, f"the export failed: {answer.code} {answer.message}".strip())\n',
        "            last = self._manifest.next_number - 1\n"
        "            self._publish(replace(self._manifest, exports=published(self._state, plan, last + 1, last, 0),"
        " captured_through_ms=plan.moment * 1000))\n"
        "            return 0.0\n",
        "exports",
    ),
    _one(
        "windows_overlap",
        "a tiling window begins five minutes early, as one overlaps streams",
        f"{WINDOWS}next_start",
        "else windows[-1].end",
        "else windows[-1].end - 300",
        "tiling",
    ),
    _one(
        "start_skipped",
        "after an outage sliding windows go on at the newest start",
        f"{WINDOWS}plan_export",
        "    if rule.slides:\n",
        "    if rule.slides:\n"
        "        start += max(0, restorable.latest - start - rule.width - 2 * rule.step) // rule.step * rule.step\n",
        "sliding",
    ),
    _one(
        "nothing_settled",
        "keys that came in an overlap and went behind it are not looked up",
        f"{EXPORTS}._settled",
        "if not lines:",
        "if True:",
        "sliding",
    ),
    _one(
        "settled_blindly",
        "keys without a record in an overlapping window are deleted without a look",
        "tailrace.jobs.settle:settled_lines",
        "found.get(canonical_key(keys, key))",
        "None",
        "sliding",
    ),
    _one(
        "one_token_for_all_attempts",
        "a repeated export bears the token of the failed one",
        f"{WINDOWS}client_token",
        "|{prefix}|{start}|{plan.moment}|{plan.attempt}",
        "|{start}|{plan.moment}",
        "exports",
    ),
    _one(
        "files_not_compared",
        "that a file is there is enough",
        "tailrace.jobs.exports:Exporter._check_file",
        "if self._landing.md5(file.name) != file.md5:",
        "if False:",
        "exports",
    ),
    _one(
        "recovery_gap_ignored",
        "that recovery no longer reaches back to the next window is not noticed",
        f"{WINDOWS}pitr_gap",
        "if restorable.earliest > start:",
        "if False:",
        "exports",
    ),
    _one(
        "recovery_compared_with_the_base",
        "recovery must reach back to the full export, however old that is",
        f"{EXPORTS}._restorable",
        "gap = pitr_gap(start, restorable, self._clock.now_ms())",
        "gap = pitr_gap(self._state.base, restorable, self._clock.now_ms())",
        "exports",
    ),
    _one(
        "another_table_ignored",
        "it does not matter which table answers under the name",
        f"{EXPORTS}._check",
        "if found != known:",
        "if False:",
        "exports",
    ),
    _one(
        "window_load_mixes",
        "one load takes segments of several windows under one order",
        "tailrace.decide.load:pending",
        "_company(segment, one_each) != _company(chosen[0], one_each)",
        "False",
        "exports",
    ),
)

SCAN: Final = (
    _one(
        "base_beats_changes",
        "rows of the base are ordered as if they were changes of now",
        "tailrace.decide.load:order_class",
        "CLASS_BASE if segment.kind",
        "CLASS_CHANGE if segment.kind",
        "scan",
    ),
    _one(
        "last_arrival_wins",
        "a row that comes later replaces what stands, whatever its position",
        f"{TARGET}merge",
        "if standing is None or row.position > standing.position:",
        "if True:",
        "scan",
    ),
    _one(
        "no_tombstones",
        "a deleted key leaves nothing behind",
        f"{TARGET}merge",
        "            contents.rows[row.key] = row\n",
        "            contents.rows[row.key] = row\n"
        '            if row.op == "d":\n'
        "                del contents.rows[row.key]\n",
        "scan",
    ),
    _one(
        "page_without_bytes",
        "the position of a scan moves on, and one of its files is not listed",
        f"{BACKFILL}:_with_base",
        "if reader.written is not None]",
        "if reader.written is not None][1:]",
        "scan",
    ),
    _one(
        "scan_forgets_its_page",
        "what was read of a scan segment is dropped when another worker published, and its position is not",
        f"{BACKFILL}:Backfiller._adopt",
        "                del self._readers[part]\n",
        "                self._readers[part].lines = []\n",
        "scan",
    ),
    _one(
        "first_part_is_the_end",
        "the base is complete when one scan segment is",
        "tailrace.decide.scan:is_complete",
        "all(",
        "any(",
        "scan",
    ),
    _one(
        "scan_stand_by_keeps_all",
        "pages that another worker has published meanwhile are published again",
        f"{BACKFILL}:Backfiller._adopt",
        "(after and after.parts[part] != reader.before)",
        "False",
        "scan",
    ),
    _one(
        "scan_before_capture",
        "the scan begins before the stream's shards are on record, and capture from then on only",
        f"{CAPTURE}._open",
        "self._settings.start, asked_ms)",
        '"LATEST", asked_ms + 900_000)',
        "scan",
    ),
)

COMPACTION: Final = (
    _one(
        "wrong_place",
        "compacted segments are said to lie one byte further",
        f"{LANDING}.write_compacted",
        "initial=0",
        "initial=1",
    ),
    _one(
        "inputs_deleted_at_once",
        "what was compacted is deleted without a grace",
        f"{COMPACT}:Compactor.step",
        "if garbage.since_ms <= due_ms",
        "if True",
    ),
    _one(
        "inputs_deleted_before_the_swap",
        "what is compacted is deleted before the manifest says where it lies now",
        f"{COMPACT}:Compactor._gather",
        "        by_number =",
        "        for segment, place in zip(inputs, places, strict=True):\n"
        "            self._landing.delete_object_of(replace(segment, place=place))\n"
        "        by_number =",
    ),
    _one(
        "inputs_not_looked_at_again",
        "two workers compact the same segments, and the second swap takes the first one's place",
        f"{COMPACT}:Compactor._gather",
        "if [s for s in self._entries(manifest, first, last) if s.number in by_number] != list(inputs):",
        "if False:",
    ),
)

REPAIRS: Final = (
    _one(
        "repaired_from_its_detection_on",
        "the missing window begins when the gap was noticed, not when the last change before it was captured",
        f"{REPAIR}missing_since",
        "gap.since_ms for",
        "gap.detected_ms for",
        "repair",
    ),
    _one(
        "repaired_up_to_now",
        "the missing window ends at what can be exported at once, which is before the marks of the new epoch",
        f"{REPAIR}choose_end",
        "is_behind = restorable.latest * 1000 > repair.begun_ms + EXPORT_MARGIN_MS",
        "is_behind = True",
        "repair",
    ),
    _one(
        "repair_skips_a_minute",
        "between two exports of a repair a minute is left out",
        f"{REPAIR}next_window",
        "Window(through, ",
        "Window(through + 60, ",
        "repair",
    ),
    _one(
        "repair_without_settling",
        "keys of which the exports of a repair tell nothing are not read",
        f"{REPAIRER}._read_keys",
        "key_lines(self._table, keys, wanted)",
        "[]",
        "repair",
    ),
    _one(
        "repair_leaves_what_is_gone",
        "keys that a repair looks up and does not find are left as they are",
        "tailrace.jobs.settle:key_lines",
        "        lines.append(encode(gone",
        "        if item is not None:\n            lines.append(encode(gone",
        "repair",
    ),
    _one(
        "repair_beats_changes",
        "exported rows of a repair are ordered as changes, behind those of the stream",
        f"{REPAIRER}._window",
        'replace(entry, kind="base")',
        "entry",
        "repair",
    ),
    _one(
        "closed_before_its_rows",
        "gaps are closed while the export that fills them is under way",
        f"{REPAIRER}._window",
        "            return self._poll_seconds\n",
        "            now_ms = self._clock.now_ms()\n"
        "            self._publish(finished(manifest, now_ms, repair.last_number), published)\n"
        "            return 0.0\n",
        "repair",
    ),
    _one(
        "closed_with_later_ones",
        "the end of a repair closes gaps that were found while it was under way",
        f"{REPAIR}finished",
        'if gap.state == "repairing" else gap',
        "if True else gap",
        "repair",
    ),
    _one(
        "sweep_before_the_base",
        "the sweep comes when the new base has begun, not when it is complete",
        f"{REPAIRER}._full",
        "is_complete = base is not None and base.shows_ms is not None",
        "is_complete = base is not None",
        "repair",
    ),
    _one(
        "no_sweep",
        "what a new base does not hold stays",
        f"{TARGET}ModelTarget.commit",
        'if any(s.segment.kind == "sweep" for s in fresh)',
        "if False",
        "repair",
    ),
    _one(
        "sweep_takes_changes",
        "a sweep takes all but the rows of the new base, also what the stream brought since",
        f"{TARGET}sweep",
        "if row.position < first",
        'if row.op != "r"',
        "repair",
    ),
    _one(
        "epochs_are_equal",
        "rows of the new epoch are ordered among those of the old one",
        "tailrace.decide.load:order_prefix_of",
        "order_prefix(segment.epoch, ",
        "order_prefix(1, ",
        "repair",
    ),
    _one(
        "page_of_an_older_epoch",
        "a page that was read before a repair began is published as part of its base",
        f"{BACKFILL}:Backfiller._adopt",
        "and after.epoch == self._manifest.epoch",
        "and True",
        "repair",
    ),
    _one(
        "manifest_of_another_table",
        "a backfiller that met another table keeps the manifest of before its repair",
        f"{BACKFILL}:Backfiller._check_source",
        "self._published, self._buffered_since = None, None",
        "pass",
        "repair",
    ),
    _one(
        "repair_in_vain",
        "a repair goes on although its source was replaced again",
        f"{REPAIRER}._is_in_vain",
        'return is_other or _state(manifest).kind == "full"',
        "return False",
        "repair",
    ),
    _one(
        "old_base_is_enough",
        "the base of the epoch before counts for the new one",
        "tailrace.decide.base:base_of",
        "if scan is not None and scan.epoch == epoch:",
        "if scan is not None:",
        "repair",
    ),
    _one(
        "new_stream_from_now_on",
        "of a stream that took another one's place only what comes from now on is read",
        f"{REPAIRER}._found",
        '"TRIM_HORIZON"',
        '"LATEST"',
        "repair",
    ),
)

DEFECTS: Final[Mapping[str, Defect]] = {
    defect.name: defect for defect in (*STREAM, *STORE, *LOAD, *SCAN, *COMPACTION, *PITR, *REPAIRS)
}


@dataclass(frozen=True, slots=True)
class Catch:
    """How a defect was noticed: after so many histories, in this one, by this rule. `seed` None: not at all."""

    name: str
    histories: int
    seed: int | None = None
    rule: str = ""


def catch(name: str, histories_max: int) -> Catch:
    """Run histories that can show a defect, in the order of their seeds, until one does."""
    defect = DEFECTS[name]
    seeds = itertools.islice((seed for seed in itertools.count() if defect.may_show_in(seed)), histories_max)
    with planted(defect):
        summary = run_seeds(seeds, until=lambda outcome: outcome.violation is not None)
    if not summary.failures:
        return Catch(name, summary.histories)
    seed, violation = summary.failures[0]
    return Catch(name, summary.histories, seed, violation[1 : violation.index("]")])


def catch_all(histories_max: int, jobs: int) -> Iterator[Catch]:
    """Every defect, in several processes; in the catalogue's order."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(catch, DEFECTS, itertools.repeat(histories_max))


@contextlib.contextmanager
def planted(defect: Defect) -> Iterator[None]:
    """The product with this defect, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        for where, old, new in defect.edits:
            module_name, _, path = where.partition(":")
            module = importlib.import_module(module_name)
            class_name, _, name = path.rpartition(".")
            owner: Any = getattr(module, class_name) if class_name else module
            original = vars(owner)[name]
            edited = _edited(original, module, old, new)
            for place in _places(owner, name, original):
                stack.enter_context(patched(place, name, edited))
        yield


def _places(owner: Any, name: str, original: Any) -> list[Any]:
    """Where a name is bound: a class has its methods to itself, a function was imported by others."""
    if inspect.isclass(owner):
        return [owner]
    modules = [module for key, module in sorted(sys.modules.items()) if key.startswith("tailrace")]
    return [module for module in modules if vars(module).get(name) is original]


def _edited(function: Any, module: Any, old: str, new: str) -> Any:
    """The function with one text of its source replaced, in the module that it came from."""
    source = inspect.getsource(function)
    if old not in source:
        raise LookupError(f"{function.__qualname__} has no {old!r}: the defect must follow the code")
    head = "from __future__ import annotations\n" + ("if True:\n" if source.startswith(" ") else "")
    names: dict[str, Any] = {}
    exec(compile(head + source.replace(old, new, 1), function.__qualname__, "exec"), vars(module), names)
    return names[function.__name__]
