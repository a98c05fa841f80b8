"""Comparisons on a shared machine: every measurement is a process of its own, tools take turns, medians and ratios count.

A benchmark script defines its tools as functions and hands them over:

    TOOLS = {"tailrace": run_tailrace, "pyarrow": run_pyarrow}        # each: (data: Path) -> dict of extra figures

    if __name__ == "__main__":
        harness.main("decode", TOOLS, cases={"A": path_a}, baseline="tailrace")

Called with ``--one TOOL CASE`` the script runs one tool once and prints one JSON line; without, it drives itself.
"""

from __future__ import annotations

import argparse
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

Tool = Callable[[Any], Mapping[str, Any] | None]
"""Takes a case, does the whole job, and may give more figures (rows, for one) to print and compare."""


@dataclass(frozen=True)
class Measured:
    """One process's run of one tool: CPU and wall seconds of the job itself, peak memory of the whole process."""

    cpu_s: float
    wall_s: float
    rss_mb: float
    more: dict[str, Any]


def run_one(tool: Tool, case: Any) -> Measured:
    """Time the job alone: imports are done, and the interpreter's start does not count."""
    cpu, wall = time.process_time(), time.perf_counter()
    more = tool(case) or {}
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(cpu, wall, rss, dict(more))


def one_core() -> None:
    """Pin this process, and with it every library's threads, to the last core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(
    name: str,
    tools: Mapping[str, Tool],
    cases: Mapping[str, Any],
    *,
    baseline: str,
    rounds: int = ROUNDS,
    pinned: bool = True,
    skip: Callable[[str, str], bool] = lambda tool, case: False,
) -> None:
    """Drive all tools over all cases, interleaved; print a table and write ``results/NAME.json`` and ``NAME.md``.

    `baseline`: the tool whose CPU time is 1 in the ratios. `skip(tool, case)`: what a tool cannot do.
    """
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "CASE"), help="run one tool once, print one JSON line")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="one round, small data where the script has it")
    parser.add_argument("--only", nargs="*", help="only these cases")
    arguments = parser.parse_args()
    if pinned:
        one_core()
    if arguments.one:
        tool, case = arguments.one
        measured = run_one(tools[tool], cases[case])
        print(json.dumps(vars(measured), default=str))
        return
    rounds = 1 if arguments.quick else arguments.rounds
    results: dict[str, dict[str, list[Measured]]] = {}
    for case in arguments.only or cases:
        results[case] = {tool: [] for tool in tools if not skip(tool, case)}
        for _ in range(rounds):
            for tool in results[case]:
                measured = _measure(tool, case)
                if measured is not None:
                    results[case][tool].append(measured)
    text = table(name, results, baseline)
    print(text)
    write(name, results, text)


def _measure(tool: str, case: str) -> Measured | None:
    command = [sys.executable, sys.argv[0], "--one", tool, case]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{tool} on {case} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def median(runs: Sequence[Measured], figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def table(name: str, results: Mapping[str, Mapping[str, Sequence[Measured]]], baseline: str) -> str:
    """A Markdown table: medians, and each tool's CPU time as a multiple of the baseline's in the same case."""
    lines = [f"# {name}", "", environment(), ""]
    lines += [
        f"| case | tool | CPU s | × {baseline} | wall s | peak MB | runs | more |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, tools in results.items():
        base = median(tools[baseline], "cpu_s") if tools.get(baseline) else None
        for tool, runs in tools.items():
            if not runs:
                lines.append(f"| {case} | {tool} | failed | | | | 0 | |")
                continue
            cpu = median(runs, "cpu_s")
            ratio = "" if base is None else f"{cpu / base:.2f}"
            more = ", ".join(f"{key} {value}" for key, value in runs[-1].more.items())
            lines.append(
                f"| {case} | {tool} | {cpu:.3f} | {ratio} | {median(runs, 'wall_s'):.3f} "
                f"| {max(run.rss_mb for run in runs):.0f} | {len(runs)} | {more} |"
            )
    return "\n".join(lines) + "\n"


def environment() -> str:
    """What the figures were measured on; they rank tools there and promise nothing elsewhere."""
    import importlib.metadata

    versions = []
    for package in ("tailrace", "pyarrow", "duckdb", "polars", "boto3", "isal"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    return f"Python {platform.python_version()}, {cores} cores, load {load:.1f} at the end; {', '.join(versions)}."


def write(name: str, results: Mapping[str, Mapping[str, Sequence[Measured]]], text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "environment": environment(),
        "runs": {
            case: {tool: [vars(run) for run in runs] for tool, runs in tools.items()} for case, tools in results.items()
        },
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
