"""``tailrace.toml``: read, interpolate, check. Every fault names the file, the place in it and the remedy.

The file's shape is ``docs/configuration.md``. Nothing here opens a connection.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from tailrace.aws import AwsSettings, check_endpoint
from tailrace.decide.load import DAY_SECONDS, Every, LoadRule
from tailrace.decide.windows import QUARTER_SECONDS, WindowRule
from tailrace.errors import ConfigInvalid, TailraceError
from tailrace.landing import split_url
from tailrace.landing.names import check_table
from tailrace.model.scan import SCAN_SEGMENTS_MAX

FILE_NAME: Final = "tailrace.toml"
ENVIRONMENT: Final = "TAILRACE_CONFIG"
FILE_BYTES_MAX: Final = 1 << 20

_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{[^}]*\}?))")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]+)(B|KB|MB|GB|KiB|MiB|GiB)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DEEP = re.compile(rb"""(?<![\w"'-])(?:["'\w-]+[ \t]*\.[ \t]*){64}""")  # a.b.c…
_SECRET = re.compile(r"(?i)(password|secret|access_key|token)")
NO_SECRETS: Final = "Secrets never stand in this file: use AWS's own credential chain (profile, role, environment)."


_SENTENCES: Final = {
    "model_type": "a section is expected, such as [landing]",
    "dict_type": "a section for each is expected, such as [tables.orders]",
    "too_short": "at least one is needed",
    "string_type": "text in quotes is expected",
    "int_type": "a whole number is expected",
    "list_type": 'a list is expected, such as ["local"]',
    "string_pattern_mismatch": "that is not how AWS writes one",
}  # in place of pydantic's words, which are about Python


def parse_duration(value: object) -> float:
    """``"14m"``, ``"30s"``, ``"250ms"``, ``"1h"`` or a number of seconds, to seconds. Raises ValueError."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _SECONDS[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**18:
        return float(value)
    raise ValueError(f'{value!r:.60} is no duration; write a number of seconds or "30s", "14m", "1h"')


def parse_size(value: object) -> int:
    """``"16MiB"``, ``"64MB"`` or a number of bytes, to bytes. Raises ValueError."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _BYTES[match[2]]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f'{value!r:.60} is no size; write a number of bytes or "16MiB", "64MB"')


Seconds: TypeAlias = Annotated[float, BeforeValidator(parse_duration)]
Bytes: TypeAlias = Annotated[int, BeforeValidator(parse_size)]
Base: TypeAlias = Literal["scan", "export", "none"]
Mode: TypeAlias = Literal["current", "soft_delete", "changelog", "history"]


Shape: TypeAlias = Literal["columns", "super"]
Engine: TypeAlias = Literal["process", "spark"]
Found = TypeVar("Found")


def _path(value: str) -> str:
    """A path that the operating system can take, with a home folder that exists. Raises ValueError."""
    if not value or not value.isprintable():
        raise ValueError("a path is neither empty nor holds control characters")
    try:
        Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value.partition('/')[0]!r:.60} has no home folder") from error
    return value


_NAME_BYTES: Final = {"postgres": 63, "redshift": 127}  # of a table or a schema


def _name(value: str) -> str:
    """A name in a target. Raises ValueError."""
    if not value.isprintable():
        raise ValueError("a name holds no control characters")
    return value


def _bytes_max(limit: int) -> AfterValidator:
    """For names in a server, which are counted in bytes of UTF-8."""

    def check(value: str) -> str:
        if len(value.encode()) > limit:
            raise ValueError(f"a name has {limit} bytes at most here")
        return value

    return AfterValidator(check)


def _namespace(value: str) -> str:
    """A namespace of a catalog. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", value) or len(value) > 255:
        raise ValueError("a namespace is words of letters, digits and _, divided by points")
    return value


class _Finding(ValueError):
    """What is wrong beyond the single value, or in another part's words: for pydantic to carry, and `_explained` to read."""

    def __init__(self, message: str, *, hint: str = "", place: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.place = place


def _checked(check: Callable[[str], Found], value: str, place: str = "") -> Found:
    try:
        return check(value)
    except TailraceError as error:
        raise _Finding(error.message, hint=error.hint, place=place) from error


_AWS_NAME: Final = re.compile(r"[a-z0-9_]{1,255}")
_CUT: Final = re.compile(r"[#?%]")  # Iceberg's clients take a path for a URL, and cut it there or read another one
_CUT_NAME: Final = re.compile(rf"{_CUT.pattern}|(^|/)\.{{1,2}}(/|$)")
_AWS_UNFIT: Final = re.compile(r"[^a-z0-9_]")

FilePath: TypeAlias = Annotated[str, AfterValidator(_path)]
TargetTable: TypeAlias = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class LandingConfig(_Section):
    """Where captured changes land."""

    url: str

    @field_validator("url")
    @classmethod
    def _check(cls, url: str) -> str:
        scheme, _, path = _checked(split_url, url)
        if scheme == "file":
            _path(path)
        return url


class SourceConfig(_Section):
    """How to reach DynamoDB; what is absent is left to botocore's own chain."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    profile: Annotated[str, AfterValidator(_name)] | None = None
    role_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")] | None = None
    external_id: Annotated[str, AfterValidator(_name)] | None = None
    endpoint_url: str | None = None

    @field_validator("endpoint_url")
    @classmethod
    def _check(cls, url: str | None) -> str | None:
        if url is not None:
            _checked(check_endpoint, url)
        return url

    def aws(self) -> AwsSettings:
        return AwsSettings(**self.model_dump())


class DuckDbConfig(_Section):
    """A DuckDB file. `mode` is the default of the tables that go there."""

    kind: Literal["duckdb"]
    path: FilePath
    mode: Mode | None = None

    def place(self, table: str) -> tuple[str, ...]:
        """What no two tables may share."""
        return os.path.normpath(self.path), table.lower()


class PostgresConfig(_Section):
    """A schema of a PostgreSQL database. What is absent is left to libpq's own chain, the password always."""

    kind: Literal["postgres"]
    host: Annotated[str, AfterValidator(_name)] | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    database: Annotated[str, Field(min_length=1), AfterValidator(_name)] | None = None
    user: Annotated[str, AfterValidator(_name)] | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    schema_: Annotated[
        str, Field(min_length=1, alias="schema"), AfterValidator(_name), _bytes_max(_NAME_BYTES["postgres"])
    ] = "public"
    mode: Mode | None = None

    def settings(self) -> dict[str, str | int]:
        """libpq's, where they are set."""
        names = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "sslmode": self.sslmode,
        }
        return {name: value for name, value in names.items() if value is not None}

    def place(self, table: str) -> tuple[str, ...]:
        """What no two tables may share."""
        return f"{self.host or ''}:{self.port or ''}/{self.database or ''}", self.schema_, table


class RedshiftConfig(_Section):
    """A schema of a Redshift database, by the Data API or by its own driver. Passwords are fetched, never written here."""

    kind: Literal["redshift"]
    driver: Literal["data-api", "connector"] = "data-api"
    workgroup: Annotated[str, Field(pattern=r"^[a-z0-9-]{3,64}$")] | None = None
    cluster: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")] | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    database: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]
    iam_role: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")]
    staging: Annotated[str, Field(pattern=r"^s3://[a-z0-9.-]{3,63}(/.*)?$"), AfterValidator(_name)]
    schema_: Annotated[
        str, Field(min_length=1, alias="schema"), AfterValidator(_name), _bytes_max(_NAME_BYTES["redshift"])
    ] = "public"
    db_user: Annotated[str, AfterValidator(_name)] | None = None
    secret_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:secretsmanager:")] | None = None
    ssm_parameter: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./:-]{1,2048}$")] | None = None
    mode: Mode | None = None
    shape: Shape | None = None

    @model_validator(mode="after")
    def _check_place(self) -> RedshiftConfig:
        if self.workgroup is not None and self.cluster is not None:
            raise _Finding("workgroup and cluster exclude one another", hint="Serverless has a workgroup.")
        if self.db_user is not None and (self.secret_arn or not (self.cluster or self.ssm_parameter)):
            hint = "With a workgroup the user is the caller's own role; a secret holds its user."
            raise _Finding("db_user goes with cluster, or with ssm_parameter", hint=hint)
        if self.driver == "connector":
            self._check_connector()
            return self
        if self.workgroup is None and self.cluster is None:
            raise _Finding("one of workgroup and cluster is needed", hint="Serverless has a workgroup.")
        for name in ("host", "port", "ssm_parameter"):
            if getattr(self, name) is not None:
                raise _Finding(f"{name} is for the driver", hint='Set driver = "connector", or leave it away.')
        return self

    def _check_connector(self) -> None:
        if self.host is None:
            hint = "It stands in the workgroup's or cluster's endpoint, before the port."
            raise _Finding('driver = "connector" needs host', hint=hint)
        if self.secret_arn is not None and self.ssm_parameter is not None:
            raise _Finding(
                "secret_arn and ssm_parameter exclude one another", hint="Keep the one that holds the login."
            )
        if (self.secret_arn, self.ssm_parameter, self.workgroup, self.cluster) == (None, None, None, None):
            hint = "By IAM: workgroup or cluster; with a password: secret_arn or ssm_parameter."
            raise _Finding('driver = "connector" needs credentials', hint=hint)

    def place(self, table: str) -> tuple[str, ...]:
        """What no two tables may share."""
        return f"{self.workgroup or self.cluster or self.host}/{self.database}", self.schema_.lower(), table.lower()


class IcebergConfig(_Section):
    """A namespace of an Iceberg catalog. Tokens and passwords of a catalog come from pyiceberg's own environment."""

    kind: Literal["iceberg"]
    catalog: Literal["sql", "rest", "glue"] = "sql"
    warehouse: Annotated[str, Field(min_length=1), AfterValidator(_path)] | None = None
    uri: Annotated[str, Field(min_length=1), AfterValidator(_name)] | None = None
    signing: Literal["glue", "s3tables"] | None = None
    namespace: Annotated[str, AfterValidator(_namespace)] = "tailrace"
    mode: Mode | None = None
    engine: Engine | None = None

    @model_validator(mode="after")
    def _check_place(self) -> IcebergConfig:
        if self.catalog == "rest" and self.uri is None:
            raise _Finding('catalog = "rest" needs uri', hint="The address of the REST catalog.")
        if self.catalog != "rest" and self.warehouse is None:
            raise _Finding("warehouse is missing", hint='Where tables lie: "s3://bucket/prefix", or a folder.')
        if self.catalog == "sql" and self.uri is None and not self.is_local:
            hint = "A SQLite file has one disk. Name a database that all loaders reach, or a REST or Glue catalog."
            raise _Finding('catalog = "sql" with a warehouse on S3 needs uri', hint=hint)
        if self.catalog != "rest" and _CUT.search(self.warehouse or ""):
            raise _Finding(
                "warehouse holds #, ? or %", hint="Iceberg's clients take a path for a URL. Name another place."
            )
        if self.uri is not None and re.search(r"://[^/@]*:[^/@]*@", self.uri):
            raise _Finding("uri holds a password", hint=NO_SECRETS)
        if self.signing is not None and self.catalog != "rest":
            raise _Finding("signing is for a REST catalog", hint='Set catalog = "rest", or leave it away.')
        if self.is_of_aws and not _AWS_NAME.fullmatch(self.namespace):
            hint = "It becomes one database: 1 to 255 small letters, digits and underscores."
            raise _Finding(f"namespace {self.namespace!r:.80} is no name in AWS's catalogs", hint=hint)
        return self

    @property
    def is_local(self) -> bool:
        """Whether tables lie in a folder of this machine. To a REST catalog a warehouse is a name like any other."""
        return self.catalog != "rest" and self.warehouse is not None and "://" not in self.warehouse

    @property
    def is_of_aws(self) -> bool:
        """Whether the catalog is AWS's own, which takes AWS's own login and knows small letters only."""
        return self.catalog == "glue" or self.signing is not None

    def place(self, table: str) -> tuple[str, ...]:
        """What no two tables may share."""
        return f"{self.uri or ''} {self.warehouse or ''}".strip(), self.namespace.lower(), table.lower()


class _LakeConfig(_Section):
    """A folder with a folder for each table, on a local disk or on S3."""

    url: str
    mode: Mode | None = None

    @field_validator("url")
    @classmethod
    def _check(cls, url: str) -> str:
        scheme, _, path = _checked(split_url, url)
        if scheme == "file":
            _path(path)
        return url

    def place(self, table: str) -> tuple[str, ...]:
        """What no two tables may share."""
        return folder_of(self.url), table


def folder_of(url: str) -> str:
    """One spelling for each folder of a disk or bucket."""
    scheme, bucket, path = split_url(url)
    return f"s3://{bucket}/{path}".rstrip("/") if scheme == "s3" else os.path.normpath(path)


class ParquetConfig(_LakeConfig):
    """A folder of Parquet files for each table, which only grows."""

    kind: Literal["parquet"]
    snapshots: bool = False
    modes: ClassVar[tuple[Mode, ...]] = ("changelog",)


class DeltaConfig(_LakeConfig):
    """A Delta table for each table."""

    kind: Literal["delta"]


AnyTarget: TypeAlias = DuckDbConfig | PostgresConfig | RedshiftConfig | ParquetConfig | DeltaConfig | IcebergConfig
TARGETS: Final[Mapping[str, type[AnyTarget]]] = {
    "duckdb": DuckDbConfig,
    "postgres": PostgresConfig,
    "redshift": RedshiftConfig,
    "parquet": ParquetConfig,
    "delta": DeltaConfig,
    "iceberg": IcebergConfig,
}
TargetConfig: TypeAlias = Annotated[AnyTarget, Field(discriminator="kind")]
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)


class LoadEvery(_Section):
    """At whole multiples of `every` in UTC, and `offset` later."""

    every: Annotated[Seconds, Field(ge=60, le=7 * DAY_SECONDS)]
    offset: Annotated[Seconds, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _check(self) -> LoadEvery:
        if self.every % 1 or self.offset % 1:
            raise _Finding("every and offset are whole seconds", hint=_EVERY_HINT)
        self.rule()
        return self

    def rule(self) -> Every:
        """Raises what pydantic shows where both do not fit together."""
        try:
            return Every(int(self.every), int(self.offset))
        except ValueError as error:
            raise _Finding(str(error), hint=_EVERY_HINT) from error


_EVERY_HINT: Final = 'For example { every = "1h", offset = "5m" }, or every = "15m", "24h", "48h".'


def _kind_of_rule(value: object) -> str:
    return "every" if isinstance(value, dict | LoadEvery) else "word"


LoadSetting: TypeAlias = Annotated[
    Annotated[Literal["continuous", "on_file", "by_hand"], Tag("word")] | Annotated[LoadEvery, Tag("every")],
    Discriminator(_kind_of_rule),
]


class _Rules(_Section):
    """What `[defaults]` and a table may both say."""

    targets: list[str] | None = Field(default=None, min_length=1)
    capture: Literal["streams", "exports", "lambda"] | None = None
    base: Base | None = None
    scan_segments: Annotated[int, Field(ge=1, le=SCAN_SEGMENTS_MAX)] | None = None
    backfill_units: Annotated[int, Field(ge=1, le=10**9)] | None = None
    mode: Mode | None = None
    start: Literal["TRIM_HORIZON", "LATEST"] | None = None
    flush_seconds: Annotated[Seconds, Field(ge=0.05, le=900)] | None = None
    flush_bytes: Annotated[Bytes, Field(ge=1024, le=1 << 30)] | None = None
    heartbeat_seconds: Annotated[Seconds, Field(ge=1, le=3600)] | None = None
    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    load: LoadSetting | None = None
    load_bytes: Annotated[Bytes, Field(ge=1024, le=1 << 34)] | None = None
    window: Annotated[Seconds, Field(ge=900, le=86_400)] | None = None
    step: Annotated[Seconds, Field(ge=60, le=86_400)] | None = None
    enable_pitr: bool | None = None
    compact_bytes: Annotated[Bytes, Field(ge=0, le=1 << 30)] | None = None
    compact_grace: Annotated[Seconds, Field(ge=60, le=366 * 86_400)] | None = None


class TableConfig(_Rules):
    """One source table. `name` is its name in the targets; `shape`, `dist_key` and `sort_key` are for Redshift.

    `engine`, for Iceberg, says who carries out its loads.
    """

    name: TargetTable | None = None
    engine: Engine | None = None
    shape: Shape | None = None
    dist_key: TargetTable | None = None
    sort_key: Annotated[list[TargetTable], Field(max_length=400)] | None = None


_KEY: Final = r"^(create|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$"


class DeployConfig(_Section):
    """What `tailrace deploy render` cannot know from the rest."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$")] = "tailrace"
    bucket: Literal["create", "existing"] = "create"
    kms_key: Annotated[str, Field(pattern=_KEY)] | None = None
    backfill: Literal["schedule", "step_functions", "chain_table"] = "schedule"
    subnets: list[Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")]] = Field(default=[])
    security_groups: list[Annotated[str, Field(pattern=r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$")]] = Field(default=[])
    alarm_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$"), AfterValidator(_name)] | None = None
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 30
    memory: Annotated[int, Field(ge=512, le=10_240)] = 1024
    reserve_concurrency: bool = True

    @model_validator(mode="after")
    def _check_network(self) -> DeployConfig:
        if bool(self.subnets) != bool(self.security_groups):
            raise _Finding(
                "subnets and security_groups go together",
                hint="A function in a VPC needs both; leave out both without.",
            )
        return self


class SparkConfig(_Section):
    """For tables with ``engine = "spark"``: Spark's own settings, and how work is cut."""

    settings: dict[str, str] = {}
    part_bytes: Annotated[Bytes, Field(ge=1 << 20, le=1 << 34)] = 32 << 20
    range_bytes: Annotated[Bytes, Field(ge=1 << 20, le=1 << 34)] = 128 << 20

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: dict[str, str]) -> dict[str, str]:
        for name in settings:
            if not name.startswith("spark."):
                raise _Finding(
                    f"{name!r:.80} is no setting of Spark's", hint='For example "spark.driver.memory" = "4g".'
                )
            if _SECRET.search(name.replace(".", "_")):
                raise _Finding(f"{name!r:.80} is a secret by its name", hint=NO_SECRETS)
        return settings


class Config(_Section):
    """The whole file. `targets_of` and `rule` give what holds for one table."""

    landing: LandingConfig
    source: SourceConfig = SourceConfig()
    targets: dict[str, TargetConfig] = Field(min_length=1)
    defaults: _Rules = _Rules()
    deploy: DeployConfig = DeployConfig()
    spark: SparkConfig = SparkConfig()
    tables: dict[str, TableConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_references(self) -> Config:
        places: dict[tuple[str, ...], tuple[str, str]] = {}
        for table in self.tables:
            _checked(check_table, table, f"tables.{table}")
            self._check_lambda(table)
            self._check_exports(table)
            for target in self.targets_of(table):
                if target not in self.targets:
                    near = _nearest(target, self.targets)
                    raise _Finding(f"there is no [targets.{target}]{near}", place=f"tables.{table}.targets")
                self._check_layout(table, target)
                self._check_lake(table, target)
                place = self.targets[target].place(self.name_of(table))
                if place in places:
                    other, other_target = places[place]
                    both = f"tables.{other} too" if other != table else f"targets.{other_target} and {target} alike"
                    raise _Finding(
                        f"{both} would write {place[-1]!r} in {' '.join(place[:-1])}",
                        hint="Give one another `name`, or another place.",
                        place=f"tables.{table}",
                    )
                places[place] = (table, target)
        return self

    def _check_layout(self, table: str, target: str) -> None:
        kind, name = self.targets[target].kind, self.name_of(table)
        length, longest = len(name.encode()), _NAME_BYTES.get(kind)
        if longest is not None and length > longest:
            raise _Finding(
                f"{name!r:.160} has {length} bytes, and a table's name in the target {target!r} ({kind}) {longest} at most",
                hint='Set a shorter name = "…" in its section.',
                place=f"tables.{table}.name",
            )
        if kind != "iceberg" and self.tables[table].engine == "spark":
            raise _Finding(
                f'engine = "spark" is for Iceberg, and the target {target!r} is {kind}',
                hint="Set it in the Iceberg target's section, or name this table's targets.",
                place=f"tables.{table}.engine",
            )
        for name in ("shape", "dist_key", "sort_key"):
            if kind != "redshift" and getattr(self.tables[table], name) is not None:
                instead = "Set it in the Redshift target's section" if name == "shape" else "Leave it away"
                raise _Finding(
                    f"{name} is for Redshift, and the target {target!r} is {kind}",
                    hint=f"{instead}, or name this table's targets.",
                    place=f"tables.{table}.{name}",
                )

    def _check_lake(self, table: str, target: str) -> None:
        """A mode that the target has, and a folder that is not the landing zone's own."""
        config, mode = self.targets[target], self.mode_of(table, target)
        offered = _modes_of(config)
        if mode not in offered:
            raise _Finding(
                f"the target {target!r} is {config.kind}, which keeps no mode {mode!r}",
                hint=f'Set mode = "{offered[0]}" in [targets.{target}], and none in [tables.{table}].',
                place=f"tables.{table}",
            )
        if isinstance(config, IcebergConfig) and config.is_of_aws and not _AWS_NAME.fullmatch(self.name_of(table)):
            raise _Finding(
                f"{self.name_of(table)!r:.80} is no table's name in AWS's catalogs, where the target {target!r} keeps it",
                hint=f'Set name = "{_AWS_UNFIT.sub("_", self.name_of(table).lower())[:255]}" in its section, or another one of'
                " small letters, digits and underscores.",
                place=f"tables.{table}.name",
            )
        if isinstance(config, IcebergConfig) and _CUT_NAME.search(self.name_of(table)):
            raise _Finding(
                f"{self.name_of(table)!r:.80} is no table's name in Iceberg, whose clients make it a part of a URL",
                hint="Set a `name` without #, ? and %, which is not . or .. either.",
                place=f"tables.{table}.name",
            )
        if isinstance(config, _LakeConfig) and folder_of(config.url) == folder_of(self.landing.url):
            raise _Finding(
                "the url is that of the landing zone",
                hint="Give the target a folder of its own.",
                place=f"targets.{target}.url",
            )

    def _check_lambda(self, table: str) -> None:
        if self.by_lambda(table) and not self.landing.url.startswith("s3:"):
            raise _Finding(
                'capture = "lambda" needs a landing url that begins with "s3://"',
                hint='A function lands on S3. Use a bucket, or capture = "streams".',
                place="landing.url",
            )

    def _check_exports(self, table: str) -> None:
        """A landing zone that DynamoDB can write to, and a window and step that leave nothing behind."""
        base = self.rule(table, "base", None)
        if self.by_exports(table) and base == "scan":
            raise _Finding(
                'the base of a table that is captured by exports is its full export, not base = "scan"',
                hint='Leave base away, or set capture = "streams".',
                place=f"tables.{table}.base",
            )
        if not (self.by_exports(table) or base == "export"):
            return
        if not self.landing.url.startswith("s3:"):
            instead = 'capture = "streams"' if self.by_exports(table) else 'base = "scan"'
            raise _Finding(
                'exports need a landing url that begins with "s3://"',
                hint=f"DynamoDB itself writes exports, and only to S3. Use a bucket, or {instead}.",
                place="landing.url",
            )
        try:
            self.windows_of(table)
        except ValueError as error:
            raise _Finding(
                str(error), hint='For example window = "15m" and step = "5m".', place=f"tables.{table}.step"
            ) from error

    def by_exports(self, table: str) -> bool:
        return bool(self.rule(table, "capture", "streams") == "exports")

    def by_lambda(self, table: str) -> bool:
        return bool(self.rule(table, "capture", "streams") == "lambda")

    def base_of(self, table: str) -> Base:
        """How what a table held before its stream was captured is read. With exports the full one is part of capture."""
        base: Base = "none" if self.by_exports(table) else self.rule(table, "base", "scan")
        return base

    def windows_of(self, table: str) -> WindowRule:
        """How the windows of a table captured by exports follow one another. Raises ValueError."""
        width = self.rule(table, "window", float(QUARTER_SECONDS))
        step = self.rule(table, "step", width)
        if width % 1 or step % 1:
            raise ValueError("window and step are whole seconds")
        return WindowRule(int(width), int(step))

    def rule(self, table: str, name: str, default: Any) -> Any:
        """A table's own setting, else the one of [defaults], else `default`."""
        own = getattr(self.tables[table], name)
        if own is None:
            own = getattr(self.defaults, name)
        return default if own is None else own

    def targets_of(self, table: str) -> list[str]:
        return list(self.rule(table, "targets", list(self.targets)))

    def name_of(self, table: str) -> str:
        return self.tables[table].name or table

    def mode_of(self, table: str, target: str) -> Mode:
        """The table's own mode, else the target's, else the one of [defaults], else the first that the target has."""
        config = self.targets[target]
        return self.tables[table].mode or config.mode or self.defaults.mode or _modes_of(config)[0]

    def shape_of(self, table: str, target: str) -> Shape:
        """The table's own shape, else the target's, else ``columns``."""
        found: Shape = self.tables[table].shape or getattr(self.targets[target], "shape", None) or "columns"
        return found

    def engine_of(self, table: str, target: str) -> Engine:
        """The table's own engine, else the target's, else ``process``."""
        found: Engine = self.tables[table].engine or getattr(self.targets[target], "engine", None) or "process"
        return found

    def load_rule_of(self, table: str) -> LoadRule:
        """When the table's segments are loaded."""
        setting = self.rule(table, "load", "continuous")
        rule: LoadRule = setting.rule() if isinstance(setting, LoadEvery) else setting
        return rule

    def hash_of(self, table: str) -> str:
        """Changes when what decides a table's capture changes; recorded in its manifest."""
        facts = {"capture": self.rule(table, "capture", "streams"), "base": self.base_of(table)}
        if self.by_exports(table):
            rule = self.windows_of(table)
            facts |= {"window": rule.width, "step": rule.step}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _modes_of(config: AnyTarget) -> tuple[Mode, ...]:
    return config.modes if isinstance(config, ParquetConfig) else _MODES


def find_config(path: str | None) -> Path:
    """The file that was named, or TAILRACE_CONFIG, or ``tailrace.toml`` here. Raises ConfigInvalid."""
    named = path or os.environ.get(ENVIRONMENT) or FILE_NAME
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise ConfigInvalid("The home folder of this path is not known", hint="Check the path.", file=named) from error


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration file. Raises ConfigInvalid."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigInvalid(
            "There is no configuration file",
            hint="Write one with `tailrace init`, or name it with --config.",
            file=path,
        ) from None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigInvalid(f"The configuration cannot be read: {what}", hint="Check the path.", file=path) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigInvalid("The configuration is larger than 1 MiB", hint="Is it the right file?", file=path)
    if _DEEP.search(data):  # tomllib takes time and memory with the square of it
        raise ConfigInvalid(
            "A name has more than 64 parts", hint="See docs/configuration.md for an example.", file=path
        )
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))
        _check_names(raw, path)
        document = _interpolated(raw, environment, path, "")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"Byte {error.start} is not UTF-8", hint="Save the file as UTF-8.", file=path) from error
    except (ValueError, RecursionError) as error:  # beside TOMLDecodeError: an integer of thousands of digits
        raise ConfigInvalid(
            f"Not TOML: {error}", hint="See docs/configuration.md for an example.", file=path
        ) from error
    return check_config(document, path)


def check_config(document: Mapping[str, Any], path: Path) -> Config:
    """A parsed document to a Config. Raises ConfigInvalid with the place of the first fault."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise _explained(error.errors()[0], document, path) from error


def _check_names(document: Mapping[str, Any], path: Path) -> None:
    """A name with a variable in it would be taken as it stands."""
    for section in ("tables", "targets"):
        for name in document[section] if isinstance(document.get(section), dict) else ():
            if any(match[0] != "$$" for match in _VARIABLE.finditer(name)):
                raise ConfigInvalid(
                    f"{section}.{name}: variables are not replaced in names of tables and targets, only in values",
                    hint="Write the name as it is; where it differs by stage, in a file for each.",
                    file=path,
                    place=f"{section}.{name}",
                )


def _interpolated(value: Any, environment: Mapping[str, str], path: Path, place: str) -> Any:
    """``${NAME}`` in strings takes an environment variable, ``$$`` is a dollar sign."""
    if isinstance(value, dict):
        return {k: _interpolated(v, environment, path, f"{place}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, list):
        return [_interpolated(v, environment, path, place) for v in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1]
        if name is not None and _SECRET.search(name):
            raise ConfigInvalid(
                f"The environment variable {name} is a secret by its name", hint=NO_SECRETS, file=path, place=place
            )
        if name is None or name not in environment:
            what = f"The environment variable {name} is not set" if name else f"{match[0]!r:.40} is no variable"
            raise ConfigInvalid(what, hint="Set it, or write $$ for a dollar sign.", file=path, place=place)
        if not environment[name].isprintable():
            raise ConfigInvalid(
                f"The environment variable {name} holds a line break or control character",
                hint="Set it without.",
                file=path,
                place=place,
            )
        return environment[name]

    return _VARIABLE.sub(put, value)


def _explained(fault: Any, document: Mapping[str, Any], path: Path) -> ConfigInvalid:
    """pydantic's finding as a sentence. Values are not repeated where the name smells of a secret."""
    kind, parts = fault["type"], list(fault["loc"])
    if parts[0:1] == ["targets"] and len(parts) > 2:
        del parts[2]  # pydantic names the target's kind there
    at = {"defaults": 1, "tables": 2}.get(str(parts[0]) if parts else "", len(parts))
    if parts[at : at + 1] == ["load"]:
        del parts[at + 1 : at + 2]  # and the form of the rule
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        parts.append("kind")
    place = ".".join(str(part) for part in parts)
    if kind == "extra_forbidden":
        name = str(parts[-1])
        if _SECRET.search(name):
            return ConfigInvalid(f"{place} is not a setting", hint=NO_SECRETS, file=path, place=place)
        if fault["loc"][0] == "tables" and len(fault["loc"]) == 3 and isinstance(fault["input"], dict):
            hint = f'A table name with a dot is quoted: [tables."{place.removeprefix("tables.")}"].'
            return ConfigInvalid(f"{place} is not a setting", hint=hint, file=path, place=place)
        return ConfigInvalid(
            f"{place} is not a setting{_nearest(name, _settings_at(fault['loc'][:-1]))}",
            hint="See docs/configuration.md for all settings.",
            file=path,
            place=place,
        )
    if kind in ("missing", "union_tag_not_found"):
        return ConfigInvalid(f"{place} is missing", hint="See docs/configuration.md.", file=path, place=place)
    if kind in ("literal_error", "union_tag_invalid"):
        value, known = fault["input"], fault["ctx"].get("expected") or fault["ctx"]["expected_tags"]
        value = value["kind"] if kind == "union_tag_invalid" else value
        other = ', or { every = "1h" }' if parts[-1] == "load" else ""
        return ConfigInvalid(
            f"{place} is {value!r:.60}, which is not known", hint=f"Use {known}{other}.", file=path, place=place
        )
    cause = fault.get("ctx", {}).get("error")
    place = getattr(cause, "place", "") or place
    message = _SENTENCES.get(kind) or str(fault["msg"]).removeprefix("Value error, ")
    hint = getattr(cause, "hint", "") or "See docs/configuration.md."
    return ConfigInvalid(f"{place}: {message}", hint=hint, file=path, place=place)


def _settings_at(place: tuple[Any, ...]) -> list[str]:
    """Names allowed in the section that `place` leads to."""
    sections: Mapping[str, type[BaseModel]] = {
        "landing": LandingConfig, "source": SourceConfig, "defaults": _Rules, "deploy": DeployConfig, "spark": SparkConfig,
        "tables": TableConfig, **TARGETS
    }  # fmt: skip
    model = sections.get(str(place[2] if place[0] == "targets" else place[0]), Config) if place else Config
    if place[-2:] == ("load", "every"):
        model = LoadEvery
    return [field.alias or name for name, field in model.model_fields.items()]


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
