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
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from tailrace.aws import AwsSettings, check_endpoint
from tailrace.errors import ConfigInvalid, TailraceError
from tailrace.landing import split_url
from tailrace.landing.names import check_table

FILE_NAME: Final = "tailrace.toml"
ENVIRONMENT: Final = "TAILRACE_CONFIG"
FILE_BYTES_MAX: Final = 1 << 20

_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{[^}]*\}?))")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]+)(B|KB|MB|GB|KiB|MiB|GiB)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SECRET = re.compile(r"(?i)(password|secret|access_key|token)")


def parse_duration(value: object) -> float:
    """``"14m"``, ``"30s"``, ``"250ms"``, ``"1h"`` or a number of seconds, to seconds. Raises ValueError."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _SECONDS[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool):
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
Mode: TypeAlias = Literal["current", "soft_delete", "changelog"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LandingConfig(_Section):
    """Where captured changes land."""

    url: str

    @field_validator("url")
    @classmethod
    def _check(cls, url: str) -> str:
        split_url(url)
        return url


class SourceConfig(_Section):
    """How to reach DynamoDB; what is absent is left to botocore's own chain."""

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    endpoint_url: str | None = None

    @field_validator("endpoint_url")
    @classmethod
    def _check(cls, url: str | None) -> str | None:
        if url is not None:
            check_endpoint(url)
        return url

    def aws(self) -> AwsSettings:
        return AwsSettings(**self.model_dump())


class TargetConfig(_Section):
    """One warehouse. `mode` is the default of the tables that go there."""

    kind: Literal["duckdb"]
    path: str
    mode: Mode | None = None


class _Rules(_Section):
    """What `[defaults]` and a table may both say."""

    targets: list[str] | None = Field(default=None, min_length=1)
    capture: Literal["streams"] | None = None
    base: Literal["none"] | None = None
    mode: Mode | None = None
    start: Literal["TRIM_HORIZON", "LATEST"] | None = None
    flush_seconds: Annotated[Seconds, Field(ge=0.05, le=900)] | None = None
    flush_bytes: Annotated[Bytes, Field(ge=1024, le=1 << 30)] | None = None
    heartbeat_seconds: Annotated[Seconds, Field(ge=1, le=3600)] | None = None
    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    load_bytes: Annotated[Bytes, Field(ge=1024, le=1 << 34)] | None = None


class TableConfig(_Rules):
    """One source table. `name` is its name in the targets."""

    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Config(_Section):
    """The whole file. `targets_of` and `rule` give what holds for one table."""

    landing: LandingConfig
    source: SourceConfig = SourceConfig()
    targets: dict[str, TargetConfig] = Field(min_length=1)
    defaults: _Rules = _Rules()
    tables: dict[str, TableConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_references(self) -> Config:
        for table in self.tables:
            check_table(table)
            for target in self.targets_of(table):
                if target not in self.targets:
                    near = _nearest(target, self.targets)
                    raise ValueError(f"tables.{table}.targets: there is no [targets.{target}]{near}")
        places: dict[tuple[str, str], str] = {}
        for table in self.tables:
            for target in self.targets_of(table):
                place = (self.targets[target].path, self.name_of(table).lower())
                if place in places:
                    raise ValueError(
                        f"tables.{places[place]} and tables.{table} both write {place[1]!r} in {place[0]}: give one another name"
                    )
                places[place] = table
        return self

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
        """The table's own mode, else the target's, else the one of [defaults], else ``current``."""
        mode: Mode = self.tables[table].mode or self.targets[target].mode or self.defaults.mode or "current"
        return mode

    def hash_of(self, table: str) -> str:
        """Changes when what decides a table's capture changes; recorded in its manifest."""
        facts = {"capture": self.rule(table, "capture", "streams"), "base": self.rule(table, "base", "none")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def find_config(path: str | None) -> Path:
    """The file that was named, or TAILRACE_CONFIG, or ``tailrace.toml`` here."""
    return Path(path or os.environ.get(ENVIRONMENT) or FILE_NAME)


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration file. Raises ConfigInvalid."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigInvalid(
            "There is no configuration file",
            hint="Write one with `tailrace init`, or name it with --config.",
            file=path,
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"The configuration cannot be read: {error}", hint="Check the path.", file=path) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigInvalid("The configuration is larger than 1 MiB", hint="Is it the right file?", file=path)
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"Byte {error.start} is not UTF-8", hint="Save the file as UTF-8.", file=path) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigInvalid(
            f"Not TOML: {error}", hint="See docs/configuration.md for an example.", file=path
        ) from error
    return check_config(_interpolated(document, environment, path, ""), path)


def check_config(document: Mapping[str, Any], path: Path) -> Config:
    """A parsed document to a Config. Raises ConfigInvalid with the place of the first fault."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise _explained(error.errors()[0], document, path) from error
    except TailraceError as error:  # from check_table, split_url and the like
        raise ConfigInvalid(error.message, hint=error.hint, file=path, **error.facts) from error


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
    place = ".".join(str(part) for part in fault["loc"])
    kind = fault["type"]
    if kind == "extra_forbidden":
        name = str(fault["loc"][-1])
        if _SECRET.search(name):
            hint = "Secrets never stand in this file: use AWS's own credential chain (profile, role, environment)."
            return ConfigInvalid(f"{place} is not a setting", hint=hint, file=path, place=place)
        return ConfigInvalid(
            f"{place} is not a setting{_nearest(name, _settings_at(fault['loc'][:-1]))}",
            hint="See docs/configuration.md for all settings.",
            file=path,
            place=place,
        )
    if kind == "missing":
        return ConfigInvalid(f"{place} is missing", hint="See docs/configuration.md.", file=path, place=place)
    if kind == "literal_error":
        return ConfigInvalid(
            f"{place} is {fault['input']!r:.60}; this version knows {fault['ctx']['expected']}",
            hint="Exports, backfill and other targets are planned and not built yet.",
            file=path,
            place=place,
        )
    message = str(fault["msg"]).removeprefix("Value error, ")
    cause = fault.get("ctx", {}).get("error")
    hint = getattr(cause, "hint", "") or "See docs/configuration.md."
    return ConfigInvalid(f"{place}: {message}" if place else message, hint=hint, file=path, place=place or None)


def _settings_at(place: tuple[Any, ...]) -> list[str]:
    """Names allowed in the section that `place` leads to."""
    sections: Mapping[str, type[BaseModel]] = {
        "landing": LandingConfig, "source": SourceConfig, "targets": TargetConfig, "defaults": _Rules, "tables": TableConfig
    }  # fmt: skip
    model = sections.get(str(place[0]), Config) if place else Config
    return list(model.model_fields)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
