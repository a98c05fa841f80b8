"""Fuzz what reads bytes that others wrote: ``make fuzz SECONDS=3600``, or ``python tests/fuzz/fuzz.py decoder --seconds 60``.

Input number n of a seed is always the same, so a run can be repeated and gone on with. Inputs are checked in another process:
one that dies, or takes longer than `INPUT_SECONDS_MAX`, is a finding too. Exit code 1: there is one. A finding that is fixed goes
into ``corpus/TARGET``, where `make test` tries it with all options.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from random import Random
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[1] / "codec"))  # as pytest does

from targets import TARGETS, Options, Target

FINDINGS: Final = Path(__file__).parent / "findings"
INPUT_SECONDS_MAX: Final = 20.0
MEMORY_MAX: Final = 4 << 30  # of address space, on top of what is taken before the first input
SHRINK_CHECKS_MAX: Final = 500


class Progress(ctypes.Structure):
    """What the process that checks tells the one that watches."""

    _fields_ = (
        ("number", ctypes.c_longlong),  # of the input that is being checked
        ("beats", ctypes.c_longlong),
        ("findings", ctypes.c_longlong),
        ("cpu_seconds", ctypes.c_double),
        ("memory_mb", ctypes.c_longlong),
    )


@dataclass(frozen=True)
class Summary:
    """Of one run. `cpu_seconds`: of drawing, checking and shrinking. `memory_mb`: the most that was taken at once."""

    target: str
    seed: int
    executions: int
    seconds: float
    cpu_seconds: float
    memory_mb: int
    findings: int

    def __str__(self) -> str:
        rate = self.executions / max(self.cpu_seconds, 1e-9)
        return (
            f"{self.target}: seed {self.seed}, {self.executions:,} executions in {self.seconds:.0f} s,"
            f" {self.cpu_seconds:.0f} s of CPU, {rate:.0f} a second of CPU, at most {self.memory_mb} MB,"
            f" {self.findings} findings"
        )


def draw(target: Target, seed: int, number: int, mutator: Any = None) -> tuple[bytes, Options]:
    """Input `number` of a seed, and the options it is checked with."""
    random = Random(f"{target.name}:{seed}:{number}")
    options = target.draw_options(random)
    return (mutator or target.mutator()).draw(random), options


def fuzz(
    target: Target,
    seed: int,
    *,
    first: int = 0,
    seconds: float = 1e9,
    executions: int = 1 << 62,
    input_seconds_max: float = INPUT_SECONDS_MAX,
    out: Path = FINDINGS,
) -> Summary:
    """Check inputs from number `first` on until one of both is used up. Findings are written to `out`, one of a kind."""
    begun = time.monotonic()
    progress = RawValue(Progress, first)
    out.mkdir(parents=True, exist_ok=True)
    cpu_seconds, lost = 0.0, 0
    while progress.number < first + executions and time.monotonic() - begun < seconds:
        left = seconds - (time.monotonic() - begun)
        progress.beats, progress.cpu_seconds = 0, 0.0  # until the first beat it is only starting
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(target, seed, first + executions, left, out, progress)
        )
        process.start()
        died = _watch(process, progress, input_seconds_max)
        cpu_seconds += progress.cpu_seconds
        if died:
            data, options = draw(target, seed, progress.number)
            facts = {"seed": seed, "number": progress.number, "options": options}
            _write(out, target.name, f"{died}, input {progress.number}", data, facts, "Not shrunk.")
            lost += 1
            progress.number += 1
    return Summary(
        target.name,
        seed,
        progress.number - first,
        time.monotonic() - begun,
        cpu_seconds,
        progress.memory_mb,
        progress.findings + lost,
    )


def _watch(process: Any, progress: Any, input_seconds_max: float) -> str:
    """Wait for the end; how it was, where that is a finding."""
    beats, since = progress.beats, time.monotonic()
    while process.is_alive():
        process.join(0.5)
        if progress.beats != beats:
            beats, since = progress.beats, time.monotonic()
        elif beats and time.monotonic() - since > input_seconds_max:
            process.kill()
            process.join()
            return f"took longer than {input_seconds_max:.0f} s"
    if process.exitcode == 0:
        return ""
    if not progress.beats:
        raise RuntimeError(f"fuzzing did not even begin: exit code {process.exitcode}")
    code = process.exitcode
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"


def _work(target: Target, seed: int, end: int, seconds: float, out: Path, progress: Any) -> None:
    mutator = target.mutator()
    _limit_memory()
    until = time.monotonic() + seconds
    cpu_begun = time.process_time()
    number = progress.number
    while number < end and time.monotonic() < until:
        progress.number = number
        progress.beats += 1
        data, options = draw(target, seed, number, mutator)
        fault = _fault(target, data, options)
        if fault is not None:
            progress.findings += 1
            _report(target, data, options, {"seed": seed, "number": number}, fault, out, progress)
        number += 1
        progress.cpu_seconds = time.process_time() - cpu_begun
        progress.memory_mb = max(progress.memory_mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    progress.number = number


def _limit_memory() -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():
        taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_MAX, taken + MEMORY_MAX))


def _fault(target: Target, data: bytes, options: Options) -> BaseException | None:
    try:
        target.check(data, options)
    except BaseException as error:  # whatever it is: a panic of the core is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return error
    return None


def _kind(fault: BaseException) -> str:
    """Type and place: what makes two findings one."""
    frames = [f for f in traceback.extract_tb(fault.__traceback__) if "tailrace" in f.filename or "tests" in f.filename]
    text = re.sub(r"[0-9]+", "0", str(fault))[:40] if isinstance(fault, AssertionError) else ""
    return f"{type(fault).__name__} {Path(frames[-1].filename).name}:{frames[-1].lineno} {text}"


def _report(
    target: Target, data: bytes, options: Options, facts: Any, fault: BaseException, out: Path, progress: Any
) -> None:
    kind = _kind(fault)
    if _file(out, target.name, kind).exists():
        return

    def fails(smaller: bytes) -> bool:
        progress.beats += 1
        found = _fault(target, smaller, options)
        return found is not None and _kind(found) == kind

    small = shrink(data, fails)
    shown = "".join(traceback.format_exception(_fault(target, small, options) or fault))
    _write(out, target.name, kind, small, {**facts, "options": options, "bytes_drawn": len(data)}, shown)


def shrink(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Leave out runs of bytes, long ones first, as long as it still fails, and not for ever."""
    checks = SHRINK_CHECKS_MAX
    size = max(len(data) // 2, 1)
    while size:
        at = 0
        while at < len(data) and checks:
            checks -= 1
            smaller = data[:at] + data[at + size :]
            if fails(smaller):
                data = smaller
            else:
                at += size
        size //= 2
    return data


def _file(out: Path, name: str, kind: str) -> Path:
    return out / f"{name}-{hashlib.sha256(kind.encode()).hexdigest()[:8]}.input"


def _write(out: Path, name: str, kind: str, data: bytes, facts: Any, shown: str) -> None:
    path = _file(out, name, kind)
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(f"{kind}\n{json.dumps(facts)}\n\n{shown}\n", "utf-8", "backslashreplace")
    print(f"finding: {kind}: {path}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (default 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input (default 0)")
    parser.add_argument("--out", type=Path, default=FINDINGS, help="folder for findings")
    arguments = parser.parse_args()
    findings = 0
    for name in TARGETS if arguments.target == "all" else [arguments.target]:
        summary = fuzz(
            TARGETS[name], arguments.seed, seconds=arguments.seconds, first=arguments.first, out=arguments.out
        )
        findings += summary.findings
        print(summary, flush=True)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
