"""Many histories: in this process or in several, with the sums that tell whether anything happened in them at all."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.landing import landing
from tailrace.model.exports import PublishedWindow
from tailrace.model.manifest import Manifest, ShardState
from tailrace.model.segments import Segment
from tailrace.testing.sim.baton import Baton
from tailrace.testing.sim.exports import ExportWorld
from tailrace.testing.sim.patches import patched
from tailrace.testing.sim.plan import COMMON, OF_EXPORTS, OF_REPAIRS, OF_SCANS, STRIKES, Capture, Plan, draw
from tailrace.testing.sim.repairs import RepairWorld
from tailrace.testing.sim.scans import ScanWorld
from tailrace.testing.sim.streams import StreamWorld
from tailrace.testing.sim.world import Outcome, World

CHUNK: Final = 200  # histories that a process runs before it reports
COLLECT_EVERY: Final = 10  # histories between two garbage collections, which otherwise cost a tenth of the time
FAILURES_KEPT: Final = 20

WORLDS: Final[Mapping[Capture, type[World]]] = {
    "stream": StreamWorld,
    "scan": ScanWorld,
    "repair": RepairWorld,
    "tiling": ExportWorld,
    "sliding": ExportWorld,
}

# What a long run must have met, or it has tested nothing.
MET: Final = (
    *COMMON,
    *OF_SCANS,
    *OF_EXPORTS,
    *OF_REPAIRS,
    *STRIKES,
    "zombie",
    "another writer",
    "commit",
    "loader busy",
    "compacted",
    "deleted",
    "base complete",
    "repair by window",
    "repair by full",
    "repaired by window",
    "repaired by full",
    "gap during a repair",
    "key read by a repair",
    "key swept",
    "repair of another stream",
    "repair of another table",
    "ends in CONSISTENT",
    "ends in GAP",
    "ends in PAUSED",
    "ends in SOURCE_CHANGED",
    "gap shard_vanished",
    "gap stream_trimmed",
    "gap stream_replaced",
    "gap pitr_reset",
    "gap source_replaced",
    "shows CONSISTENT",
    "CAPTURING to BASE_LOADING",
    "PAUSED to BASE_LOADING",
    "BASE_LOADING to GAP",
    "CAPTURING to CONSISTENT",
    "CONSISTENT to GAP",
    "CONSISTENT to PAUSED",
    "PAUSED to CONSISTENT",
    "OutcomeUnknown",
    "PermissionMissing",
    "ServiceUnavailable",
    "SourceChanged",
    "StateContended",
    "TargetBusy",
    "Throttled",
)


@dataclass(slots=True)
class Summary:
    """Sums of many histories. `failures`: (seed, what was wrong), at most a few of them."""

    histories: int = 0
    effects: int = 0
    violations: int = 0
    cpu_seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        self.histories += other.histories
        self.effects += other.effects
        self.violations += other.violations
        self.cpu_seconds += other.cpu_seconds
        self.hits.update(other.hits)
        self.failures = (self.failures + other.failures)[:FAILURES_KEPT]

    @property
    def never_met(self) -> list[str]:
        return [name for name in MET if not self.hits[name]]

    def to_json(self) -> dict[str, Any]:
        return {
            "histories": self.histories,
            "effects": self.effects,
            "violations": self.violations,
            "cpu_seconds": round(self.cpu_seconds, 1),
            "never_met": self.never_met,
            "failures": [{"seed": seed, "violation": what} for seed, what in self.failures],
            "hits": dict(sorted(self.hits.items())),
        }


def run(plan: Plan, baton: Baton) -> Outcome:
    """Run one history."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(patched(Manifest, "from_bytes", staticmethod(_remembering(Manifest.from_bytes, bytes))))
        for part in (Segment, ShardState, PublishedWindow):
            patches.enter_context(patched(part, "from_json", staticmethod(_remembering(part.from_json, repr))))
        if plan.setup.pages_early:
            patches.enter_context(patched(landing, "SEGMENTS_MAX", 4))
            patches.enter_context(patched(landing, "SEGMENTS_KEPT", 2))
        return WORLDS[plan.setup.capture](plan).run(baton)


def _remembering(read: Callable[[Any], Any], key_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`read`, once for each content: what it gives is frozen, and many read the same. This was half of all the work."""
    known: dict[Any, Any] = {}

    def remembered(content: Any) -> Any:
        key = key_of(content)
        if key not in known:
            known[key] = read(content)
        return known[key]

    return remembered


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The jobs log what a daemon would; here nobody reads it, and writing it costs time. Garbage waits, too,
    and what is there already is not searched for any."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
        logging.disable(before)


def run_seeds(seeds: Iterable[int], *, until: Callable[[Outcome], bool] = lambda outcome: False) -> Summary:
    """Run these histories, here, in order; stop behind the first one that `until` says."""
    summary, baton, began = Summary(), Baton(), time.process_time()
    with quiet():
        for number, seed in enumerate(seeds, start=1):
            outcome = run(draw(seed), baton)
            summary.histories += 1
            summary.effects += outcome.effects
            summary.hits.update(outcome.hits)
            if outcome.violation is not None:
                summary.violations += 1
                summary.failures.append((seed, str(outcome.violation)))
            if until(outcome):
                break
            if number % COLLECT_EVERY == 0:
                gc.collect()
    summary.cpu_seconds = time.process_time() - began
    return summary


def run_parallel(seeds: range, jobs: int, on_progress: Callable[[Summary], None]) -> Summary:
    """Run these histories in several processes; which of them runs which changes nothing."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    summary = Summary()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(run_seeds, chunks):
            summary.add(part)
            on_progress(summary)
    return summary


def run_one(plan: Plan) -> Outcome:
    """One history, here."""
    with quiet():
        return run(plan, Baton())


def digest(outcome: Outcome) -> str:
    """Of the whole trace: equal for equal runs, and in all likelihood for no others."""
    return hashlib.sha256(repr(outcome.trace).encode()).hexdigest()
