"""An Iceberg lake for each folder: its catalog is a SQLite file there, its tables lie beside it, or on S3 (`lake_place`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lake_place import BUCKET, KEY, REGION, prefix_of, s3
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table

from tailrace.clock import Clock, SystemClock
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.iceberg.found import STATE

NAMESPACE = ("lake",)


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
    return {**catalog, "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO", **lies}


def open_target(place: Path, clock: Clock | None = None, **options: Any) -> IcebergTarget:
    return IcebergTarget("ice", lambda: properties(place), NAMESPACE, str(place), clock or SystemClock(), **options)


def catalog_of(place: Path) -> Catalog:
    """As another program opens it."""
    return load_catalog("default", **properties(place))


def orders(place: Path) -> Table:
    """The table under test, as it is now."""
    return catalog_of(place).load_table((*NAMESPACE, "orders"))


def change_state(place: Path, **values: Any) -> None:
    """As somebody would who edits a table's properties."""
    table = orders(place)
    state = json.loads(table.properties[STATE])
    with table.transaction() as transaction:
        transaction.set_properties({STATE: json.dumps({**state, **values})})
