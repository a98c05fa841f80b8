"""An Iceberg lake for each folder. Its catalog is a SQLite file there and its tables lie beside it, unless a test moves
tables to S3 of an embedded AWS, or the catalog to Glue there or to a REST server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table

from tailrace.clock import Clock, SystemClock
from tailrace.local.client import LocalAws
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.iceberg.found import STATE

NAMESPACE = ("lake",)
BUCKET = "lake"
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
def tables_on_s3(**settings: str) -> Iterator[Any]:
    """Meanwhile tables lie on S3; gives a client for it."""
    with LocalAws() as aws:
        login = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.client(
            "s3", endpoint_url=aws.endpoint_url, config=Config(s3={"addressing_style": "path"}), **login
        )
        client.create_bucket(Bucket=BUCKET)
        reached = {
            "s3.endpoint": aws.endpoint_url,
            "glue.endpoint": aws.endpoint_url,
            "client.region": "us-east-1",
            "client.access-key-id": "test",
            "client.secret-access-key": "test",
        }
        with elsewhere(**reached, **settings):
            yield client


def catalog_in_glue() -> AbstractContextManager[Any]:
    """Meanwhile the catalog is Glue, and tables lie on S3; gives a client for that."""
    return tables_on_s3(type="glue")


def prefix_of(place: Path) -> str:
    """Where a folder's tables lie in the bucket."""
    return hashlib.sha256(str(place).encode()).hexdigest()[:12]


def properties(place: Path) -> dict[str, str]:
    place.mkdir(parents=True, exist_ok=True)
    return {
        "type": "sql",
        "uri": f"sqlite:///{place}/catalog.db",
        "warehouse": f"s3://{BUCKET}/{prefix_of(place)}" if "s3.endpoint" in moved else f"file://{place}/warehouse",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        **moved,
    }


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
