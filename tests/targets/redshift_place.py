"""A warehouse of the Redshift stand-in: both connections to it, what its tables hold, and how to bring that back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from tailrace.clock import SystemClock
from tailrace.local.client import LocalAws
from tailrace.targets.redshift.connector import ConnectorConnection
from tailrace.targets.redshift.credentials import Credentials, Login
from tailrace.targets.redshift.data_api import ACTIVE, DataApiConnection, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.connection import Connection
from tailrace.targets.warehouse.target import WarehouseTarget

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
NUMBERS = itertools.count()
CHANGING = {"applied_ms", "lag_ms_p50", "lag_ms_p99"}  # what two runs of one load say differently

Kind: TypeAlias = Literal["data_api", "connector"]
State: TypeAlias = dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]
"""Of each table: its columns, and its rows in order."""


class Hasty(SystemClock):
    """Waits only as long as a test can bear."""

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return super().wait(min(seconds, 0.01), stop)


class Died(BaseException):
    """The process is no more."""


@dataclass
class Trouble:
    """What meets the calls to the Data API and S3, which are counted from 0.

    ``refused``, ``lost`` (it was carried out): call `at`, once; with `at` None each call, but not its repetition. ``cut off``:
    from this call on none arrives; ``cut off behind``: this one does, and no answer. ``dies``, ``dies behind``.
    """

    how: str = ""
    at: int | None = -1
    calls: list[str] = field(default_factory=list)
    _was_struck: bool = False

    def call(self, name: str, effect: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if self.at is None:
            self._was_struck = not self._was_struck
            struck = self._was_struck
        else:
            struck = number == self.at
        if not struck:
            if self.at is not None and 0 <= self.at < number and self.how.startswith("cut off"):
                raise EndpointConnectionError(endpoint_url="planned")
            if self.at is not None and 0 <= self.at < number and self.how.startswith("dies"):
                raise Died
            return effect()
        if self.how in ("lost", "cut off behind", "dies behind"):
            effect()
        if self.how.startswith("dies"):
            raise Died
        if self.how in ("lost", "cut off behind"):
            raise ReadTimeoutError(endpoint_url="planned")
        raise EndpointConnectionError(endpoint_url="planned")


class Troubled:
    """A boto3 client whose calls pass through a Trouble."""

    def __init__(self, client: Any, trouble: Trouble) -> None:
        self._client = client
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in ("meta", "exceptions"):
            return found
        if name == "get_paginator":
            return lambda operation: _Pages(found(operation), operation, self._trouble)
        return lambda **request: self._trouble.call(name, lambda: found(**request))


class _Pages:
    def __init__(self, paginator: Any, operation: str, trouble: Trouble) -> None:
        self._paginator, self._operation, self._trouble = paginator, operation, trouble

    def paginate(self, **request: Any) -> Iterator[Any]:
        return iter(self._trouble.call(self._operation, lambda: list(self._paginator.paginate(**request))))


class Place:
    """A workgroup of its own, with a folder in the bucket ``lake``."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any], name: str = "") -> None:
        self.aws, self.data, self.s3 = aws, clients["redshift-data"], clients["s3"]
        self.name = name or f"proofs-{next(NUMBERS)}"
        self.eyes = self.connect("connector")  # ours, which no fault meets

    def connect(self, kind: Kind, trouble: Trouble | None = None, **more: Any) -> Connection:
        """`more`: wait_seconds."""
        data, s3 = (Troubled(client, trouble or Trouble()) for client in (self.data, self.s3))
        staging = Staging(s3, f"s3://lake/{self.name}", ROLE)
        if kind == "connector":
            credentials = Credentials(lambda: Login("loader", "canary-8c1f"), SystemClock())
            return ConnectorConnection(*self.aws.redshift(self.name), "dev", credentials, staging, **more)
        return DataApiConnection(data, Warehouse("dev", workgroup=self.name), staging, Hasty(), **more)

    def target(self, kind: Kind, trouble: Trouble | None = None, **more: Any) -> WarehouseTarget:
        connection = self.connect(kind, trouble, **more)
        return WarehouseTarget("dwh", "redshift", "public", connection, RedshiftDialect(), Hasty())

    def run(self, *statements: str) -> None:
        """As a person does, in one transaction."""
        self.eyes.transaction(statements)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """One session for several looks."""
        with self.eyes.opened():
            yield

    def tables(self, schema: str = "public") -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for table, column in self.eyes.rows(
            "SELECT table_name, column_name FROM svv_redshift_columns"
            f" WHERE schema_name = '{schema}' ORDER BY table_name, ordinal_position"
        ):
            found[table] = (*found.get(table, ()), column)
        return found

    def state(self) -> State:
        """Everything that a load leaves but the moment when it ran."""
        with self.watched():
            return {table: (columns, self._rows(table, columns)) for table, columns in self.tables().items()}

    def _rows(self, table: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        wanted = ", ".join(f'"{name}"' for name in columns if name not in CHANGING)
        return sorted(self.eyes.rows(f'SELECT {wanted} FROM "{table}"'), key=repr)

    def keep(self) -> None:
        """What is there now is what `reset` brings back."""
        tables = self.tables()
        old = [f'DROP TABLE kept."{table}"' for table in self.tables("kept")]
        self.run(*old, *(f'CREATE TABLE kept."{table}" AS SELECT * FROM public."{table}"' for table in tables))

    def reset(self) -> None:
        with self.watched():
            old = [f'DROP TABLE public."{table}"' for table in self.tables()]
            new = [f'CREATE TABLE public."{t}" AS SELECT * FROM kept."{t}"' for t in self.tables("kept")]
            self.run(*old, *new, "SELECT 1")

    def settle(self) -> None:
        """Until nothing runs that somebody left behind."""
        while any(s["Status"] in ACTIVE for s in self.requests()):
            pass

    def requests(self) -> list[dict[str, Any]]:
        return list(self.data.list_statements(WorkgroupName=self.name, Database="dev", Status="ALL")["Statements"])

    def objects(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket="lake", Prefix=f"{self.name}/")
        return [item["Key"] for item in listed.get("Contents", ())]
