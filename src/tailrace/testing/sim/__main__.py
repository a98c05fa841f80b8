# ruff: noqa: T201
"""The simulator's command line. Exit code 1: something was violated, or never met."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from tailrace.testing.sim.defects import DEFECTS, catch_all
from tailrace.testing.sim.plan import CAPTURES, Plan, draw
from tailrace.testing.sim.run import Summary, digest, run_one, run_parallel
from tailrace.testing.sim.shrink import shrink
from tailrace.testing.sim.world import Outcome

SECONDS_BETWEEN_LINES = 10.0
SEEDS_HELP = (
    f"run these histories; {len(CAPTURES)} kinds take turns, so step {len(CAPTURES)} keeps to one, e.g. 3:4000:8"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tailrace.testing.sim", description="Simulated histories of a table."
    )
    parser.add_argument("--seeds", metavar="FROM:TO[:STEP]", type=_range, help=SEEDS_HELP)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--seed", type=int, help="run one history")
    parser.add_argument("--trace", action="store_true", help="with --seed: every effect as a line")
    parser.add_argument("--shrink", action="store_true", help="with --seed: make a failing history as small as it gets")
    parser.add_argument("--defects", metavar="N", type=int, help="plant every defect; N histories at most for each")
    arguments = parser.parse_args()
    if [arguments.seed, arguments.seeds, arguments.defects].count(None) != 2:
        parser.error("give --seeds FROM:TO, --seed N or --defects N")
    if arguments.defects is not None:
        return _defects(arguments.defects, arguments.jobs)
    if arguments.seed is not None:
        return _one(draw(arguments.seed), trace=arguments.trace, smaller=arguments.shrink)
    return _many(arguments.seeds, arguments.jobs)


def _range(text: str) -> range:
    try:
        first, end, *step = map(int, text.split(":"))
        return range(first, end, *step)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text} is not like 0:20000 or 3:20000:8") from error


def _one(plan: Plan, *, trace: bool, smaller: bool) -> int:
    outcome = run_one(plan)
    if smaller and outcome.violation is not None:
        rule = outcome.violation.rule
        plan = shrink(plan, lambda other: _rule(run_one(other)) == rule)
        outcome = run_one(plan)
        print(json.dumps({"actions": len(plan.actions), "strikes": len(plan.strikes), **asdict(plan.setup)}))
    if trace or smaller:
        for ms, who, what in outcome.trace:
            print(f"{ms / 1000:12.3f} {who:10} {what}")
    violation = None if outcome.violation is None else str(outcome.violation)
    print(json.dumps({"seed": plan.seed, "violation": violation, "effects": outcome.effects, "trace": digest(outcome)}))
    return 0 if violation is None else 1


def _defects(histories_max: int, jobs: int) -> int:
    """The table of `docs/reliability.md`."""
    missed = 0
    print("| defect | what is wrong | histories | seed | rule |\n|---|---|---|---|---|")
    for caught in catch_all(histories_max, jobs):
        missed += caught.seed is None
        seed = "not noticed" if caught.seed is None else caught.seed
        what = DEFECTS[caught.name].what
        print(f"| `{caught.name}` | {what} | {caught.histories} | {seed} | {caught.rule} |", flush=True)
    print(f"{len(DEFECTS)} defects, {missed} not noticed", file=sys.stderr)
    return 1 if missed else 0


def _rule(outcome: Outcome) -> str | None:
    return None if outcome.violation is None else outcome.violation.rule


def _many(seeds: range, jobs: int) -> int:
    began = told = time.monotonic()
    shown = 0

    def tell(summary: Summary) -> None:
        nonlocal told, shown
        for seed, violation in summary.failures[shown:]:
            print(f"seed {seed}: {violation}", file=sys.stderr, flush=True)
        shown = len(summary.failures)
        if time.monotonic() - told >= SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            print(_line(summary, told - began), file=sys.stderr, flush=True)

    summary = run_parallel(seeds, jobs, tell)
    print(json.dumps(summary.to_json()))
    print(_line(summary, time.monotonic() - began), file=sys.stderr)
    for name in summary.never_met:
        print(f"never met: {name}", file=sys.stderr)
    return 1 if summary.violations or summary.never_met else 0


def _line(summary: Summary, seconds: float) -> str:
    return (
        f"{summary.histories:,} histories, {summary.effects:,} effects, {summary.violations} violations,"
        f" {summary.histories / seconds:.0f} a second, {summary.histories / max(summary.cpu_seconds, 1e-9):.0f} per core"
    )


if __name__ == "__main__":
    sys.exit(main())
