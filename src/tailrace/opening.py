"""The targets that a configuration names, each made with the library that it needs and nobody else waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.aws import Aws
from tailrace.clock import Clock
from tailrace.config import AnyTarget, DeltaConfig, DuckDbConfig, IcebergConfig, ParquetConfig, RedshiftConfig
from tailrace.errors import PermissionMissing, UsageInvalid
from tailrace.landing import Store, open_store, split_url
from tailrace.outputs import unwritable
from tailrace.targets.target import Target
from tailrace.targets.warehouse.connection import Connection

if TYPE_CHECKING:
    from tailrace.targets.lake.location import Location


def open_target(name: str, config: AnyTarget, aws: Aws, base: Path, clock: Clock) -> Target:
    """The target of this name; relative paths count from `base`. Raises UsageInvalid for a library that is not installed."""
    match config:
        case DuckDbConfig():
            from tailrace.targets.duckdb import DuckDbTarget

            return DuckDbTarget(name, base / Path(config.path).expanduser(), clock)
        case RedshiftConfig():
            from tailrace.targets.redshift import redshift_target

            return redshift_target(name, _redshift(name, config, aws, clock), config.schema_, clock)
        case IcebergConfig():
            return _iceberg(name, config, aws, base, clock)
        case ParquetConfig():
            from tailrace.targets.parquet import ParquetTarget

            return ParquetTarget(name, *_lake(config.url, aws, base), clock, snapshots=config.snapshots)
        case DeltaConfig():
            with _needing(name, "deltalake", "delta"):
                from tailrace.targets.delta import DeltaTarget
            return DeltaTarget(name, *_lake(config.url, aws, base), clock)
        case _:
            with _needing(name, "psycopg", "postgres"):
                from tailrace.targets.postgres import postgres_target
            return postgres_target(name, config.settings(), config.schema_, clock)


@contextmanager
def _needing(name: str, module: str, extra: str, otherwise: str = "") -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if error.name not in (module, None):
            raise
        raise UsageInvalid(
            f"The target {name!r} needs {module}, which is not installed",
            hint=f"pip install 'tailrace[{extra}]'{otherwise}",
        ) from error


def _redshift(name: str, config: RedshiftConfig, aws: Aws, clock: Clock) -> Connection:
    """By the Data API, or by the driver with whatever gives it a login."""
    from tailrace.targets.redshift import DataApiConnection, Staging, Warehouse
    from tailrace.targets.redshift.credentials import Credentials, login_from

    staging = Staging(aws.client("s3"), config.staging, config.iam_role)
    names = {"workgroup": config.workgroup, "cluster": config.cluster, "db_user": config.db_user}
    if config.driver == "data-api":
        warehouse = Warehouse(config.database, secret_arn=config.secret_arn, **names)
        return DataApiConnection(aws.client("redshift-data"), warehouse, staging, clock)
    with _needing(name, "redshift_connector", "redshift", ", or use the Data API, which needs nothing."):
        from tailrace.targets.redshift.connector import PORT, ConnectorConnection
    fetch = login_from(aws.client, config.database, secret=config.secret_arn, parameter=config.ssm_parameter, **names)
    assert config.host is not None
    return ConnectorConnection(config.host, config.port or PORT, config.database, Credentials(fetch, clock), staging)


def _iceberg(name: str, config: IcebergConfig, aws: Aws, base: Path, clock: Clock) -> Target:
    """pyiceberg's settings out of ours; credentials are asked for anew each time, because they may expire."""
    with _needing(name, "pyiceberg", "iceberg"), _needing(name, "sqlalchemy", "iceberg"):
        from tailrace.targets.iceberg import FILE_IO, IcebergTarget
    warehouse, uri = config.warehouse, config.uri
    if config.is_local:
        folder = (base / Path(warehouse or "").expanduser()).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable("The warehouse's folder cannot be made", error, target=name, folder=folder) from error
        warehouse = folder.as_uri() if " " not in str(folder) else str(folder)
        if config.catalog == "sql" and uri is None:
            uri = f"sqlite:///{folder}/catalog.db"
    fixed = {"type": config.catalog, "py-io-impl": FILE_IO}
    fixed |= {} if uri is None else {"uri": uri}
    fixed |= {} if warehouse is None else {"warehouse": warehouse}

    def properties() -> dict[str, str]:
        if config.is_local and config.catalog == "sql":
            return fixed
        return {**fixed, **_access(config, aws)}

    return IcebergTarget(name, properties, tuple(config.namespace.split(".")), f"{uri} {warehouse}", clock)


def _access(config: IcebergConfig, aws: Aws) -> dict[str, str]:
    """AWS's credentials and region as pyiceberg takes them, for its catalog and its files."""
    try:
        login = aws.login()
    except PermissionMissing:
        if config.catalog == "rest":
            return {}  # such a catalog may hand out what opens its files
        raise
    found = {
        "client.access-key-id": login.access_key,
        "client.secret-access-key": login.secret_key,
        "client.session-token": login.token,
        "client.region": login.region,
        "s3.endpoint": login.endpoint,
        "glue.endpoint": login.endpoint,
    }
    if config.signing is not None:
        found |= {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": config.signing,
            "rest.signing-region": login.region,
        }
    return {setting: value for setting, value in found.items() if value is not None}


def _lake(url: str, aws: Aws, base: Path) -> tuple[Store, Location]:
    """A lake's folder as a store, proved to honour conditional writes, and as other libraries reach it."""
    from tailrace.targets.lake.location import Location

    scheme, bucket, path = split_url(url)
    store = open_store(url, aws.client("s3") if scheme == "s3" else None, base)
    store.probe()
    if scheme == "s3":
        return store, Location(path, bucket, aws.login)
    return store, Location.local((base / Path(path).expanduser()).absolute())
