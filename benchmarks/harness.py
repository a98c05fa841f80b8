"""Comparisons on a shared machine: every measurement is a process of its own, tools take turns, medians and ratios count.

A benchmark script defines its tools as functions and hands them over:

    TOOLS = {"tailrace": run_tailrace, "pyarrow": run_pyarrow}        # each: (data: Path) -> dict of extra figures

    if __name__ == "__main__":
        harness.main("decode", TOOLS, cases={"A": path_a}, baseline="tailrace")

Called with ``--one TOOL CASE`` the script runs one tool once and prints one JSON line; without, it drives itself.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
QUICK = "--quick" in sys.argv

Figures = Mapping[str, Any]
Job = Callable[[], Figures | Callable[[], Figures] | None]
"""What is timed. It may give more figures (rows, for one) to print, or a function that checks the result and gives them."""
Tool = Callable[[Any], Any]
"""Takes a case and does the whole job as `Job` does; one that is marked with `prepares` returns the job instead."""


def prepares(tool: Callable[[Any], Job]) -> Tool:
    """Mark a tool that imports or opens something first, outside the clock, and returns its job."""
    tool.prepares = True  # type: ignore[attr-defined]
    return tool


@dataclass(frozen=True)
class Measured:
    """One process's run of one tool: CPU and wall seconds of the job itself, peak memory of the whole process."""

    cpu_s: float
    wall_s: float
    rss_mb: float
    more: dict[str, Any]


def run_one(tool: Tool, case: Any) -> Measured:
    """Time the job alone: preparations, the check and the interpreter's start do not count."""
    job: Job = tool(case) if hasattr(tool, "prepares") else functools.partial(tool, case)
    cpu, wall = time.process_time(), time.perf_counter()
    more = job()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(cpu, wall, rss, dict((more() if callable(more) else more) or {}))


def one_core() -> None:
    """Pin this process, and with it every library's threads, to the last core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def has_native() -> bool:
    """Whether tailrace-core is installed."""
    return importlib.util.find_spec("tailrace_core") is not None


def main(
    name: str,
    tools: Mapping[str, Tool],
    cases: Mapping[str, Any],
    *,
    baseline: str,
    rounds: int = ROUNDS,
    pinned: bool = True,
    skip: Callable[[str, str], bool] = lambda tool, case: False,
    once: Callable[[str, str], bool] = lambda tool, case: False,
    per: str | None = None,
) -> None:
    """Drive all tools over all cases, interleaved; print a table and write ``results/NAME.json`` and ``NAME.md``.

    `baseline`: the tool that is 1 in the ratios. `skip(tool, case)`: what a tool cannot do; `once(tool, case)`: what takes
    too long to repeat. `per`: a figure that every tool gives, in which its work is counted; where given, the table shows
    it per CPU second and ratios are of speeds, else of CPU times.
    """
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "CASE"), help="run one tool once, print one JSON line")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="one round, small data where the script has it")
    parser.add_argument("--only", nargs="*", help="only these cases")
    parser.add_argument("--tools", nargs="*", help="only these tools")
    arguments = parser.parse_args()
    if pinned:
        one_core()
    if arguments.one:
        tool, case = arguments.one
        print(json.dumps(vars(run_one(tools[tool], cases[case])), default=str))
        return
    started = f"load {os.getloadavg()[0]:.1f} at the start"
    rounds = 1 if QUICK else arguments.rounds
    results: dict[str, dict[str, list[Measured]]] = {}
    for case in arguments.only or cases:
        results[case] = {tool: [] for tool in arguments.tools or tools if not skip(tool, case)}
        for number in range(rounds):
            for tool, runs in results[case].items():
                if number and (not runs or once(tool, case)):
                    continue  # what failed once fails again
                progress(f"{name}: {case}, round {number + 1} of {rounds}, {tool}")
                measured = _measure(tool, case)
                if measured is not None:
                    runs.append(measured)
    progress("")
    where = f"{environment()} {started}, {os.getloadavg()[0]:.1f} at the end."
    text = table(name, where, results, baseline, per)
    print(text)
    write(name, where, results, text)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:79}\r", end="", file=sys.stderr, flush=True)


def _measure(tool: str, case: str) -> Measured | None:
    command = [sys.executable, sys.argv[0], "--one", tool, case, *(["--quick"] if QUICK else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{tool} on {case} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def median(runs: Sequence[Measured], figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def table(
    name: str, where: str, results: Mapping[str, Mapping[str, Sequence[Measured]]], baseline: str, per: str | None
) -> str:
    """A Markdown table of medians (the peak is the highest), with each tool's ratio to the baseline in the same case."""
    rate = "" if per is None else f" {per}/s |"
    ratio_of = "CPU" if per is None else "speed"
    lines = [f"# {name}", "", where, ""]
    lines += [f"| case | tool |{rate} {ratio_of} × {baseline} | CPU s | wall s | peak MB | runs | more |"]
    lines += ["|---|---|" + "---|" * (6 if per is None else 7)]
    for case, tools in results.items():
        base = _cost(tools.get(baseline, ()), per)
        for tool, runs in tools.items():
            cost = _cost(runs, per)
            if cost is None:
                lines.append(f"| {case} | {tool} |{' |' if rate else ''} failed | | | | 0 | |")
                continue
            figures = "" if per is None else f" {1 / cost:,.{0 if cost < 0.05 else 1}f} |"
            ratio = "" if base is None else f"{cost / base if per is None else base / cost:.2f}"
            more = ", ".join(f"{key} {value}" for key, value in runs[-1].more.items() if key != per)
            lines.append(
                f"| {case} | {tool} |{figures} {ratio} | {median(runs, 'cpu_s'):.3f} | {median(runs, 'wall_s'):.3f} "
                f"| {max(run.rss_mb for run in runs):.0f} | {len(runs)} | {more} |"
            )
    return "\n".join(lines) + "\n"


def _cost(runs: Sequence[Measured], per: str | None) -> float | None:
    """CPU seconds, of one unit of work where units are counted."""
    if not runs:
        return None
    return median(runs, "cpu_s") / (1 if per is None else float(runs[-1].more[per]))


def environment() -> str:
    """What the figures were measured on; they rank tools there and promise nothing elsewhere."""
    versions = []
    ours = ("tailrace", "tailrace-core")
    for package in (*ours, "pyarrow", "duckdb", "polars", "boto3", "orjson", "isal", "pyiceberg", "deltalake"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(versions)};"


def _processor() -> str:
    try:
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return models[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.machine()


def write(name: str, where: str, results: Mapping[str, Mapping[str, Sequence[Measured]]], text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "environment": where,
        "runs": {
            case: {tool: [vars(run) for run in runs] for tool, runs in tools.items()} for case, tools in results.items()
        },
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
