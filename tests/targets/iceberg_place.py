"""An Iceberg lake for each folder. Its catalog is a SQLite file there and its tables lie beside it, unless a test moves
tables to S3 of an embedded AWS (`lake_place`), or the catalog to Glue there or to a REST server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lake_place import BUCKET, KEY, REGION, lakes_on_s3, prefix_of, s3
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table

from tailrace.clock import Clock, SystemClock
from tailrace.targets.iceberg import FILE_IO, IcebergTarget
from tailrace.targets.iceberg.found import STATE

NAMESPACE = ("lake",)
moved: dict[str, str] = {}  # pyiceberg's settings of what lies elsewhere, while it does


@contextmanager
def elsewhere(**settings: str) -> Iterator[None]:
    """Meanwhile lakes have these settings, too."""
    moved.update(settings)
    try:
        yield
    finally:
        moved.clear()


@contextmanager
def catalog_in_glue() -> Iterator[Any]:
    """Meanwhile the catalog is Glue, and tables lie on S3; gives a client for that."""
    with lakes_on_s3() as client, elsewhere(type="glue", **{"glue.endpoint": client.meta.endpoint_url}):
        yield client


class At(SystemClock):
    """A clock that is some hours ahead."""

    def __init__(self, hours: int) -> None:
        self._ms = hours * 3_600_000

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


def properties(place: Path) -> dict[str, str]:
    place.mkdir(parents=True, exist_ok=True)
    on = s3()
    lies: dict[str, str] = {"warehouse": f"file://{place}/warehouse"}
    if on is not None:
        lies = {
            "warehouse": f"s3://{BUCKET}/{prefix_of(place)}",
            "s3.endpoint": on.endpoint,
            "client.region": REGION,
            "client.access-key-id": KEY,
            "client.secret-access-key": KEY,
        }
    catalog = {"type": "sql", "uri": f"sqlite:///{place}/catalog.db"}
    return {**catalog, "py-io-impl": FILE_IO, **lies, **moved}


def namespace_of(place: Path) -> tuple[str, ...]:
    """A catalog of its own has the namespace that all have; of one that all share each folder has a namespace."""
    return (f"lake_{prefix_of(place)}",) if "type" in moved else NAMESPACE


def open_target(place: Path, clock: Clock | None = None, **options: Any) -> IcebergTarget:
    return IcebergTarget(
        "ice", lambda: properties(place), namespace_of(place), str(place), clock or SystemClock(), **options
    )


def catalog_of(place: Path) -> Catalog:
    """As another program opens it."""
    return load_catalog("default", **properties(place))


def orders(place: Path) -> Table:
    """The table under test, as it is now."""
    return catalog_of(place).load_table((*namespace_of(place), "orders"))


def change_state(place: Path, **values: Any) -> None:
    """As somebody would who edits a table's properties."""
    table = orders(place)
    state = json.loads(table.properties[STATE])
    with table.transaction() as transaction:
        transaction.set_properties({STATE: json.dumps({**state, **values})})
