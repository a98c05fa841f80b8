"""docs/plan.md shows what the program prints, and every figure in it follows from the price table."""

from __future__ import annotations

import json
import math
import re
import shlex
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tailrace.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n\$ (tailrace plan [^\n]*)\n(.*?)^```", PAGE, re.M | re.S)
LINE = re.compile(r"^ +([\d,.]+) = ([\d,.]+) ([\w -]+?) × ([\d.]+)(?: / ([\d,]+))?( \?)? +(.*)$", re.M)
PRICES = tomllib.loads((ROOT / "src" / "tailrace" / "prices.toml").read_text(), parse_float=Decimal)["prices"]


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def test_there_are_three_tables() -> None:
    found = [re.findall(r"\(([\d,]+) GB\), ([\d,.]+) writes", text)[0] for _, text in BLOCKS]
    assert found == [("1", "0.1"), ("100", "500"), ("10,000", "20,000")]


@pytest.mark.parametrize(("command", "text"), BLOCKS, ids=["quiet", "busy", "huge"])
def test_the_page_shows_what_the_program_prints(command: str, text: str) -> None:
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0
    assert result.stdout.startswith(text), "run it again and put what it prints into docs/plan.md"


def test_the_page_shows_what_is_measured_and_assumed() -> None:
    (shown,) = re.findall(r"^```text\n(measured:.*?)^```", PAGE, re.M | re.S)
    assert CliRunner().invoke(main, shlex.split(BLOCKS[0][0])[1:]).stdout.endswith(shown)


@pytest.mark.parametrize(("command", "text"), BLOCKS, ids=["quiet", "busy", "huge"])
def test_every_line_can_be_recomputed(command: str, text: str) -> None:
    bills = [part for part in re.split(r"^(?=a month:|once)", text, flags=re.M) if part.startswith(("a month", "once"))]
    assert len(bills) == 2
    for bill in bills:
        found = LINE.findall(bill)
        assert len(found) == sum(" × " in line for line in bill.splitlines()) > 0
        amounts = []
        for amount, quantity, _, price, per, doubtful, what in found:
            known = next(p for p in PRICES.values() if p["what"] == what.partition(": ")[2].partition("; ")[0])
            assert (Decimal(price), int(number(per or "1"))) == (known["amount"], known["per"])
            assert bool(doubtful) == (not known["confirmed"])
            computed = number(quantity) * known["amount"] / known["per"]
            assert abs(computed - number(amount)) <= Decimal("0.0001"), what
            amounts.append((computed, what.partition(":")[0]))
        (together,) = re.findall(r"^  ([\d,.]+) together", bill, re.M)
        assert abs(sum(amount for amount, _ in amounts) - number(together)) <= Decimal("0.01")
        for apart in re.findall(r"; ([\d,.]+) apart from", bill):
            rest = sum(amount for amount, part in amounts if part not in ("pitr", "redshift"))
            assert abs(rest - number(apart)) <= Decimal("0.01")


def test_the_quantities_of_the_quiet_table_by_hand() -> None:
    """Independent of the program: 1 GB in 10^6 items, a write in ten seconds, by Lambda, loaded every ten minutes."""
    month, rate, shards = 730 * 3600, Decimal("0.1"), 4
    each = rate / shards * month / (1 + rate / shards * 240)
    calls = Decimal(math.ceil(each * shards))
    ticks = month // 600
    loads = math.ceil(rate * month / (1 + rate * 600))
    landed = rate * month * (20 + 1000 // 2)
    objects = math.ceil(landed / (64 * 10**6)) + 730
    capture_cpu = rate * month * (15 + Decimal("0.1") * 1000) / 10**6
    load_cpu = rate * month * (300 + 2 * 1000) / (190 * 10**6)
    wanted = [
        calls,
        calls * Decimal("0.1") * Decimal("0.25") + capture_cpu * 1769 / 1024,
        ticks * shards * 4 + math.ceil(rate * month / 1000),
        calls + 10 * ticks + math.ceil(calls / 1000),
        4 * calls + 12 * ticks,
        calls,
        2 * objects,
        Decimal("0.5") + landed / 10**9,
        ticks,
        (ticks + loads * 15) * Decimal("0.5") + load_cpu * 1769 / 1024,
        ticks,
        Decimal(loads) * 60 / 3600 * 8,
    ]
    shown = [number(quantity) for _, quantity, *_ in LINE.findall(BLOCKS[0][1].partition("\nonce")[0])]
    assert [round(value, 4) for value in wanted] == shown


def month_of(*arguments: str, way: str) -> Decimal:
    """Apart from point-in-time recovery and Redshift."""
    result = CliRunner().invoke(main, ["plan", "--json", *arguments])
    ways = json.loads(result.stdout)["ways"]
    return next(Decimal(w["month_apart"]) for w in ways if w["name"] == way)


def test_the_figures_in_the_sentences() -> None:
    quiet = shlex.split(BLOCKS[0][0])[2:]
    for target, way in (
        ("postgres", "lambda-scheduled"),
        ("duckdb", "streams-scheduled"),
        ("redshift", "lambda-scheduled"),
    ):
        month = month_of(*quiet, "--target", target, way=way).quantize(Decimal("0.01"))
        assert f"{month} dollars" in joined(), (target, month)
        assert (month < 1) == (target != "redshift")
    waiting = math.ceil(Decimal("0.1") * 730 * 3600 / 61) * 15 * Decimal("0.5") * Decimal("0.0000166667")
    assert f"{waiting.quantize(Decimal('0.01'))} of them" in joined()
    windows = 730 * 4
    assert (
        f"{windows:,} windows a month is charged as 10 MB, {Decimal(windows) * Decimal('0.001'):.2f} dollars"
        in joined()
    )
    hour = [*shlex.split(BLOCKS[1][0])[2:-1], "1h", "--json"]
    found = json.loads(CliRunner().invoke(main, ["plan", *hour]).stdout)
    cheapest = Decimal(next(way["month"] for way in found["ways"] if way["name"] == found["way"]))
    assert f"all of it is {cheapest.quantize(Decimal(1))} dollars" in joined()


def joined() -> str:
    return " ".join(PAGE.split())
