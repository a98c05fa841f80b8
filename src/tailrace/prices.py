"""The price table: one dated file in the package, or one of the user's own in the same form. Checked before it is used."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailrace.errors import ConfigInvalid
from tailrace.model.prices import NAMES, Price, PriceTable

FILE: Final = Path(__file__).with_name("prices.toml")
HINT: Final = f"Begin with a copy of {FILE}."
_TEXT: Final = r"^[^\x00-\x1f\x7f]{1,200}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Price(_Part):
    what: Annotated[str, Field(pattern=_TEXT)]
    amount: Annotated[Decimal, Field(ge=0, le=10**9, max_digits=24)]
    per: Annotated[int, Field(ge=1, le=10**12)] = 1
    source: Annotated[str, Field(pattern=_TEXT)]
    confirmed: bool = False


class _File(_Part):
    format: Literal[1]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    prices: dict[str, _Price]


def load_prices(path: Path = FILE) -> PriceTable:
    """Read a price table; amounts are exact. Raises ConfigInvalid, which names the first fault's place."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigInvalid("There is no price table", hint=HINT, file=path) from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no TOML
        raise ConfigInvalid(f"The price table cannot be read: {error}", hint=HINT, file=path) from error
    for entry in _entries(document):  # 1 is a decimal as 1.00 is
        amount = entry.get("amount")
        if type(amount) is int:
            entry["amount"] = Decimal(amount)
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ConfigInvalid(f"{place}: {fault['msg']}", hint=HINT, file=path, place=place) from error
    for name in (*NAMES, *file.prices):
        if name not in file.prices or name not in NAMES:
            what = "is missing" if name in NAMES else "is no price that a plan knows"
            raise ConfigInvalid(f"prices.{name} {what}", hint=HINT, file=path, place=f"prices.{name}")
    prices = {name: Price(name, **file.prices[name].model_dump()) for name in NAMES}
    return PriceTable(file.region, file.currency, file.date, prices)


def _entries(document: dict[str, object]) -> list[dict[str, object]]:
    prices = document.get("prices")
    return [entry for entry in prices.values() if isinstance(entry, dict)] if isinstance(prices, dict) else []
