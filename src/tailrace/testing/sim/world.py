"""A history as it runs: the table and its stream, the store, the target, and processes that do the real work on them.

Every call of a process to one of its ports is an effect. There it may fail, die, or be left alone while the others go on.
"""

from __future__ import annotations

import functools
import math
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tailrace.clock import Budget, ManualClock
from tailrace.decide.load import LoadLimits, shown_state
from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError
from tailrace.jobs.capture import Capturer
from tailrace.jobs.compact import Compactor, CompactSettings
from tailrace.jobs.exports import ExportCapturer
from tailrace.jobs.lease import LoaderLease
from tailrace.jobs.load import Loader
from tailrace.landing import Landing
from tailrace.landing.names import MANIFEST
from tailrace.model.manifest import Manifest
from tailrace.model.repair import RepairState
from tailrace.testing.faults import FaultyStore, SimulatedCrash
from tailrace.testing.sim.baton import Baton, Strand
from tailrace.testing.sim.oracles import Judge, Violation, are_same_values, values_of
from tailrace.testing.sim.plan import Action, Bits, Plan, Setup, Strike
from tailrace.testing.sim.target import ModelTarget, TargetClient
from tailrace.testing.source import InlineExecutor
from tailrace.testing.stores import MemoryStore

TABLE: Final = "orders"
ALL_TURNS: Final = 8  # of the finale in which every process has a say; then one of them brings it to an end
COMPACTED_BYTES: Final = 1500  # a handful of segments
ZOMBIE_TURNS: Final = (8, 40)
TASKS: Final[Mapping[str, str]] = {  # by action
    "flush": "capture",
    "tick": "capture",
    **{task: task for task in ("capture", "load", "backfill", "repair", "compact")},
}
_AS_A_READ: Final[Mapping[str, str]] = {
    "lost_answer": "error",
    "lost_request": "error",
    "late_request": "error",
    "crash_after": "crash_before",
}


AnyCapturer: TypeAlias = Capturer | ExportCapturer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a history. `hits`: how often each fault, error, state and transition was met."""

    seed: int
    violation: Violation | None
    effects: int
    hits: Counter[str]
    trace: list[tuple[int, str, str]]  # (milliseconds since the beginning, who, what)


class WatchedStore(MemoryStore):
    """Tells the judge of each publication, in the moment in which it happens."""

    def __init__(self) -> None:
        super().__init__()
        self.on_manifest: Callable[[bytes], None] = lambda data: None
        self.on_delete: Callable[[str], None] = lambda name: None

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        version = super().replace(name, data, expected)
        if name.endswith(MANIFEST):
            self.on_manifest(data)
        return version

    def delete(self, name: str) -> None:
        super().delete(name)
        self.on_delete(name)


@dataclass(slots=True)
class SkewedClock:
    """A process's idea of the world's time. To wait is to let the world's time pass."""

    clock: ManualClock
    skew_ms: int

    def now_ms(self) -> int:
        return self.clock.ms + self.skew_ms

    def monotonic(self) -> float:
        return self.clock.ms / 1000

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.clock.ms += max(0, math.ceil(seconds * 1000))
        return stop.is_set()


@dataclass(slots=True, eq=False)
class Task:
    """Something that a process does again and again. It may be parked in the middle of it."""

    process: Process
    name: str
    step: Callable[[], None]
    strand: Strand | None = None
    until: int = 0  # the turn from which it may go on


class Process:
    """One worker with what it remembers. Keeps `tailrace.testing.faults.Effects`: all that it does passes here."""

    def __init__(self, world: World, name: str, skew_ms: int) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.clock = SkewedClock(world.clock, skew_ms)
        self._news: Manifest | None = None
        setup = world.plan.setup
        self.capturer = world.make_capturer(self, Landing(FaultyStore(world.store, self), TABLE))
        landing = Landing(FaultyStore(world.store, self), TABLE)
        target = TargetClient(world.target, self)
        self.loader = Loader(
            landing,
            target,
            TABLE,
            "current",
            self.clock,
            LoadLimits(segments=setup.load_segments, rows=setup.load_rows),
            lease=LoaderLease(landing, target.name, name, self.clock) if setup.has_leases else None,
            ahead=InlineExecutor() if setup.decodes_ahead else None,
        )
        self.tasks = {"capture": Task(self, "capture", self._capture), "load": Task(self, "load", self._load)}
        for task, step in world.make_jobs(self).items():
            self.tasks[task] = Task(self, task, step)
        self.wish = "capture"  # what capture does when its turn comes
        self.has_caught_up = False
        self.has_loaded = False
        self.wait_seconds = 0.0

    def read(self, name: str, effect: Callable[[], Any]) -> Any:
        return self.world.effect(self, name, effect, is_write=False)

    def write(self, name: str, effect: Callable[[], Any]) -> Any:
        return self.world.effect(self, name, effect, is_write=True)

    def on_published(self, manifest: Manifest) -> None:
        self._news = manifest

    def _capture(self) -> None:
        self.has_caught_up, self.wait_seconds = False, 1.0
        if self.wish == "flush":
            self.capturer.flush()
            return
        is_tick = self.wish == "tick"
        report = self.capturer.tick(Budget(self.clock, 20)) if is_tick else self.capturer.step()
        self.has_caught_up, self.wait_seconds = report.caught_up, report.wait_seconds

    def _load(self) -> None:
        news = self._news if self.world.plan.setup.hands_manifest_on else None
        self._news, self.has_loaded = None, False
        report = self.loader.step(news)
        if report.blocked is not None:
            raise report.blocked
        self.has_loaded = not report.more and report.busy is None and news is None
        self.world.hits["loader busy"] += report.busy is not None


class World:
    """Runs one plan. Everything in it is decided by the plan, so it runs the same each time.

    What is said here holds of every table; where its changes come from, a subclass knows.
    """

    judge: Judge
    step_ms: Sequence[int] = (10, 300, 1000, 3000)  # what may pass after a step
    sleep_ms: Sequence[int] = (20_000, 700_000, 3_600_000)
    long_ago_ms = 200_000  # what is hidden is listed by then, back-offs and leases are over
    finale_turns = 250  # of all processes, until everything must be consistent

    # ---- what a kind of capture has of its own

    def make_source(self, setup: Setup) -> None:
        """The table, before anybody looks at it."""
        raise NotImplementedError

    def make_judge(self, **parts: Any) -> Judge:
        """Who compares what is published with what was written."""
        raise NotImplementedError

    def make_capturer(self, process: Process, landing: Landing) -> AnyCapturer:
        """A capture job of a process."""
        raise NotImplementedError

    def make_jobs(self, process: Process) -> dict[str, Callable[[], None]]:
        """What else a process does, by name: the steps of other jobs."""
        if self.plan.setup.compact_seconds is None:
            return {}
        landing = Landing(FaultyStore(self.store, process), TABLE)
        settings = CompactSettings(COMPACTED_BYTES, self.plan.setup.compact_seconds)
        compactor = Compactor(landing, settings, process.clock, f"{process.name}-compact")

        def compact() -> None:
            report = compactor.step(Budget(process.clock))
            self.hits["compacted"] += report.outputs
            self.hits["deleted"] += report.deleted

        return {"compact": compact}

    def record(self, key: str, image: Mapping[str, Any] | None, *, expired: bool) -> str:
        """The source is given a write (None: a delete); where it stands, for the trace."""
        raise NotImplementedError

    @property
    def takes_writes(self) -> bool:
        return True

    def begin_turn(self) -> None:
        """Before each action."""

    def begin_effect(self) -> None:
        """Before each effect."""

    def calm(self) -> None:
        """All troubles of the source are over."""
        raise NotImplementedError

    def check_end(self, manifest: Manifest) -> None:
        """What was published is complete, and the state says how it is."""
        raise NotImplementedError

    def is_consistent(self, manifest: Manifest) -> bool:
        """Whether a reader may be told so at the end."""
        return not manifest.open_gaps and manifest.pause is None

    # ---- the course of it

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        setup = plan.setup
        self.clock = ManualClock()
        self.began_ms = self.clock.ms
        self.hits: Counter[str] = Counter()
        self.trace: list[tuple[int, str, str]] = []
        self.store = WatchedStore()
        self.items: dict[str, dict[str, Any]] = {}
        self.unsure: set[str] = set()  # keys of which a change was lost, or cannot be decoded
        self.values = 0
        self.make_source(setup)
        self.target = ModelTarget(self)
        self.judge = self.make_judge(
            store=self.store,
            table=TABLE,
            target=self.target,
            time_is_exact=not any(setup.skew_ms),
            clock=self.clock,
            grace_ms=None if setup.compact_seconds is None else int(setup.compact_seconds * 1000),
        )
        self.store.on_manifest = self._published
        self.store.on_delete = self.judge.deleted
        self._lives = 0
        self.processes = [self._process(skew_ms) for skew_ms in setup.skew_ms]
        self.effects = 0
        self.violation: Violation | None = None
        self._turn = 0
        self._strikes = iter(plan.strikes)
        self._strike: Strike | None = next(self._strikes, None)
        self._running: Task | None = None
        self._late: list[tuple[int, Callable[[], Any]]] = []  # from which turn on, and what
        self._parked: list[Task] = []
        self._doomed: list[Task] = []  # parked tasks of the dead: their stacks unwind first of all
        self._finale = self._finish()
        self._baton: Baton | None = None

    def run(self, baton: Baton) -> Outcome:
        """The whole history. A violation is part of the outcome."""
        self._baton = baton
        baton.run(self._drive)
        return Outcome(self.plan.seed, self.violation, self.effects, self.hits, self.trace)

    def _process(self, skew_ms: int) -> Process:
        self._lives += 1
        return Process(self, f"worker-{self._lives}", skew_ms)

    # ---- whose turn it is

    def _drive(self) -> Strand | None:
        """One turn after another, until a parked task shall go on or everything is over."""
        while True:
            if self._doomed:
                return self._wake(self._doomed.pop())
            if self.violation is not None:
                if not self._parked:
                    return None
                self._kill_all()
                continue
            task = self._take_turn()
            if task is not None:
                return self._wake(task)
            if self._turn > len(self.plan.actions) and not self._parked and self._is_over():
                return None

    def _take_turn(self) -> Task | None:
        """The next action of the plan; afterwards those who are still parked go on. A task to be woken, if any."""
        self.begin_turn()
        if self._late:
            self._arrive()
        if self._turn < len(self.plan.actions):
            action = self.plan.actions[self._turn]
            self._turn += 1
            return self._act(action)
        self._turn += 1
        return self._parked[0] if self._parked else None

    def _is_over(self) -> bool:
        self._guarded(lambda: next(self._finale, None))
        return True

    def _wake(self, task: Task) -> Strand:
        assert task.strand is not None
        if task in self._parked:
            self._parked.remove(task)
        self.note(task.process.name, f"{task.name} goes on")
        strand, task.strand = task.strand, None
        return strand

    def _act(self, action: Action) -> Task | None:
        bits = Bits(action.bits)
        if action.kind in TASKS:
            process = self.processes[bits.below(len(self.processes))]
            task = process.tasks[TASKS[action.kind]]
            if task.strand is not None:
                return task if self._turn >= task.until else None
            if task.name == "capture":
                process.wish = action.kind
            self._step(task)
            self.clock.ms += bits.of(self.step_ms)
        else:
            self.hits[action.kind] += 1
            self._guarded(lambda: getattr(self, f"do_{action.kind}")(bits))
        return None

    def _step(self, task: Task) -> None:
        """Let a task do its next piece. Errors are what a daemon would log."""
        self.note(task.process.name, task.name)
        self._running = task
        self._guarded(task.step, task)
        self._running = None

    def _guarded(self, work: Callable[[], Any], task: Task | None = None) -> None:
        try:
            work()
        except SimulatedCrash:
            pass
        except TailraceError as error:
            self.hits[type(error).__name__] += 1
            self.note("" if task is None else task.process.name, f"{type(error).__name__}: {error}")
        except Violation as violation:
            self._fail(violation)
        except Exception as error:
            self._fail(Violation("crash", f"{error!r}\n{traceback.format_exc()}"))

    def _fail(self, violation: Violation) -> None:
        if self.violation is None:
            self.violation = violation
            self.note("", str(violation))

    def note(self, who: str, what: str) -> None:
        self.trace.append((self.clock.ms - self.began_ms, who, what))

    # ---- effects

    def effect(self, process: Process, name: str, perform: Callable[[], Any], *, is_write: bool) -> Any:
        """One call of a process to the world, struck where the plan says so."""
        if process.dead or self.violation is not None:
            raise SimulatedCrash(name)
        self.effects += 1
        strike = self._strike
        if strike is not None and self.effects >= strike.at and self._turn <= len(self.plan.actions):
            self._strike = next(self._strikes, None)
            return self._struck(process, name, perform, strike, is_write)
        self.note(process.name, name)
        return self._perform(perform)

    def _perform(self, perform: Callable[[], Any]) -> Any:
        self.begin_effect()
        try:
            return perform()
        except Violation as violation:  # not for the job's own handlers
            self._fail(violation)
            raise SimulatedCrash(str(violation)) from violation

    def _struck(self, process: Process, name: str, perform: Callable[[], Any], strike: Strike, is_write: bool) -> Any:
        kind = strike.kind
        if not is_write:
            kind = _AS_A_READ.get(kind, kind)
        elif kind == "late_request" and name.startswith("target"):
            kind = "lost_request"  # its transaction is over by then
        self.hits[kind] += 1
        self.note(process.name, f"{name}: {kind}")
        if kind == "pause":
            self._park(process, strike)
            return self._perform(perform)
        if kind == "error":
            raise ServiceUnavailable(f"{name} failed", hint="It is simulated.")
        if kind in ("crash_before", "crash_after"):
            if kind == "crash_after":
                self._perform(perform)
            self._kill(process)
            raise SimulatedCrash(name)
        if kind == "late_request":
            self._late.append((self._turn + 1 + Bits(strike.bits).below(12), perform))
        if kind in ("lost_request", "late_request"):
            raise OutcomeUnknown(f"the request of {name} was lost", hint="It is simulated.")
        result = self._perform(perform)
        if kind == "lost_answer":
            raise OutcomeUnknown(f"the answer of {name} was lost", hint="It is simulated.")
        self._park(process, strike)
        return result

    def _arrive(self) -> None:
        """Requests that were on their way for long: the store carries them out, and nobody hears of it."""
        due = [perform for turn, perform in self._late if turn <= self._turn]
        self._late = [(turn, perform) for turn, perform in self._late if turn > self._turn]
        for perform in due:
            self.note("", "a late request arrives")
            self._guarded(functools.partial(self._perform, perform))

    def _park(self, process: Process, strike: Strike) -> None:
        """Leave the running task where it is, for a few turns or for many."""
        task, bits = self._running, Bits(strike.bits)
        assert task is not None
        assert self._baton is not None
        is_long = bits.one_in(4)
        task.until = self._turn + (bits.below(ZOMBIE_TURNS[1]) + ZOMBIE_TURNS[0] if is_long else 1 + bits.below(3))
        self.hits["zombie"] += is_long
        self._parked.append(task)
        self._running = None
        self._baton.park(lambda strand: setattr(task, "strand", strand))
        self._running = task
        if process.dead or self.violation is not None:
            raise SimulatedCrash(task.name)

    def _kill(self, process: Process) -> None:
        """The process is gone with all that it remembers; another one takes its place."""
        process.dead = True
        self.note(process.name, "dies")
        for task in process.tasks.values():
            if task.strand is not None:
                self._parked.remove(task)
                self._doomed.append(task)
        if process in self.processes:
            place = self.processes.index(process)
            self.processes[place] = self._process(process.clock.skew_ms)

    def _kill_all(self) -> None:
        for task in list(self._parked):
            task.process.dead = True
            self._parked.remove(task)
            self._doomed.append(task)

    # ---- who is told

    def _published(self, data: bytes) -> None:
        before = self.judge.manifest
        self.judge.published(data)
        after = self.judge.manifest
        assert after is not None
        if before is None or before.state != after.state:
            self.hits[f"{'' if before is None else before.state} to {after.state}"] += 1
        for gap in after.gaps[len(before.gaps) if before is not None else 0 :]:
            self.hits[f"gap {gap.kind}"] += 1
        if before is not None and before.repair != after.repair:
            self._repaired(before.repair, after)
        if before is not None and before.writer != after.writer:
            self.hits["another writer"] += 1

    def _repaired(self, before: RepairState | None, after: Manifest) -> None:
        repair = after.repair
        assert repair is not None
        if before is None or before.epoch != repair.epoch:
            self.hits[f"repair by {repair.kind}"] += 1
        elif repair.finished_ms is not None:
            self.hits[f"repaired by {repair.kind}"] += 1
            self.hits["gap during a repair"] += any(gap.state == "detected" for gap in after.gaps)

    def committed(self, *what: Any) -> None:
        self.judge.committed(*what)
        self.hits["commit"] += 1

    # ---- what happens in the world

    def do_write(self, bits: Bits) -> None:
        for _ in range(1 + bits.below(4)):
            key = f"key-{bits.below(self.plan.setup.keys)}"
            self._write(key, bits)

    def _write(self, key: str, bits: Bits, *, expired: bool = False, bad: bool = False) -> None:
        """A put, or a delete of what is there."""
        is_delete = expired or bits.one_in(6)
        if not self.takes_writes or (is_delete and key not in self.items):
            return
        image = None if is_delete else self._image(bits, bad)
        place = self.record(key, image, expired=expired)
        if image is None:
            del self.items[key]
        else:
            self.items[key] = {"pk": {"S": key}, **image}
        self.note("", f"{'delete' if is_delete else 'put'} {key} as {place}")

    def _image(self, bits: Bits, bad: bool) -> dict[str, Any]:
        """No two are alike. Numbers of several widths, now and then another type, an attribute that comes and goes."""
        self.values += 1
        value = str(self.values)
        if bad:
            return {"value": {"N": f"{value} apples"}}
        kind = bits.below(16)
        image: dict[str, Any] = {"value": {"S": value} if kind == 0 else {"N": _wide(kind, value)}}
        if bits.one_in(3):
            image["note"] = {"S": f"note {value}"}
        return image

    def do_ttl(self, bits: Bits) -> None:
        if self.items:
            self._write(bits.of(sorted(self.items)), bits, expired=True)

    def do_bad_value(self, bits: Bits) -> None:
        key = f"key-{bits.below(self.plan.setup.keys)}"
        self.unsure.add(key)
        self._write(key, Bits(1), bad=True)

    def do_hour(self, bits: Bits) -> None:
        """An hour ends, so that its segments may be compacted."""
        self.clock.ms += 3_600_000

    def do_sleep(self, bits: Bits) -> None:
        self.clock.ms += bits.of(self.sleep_ms)

    def do_crash(self, bits: Bits) -> None:
        self._kill(self.processes[bits.below(len(self.processes))])

    # ---- the end

    def _finish(self) -> Iterator[None]:
        """Faults stop; soon everything is as it should be. A generator, so that it happens once."""
        self.calm()
        self.clock.ms += self.long_ago_ms
        if self.plan.setup.restarts:
            for process in list(self.processes):
                self._kill(process)
        for turn in range(self.finale_turns):
            for process in self.processes if turn < ALL_TURNS else self.processes[:1]:
                process.wish = "capture"
                for task in process.tasks.values():
                    self._step(task)
            if self.violation is not None:
                return
            if self.is_settled(turn):
                break
            pause = self.processes[0].wait_seconds
            self.clock.ms += max(10 if turn < 30 else 2000, int(1000 * pause))
        self._check_end()
        yield

    def is_settled(self, turn: int) -> bool:
        """Nothing more will come."""
        return any(process.has_caught_up for process in self.processes) and any(
            process.has_loaded for process in self.processes
        )

    def _check_end(self) -> None:
        """Nothing is left behind, and the target is the table. [I1, I16]"""
        manifest = self.judge.manifest
        if manifest is None:
            raise Violation("I16", "faults have stopped, and nothing was ever published")
        self.hits[f"ends in {manifest.state}"] += 1
        self.judge.check_places(manifest)
        self.check_end(manifest)
        if self.judge.applied != set(range(1, manifest.next_number)):
            raise Violation("I16", f"applied are {sorted(self.judge.applied)} of {manifest.next_number - 1}")
        everything = manifest.captured_through_ms  # is applied
        shown = shown_state(manifest, self.judge.applied_through, 0, applied_ms=everything)
        self.hits[f"shows {shown}"] += 1
        if self.judge.time_is_exact and (shown == "CONSISTENT") != self.is_consistent(manifest):
            raise Violation("I14", f"shown as {shown}, with {manifest.open_gaps}, {manifest.pause}")
        live = {key[0]: row for key, row in self.target.contents.rows.items() if row.op != "d"}
        for key in sorted((live.keys() | self.items.keys()) - self.unsure):
            if key not in live or key not in self.items:
                raise Violation("I1", f"{key} is {'not ' if key not in live else ''}in the target")
            if not are_same_values(live[key].values, values_of(self.items[key])):
                raise Violation("I1", f"{key} is {live[key]} in the target and {self.items[key]} in the table")


def _wide(kind: int, value: str) -> str:
    """The same value as a number of another width."""
    return {1: f"{value}.5", 2: f"{value}E20", 3: f"{value}.000000000000000001", 4: f"{value}E100"}.get(kind, value)
