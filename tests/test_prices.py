"""The price table: exact, complete, and refused with the place of its fault."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tailrace.errors import ConfigInvalid
from tailrace.model.prices import NAMES
from tailrace.prices import FILE, load_prices

TEXT = FILE.read_text(encoding="utf-8")


def load(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    load_prices(path)


def test_amounts_are_exact() -> None:
    prices = load_prices()
    assert prices["lambda_compute"].amount == Decimal("0.0000166667")
    assert prices["s3_write"].of(Decimal(3)) == Decimal("0.000015")
    assert (prices.region, prices.currency) == ("us-east-1", "USD")
    assert list(prices.prices) == list(NAMES)


def test_an_amount_without_a_point_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(TEXT.replace("amount = 1.00", "amount = 1"))
    assert load_prices(path)["scheduler"].amount == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("amount = 0.02\n", 'amount = "cheap"\n', "prices.streams_read.amount"),
        ("amount = 0.02\n", "amount = -0.02\n", "prices.streams_read.amount"),
        ("amount = 0.02\n", "amount = nan\n", "prices.streams_read.amount"),
        ("amount = 0.02\n", "amount = true\n", "prices.streams_read.amount"),
        ("amount = 0.02\n", "amonut = 0.02\n", "prices.streams_read.amo"),
        ("per = 100_000", "per = 0", "prices.streams_read.per"),
        ("per = 100_000", "per = 1.5", "prices.streams_read.per"),
        ("[prices.pitr]", "[prices.backup]", "prices.pitr is missing"),
        ("[prices.pitr]", "[prices.x]\nwhat='x'\namount=1\nsource='x'\n[prices.pitr]", "prices.x is no price"),
        ('currency = "USD"', 'currency = "dollars"', "currency"),
        ('date = "', 'date = "on ', "date"),
        ("format = 1", "format = 2", "format"),
        ("format = 1", "", "format"),
        ("format = 1", "format = ", "The price table cannot be read"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(ConfigInvalid, match=re.escape(says)) as caught:
        load(tmp_path, TEXT.replace(old, new, 1))
    assert "prices.toml" in str(caught.value.facts["file"])


def test_what_is_no_file_of_prices_is_refused(tmp_path: Path) -> None:
    for content in (b"\xff", b"prices = 3", b"[prices]\npitr = 3"):
        with pytest.raises(ConfigInvalid):
            load(tmp_path, content)
    with pytest.raises(ConfigInvalid, match="There is no price table"):
        load_prices(tmp_path / "absent.toml")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_prices(tmp_path)
