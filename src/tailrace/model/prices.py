"""What AWS asks for, as values: exact decimals, each with its unit and where it was found. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "streams_read": "GetRecords calls",
    "pitr": "GB-months",
    "export_full": "GB",
    "export_incremental": "GB",
    "table_read": "read request units",
    "lambda_request": "calls",
    "lambda_compute": "GB-seconds",
    "scheduler": "calls",
    "s3_storage": "GB-months",
    "s3_write": "requests",
    "s3_read": "requests",
    "fargate_cpu": "vCPU-hours",
    "fargate_memory": "GB-hours",
    "redshift": "RPU-hours",
}  # every price that a plan may need, and the units that it is for


@dataclass(frozen=True, slots=True)
class Price:
    """`amount` for each `per` units. `confirmed`: from AWS's price list, not from what others wrote about it."""

    name: str
    what: str
    amount: Decimal
    per: int
    source: str
    confirmed: bool

    @property
    def unit(self) -> str:
        return NAMES[self.name]

    def of(self, quantity: Decimal) -> Decimal:
        """What so many units cost, exactly as far as 28 digits go."""
        return quantity * self.amount / self.per


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The prices of one region at one date; holds every name of `NAMES`."""

    region: str
    currency: str
    date: str
    prices: Mapping[str, Price]

    def __post_init__(self) -> None:
        assert self.prices.keys() == NAMES.keys(), self.prices.keys() ^ NAMES.keys()

    def __getitem__(self, name: str) -> Price:
        return self.prices[name]
