"""Looks at everything that a configuration names, and has `tailrace.decide.doctor` judge it. Changes nothing.

It writes one object each under the landing prefix and the staging prefix, to see whether conditions are honoured, and deletes it
again (`Store.probe`).
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tailrace import __version__
from tailrace.aws import found, identify, simulate
from tailrace.capture.facts import describe_stream, describe_table, try_exports
from tailrace.codec import engine
from tailrace.config import DeltaConfig, DuckDbConfig, IcebergConfig, ParquetConfig, PostgresConfig, RedshiftConfig
from tailrace.decide import doctor as rules
from tailrace.decide.doctor import Finding, TableRules
from tailrace.jobs.backfill import BackfillSettings
from tailrace.landing import split_url
from tailrace.landing.facts import can_be_made, describe_bucket, describe_folder
from tailrace.model.facts import BucketFacts, FileFacts, Identity, SchemaFacts, TableFacts, Unknown, Versions
from tailrace.pipeline import Pipeline

LIBRARIES = ("boto3", "botocore", "duckdb", "pyarrow")


def examine(pipeline: Pipeline, pattern: str = "*") -> Iterator[Finding]:
    """Findings in the order in which data flows: who calls, the tables, the landing zone, the targets."""
    identity = identify(pipeline.aws)
    yield rules.check_identity(identity)
    yield rules.check_clock(identity)
    yield rules.check_versions(_versions())
    regions: dict[str, str] = {}
    for table in pipeline.tables(pattern):
        facts = found("DescribeTable", functools.partial(_table, pipeline, table))
        yield from rules.check_table(facts, table, _rules(pipeline, table))
        if isinstance(facts, TableFacts):
            regions[table] = facts.region
            if pipeline.config.by_exports(table) or pipeline.config.base_of(table) == "export":
                yield rules.check_export_right(facts, _may_export(pipeline, identity, facts))
    yield from _landing(pipeline, regions)
    targets = dict.fromkeys(name for table in pipeline.tables(pattern) for name in pipeline.config.targets_of(table))
    for name in targets:
        yield from _target(pipeline, identity, name)


def _versions() -> Versions:
    codec = engine()
    return Versions(
        platform.python_version(),
        __version__,
        f"{codec.name} {codec.version}",
        {name: version(name) for name in LIBRARIES},
    )


def _rules(pipeline: Pipeline, table: str) -> TableRules:
    config = pipeline.config
    return TableRules(
        by_exports=config.by_exports(table),
        base=config.base_of(table),
        enable_recovery=config.rule(table, "enable_pitr", False),
        slides=config.by_exports(table) and config.windows_of(table).slides,
        backfill_units=config.rule(table, "backfill_units", BackfillSettings().units),
    )


def _table(pipeline: Pipeline, table: str) -> TableFacts | Unknown:
    facts = describe_table(pipeline.dynamodb, table)
    if isinstance(facts, Unknown):
        return facts
    access = dict(facts.access)
    if pipeline.config.by_exports(table) or pipeline.config.base_of(table) == "export":
        access |= try_exports(pipeline.dynamodb, facts.arn)
    if pipeline.config.by_exports(table):
        return replace(facts, access=access)
    stream, of_stream = describe_stream(pipeline.dynamodb, pipeline.streams, table)
    return replace(facts, stream=stream, access={**access, **of_stream})


def _may_export(pipeline: Pipeline, identity: Identity | Unknown, facts: TableFacts) -> bool | Unknown | None:
    """By simulation; None for the root user, whom no policy limits."""
    return _simulated(pipeline, identity, "dynamodb:ExportTableToPointInTime", facts.arn)


def _simulated(pipeline: Pipeline, identity: Identity | Unknown, action: str, arn: str) -> bool | Unknown | None:
    if isinstance(identity, Unknown):
        return identity
    if identity.arn.endswith(":root"):
        return None
    return simulate(pipeline.aws, _principal(identity.arn), action, arn)


def _principal(arn: str) -> str:
    """The role behind a session: ``arn:aws:sts::1:assumed-role/NAME/SESSION``. A role with a path is not found under that."""
    prefix, _, rest = arn.partition(":assumed-role/")
    return f"{prefix.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}" if rest else arn


def _landing(pipeline: Pipeline, regions: dict[str, str]) -> Iterator[Finding]:
    yield from _place(pipeline, pipeline.config.landing.url, regions)


def _place(pipeline: Pipeline, url: str, regions: dict[str, str], *, is_known: bool = False) -> Iterator[Finding]:
    scheme, bucket, path = split_url(url)
    if scheme == "s3":
        yield from rules.check_bucket(_bucket(pipeline, bucket, path), regions, is_known=is_known)
    else:
        yield rules.check_folder(describe_folder(pipeline.base / Path(path).expanduser()))


def _bucket(pipeline: Pipeline, bucket: str, prefix: str) -> BucketFacts:
    s3 = found("client for s3", lambda: pipeline.aws.client("s3"))
    return BucketFacts(bucket, prefix, s3) if isinstance(s3, Unknown) else describe_bucket(s3, bucket, prefix)


def _target(pipeline: Pipeline, identity: Identity | Unknown, name: str) -> Iterator[Finding]:
    config = pipeline.config.targets[name]
    if isinstance(config, DuckDbConfig):
        yield rules.check_file(name, _file(pipeline, name, pipeline.base / Path(config.path).expanduser()))
        return
    if isinstance(config, ParquetConfig | DeltaConfig):
        places = list(_lake_place(pipeline, config.url))
        yield from places
        scheme, _, path = split_url(config.url)
        is_there = scheme == "s3" or (pipeline.base / Path(path).expanduser()).exists()  # opening makes a folder
        if is_there and rules.worst(places) != "error":
            opened = found("open", lambda: pipeline.target(name))
            yield rules.check_lake(name, config.url, opened if isinstance(opened, Unknown) else None)
        return
    staging = None
    if isinstance(config, IcebergConfig):
        yield rules.check_catalog(name, config.namespace, found("catalog", lambda: pipeline.target(name).tables()))  # type: ignore[attr-defined]
        if config.catalog == "glue":
            yield _glue_rights(pipeline, identity, name, config.namespace)
        if (config.warehouse or "").startswith("s3://"):
            yield from _lake_place(pipeline, config.warehouse or "")
    else:
        yield rules.check_schema(name, _schema(pipeline, name, config))
        staging = config.staging if isinstance(config, RedshiftConfig) else None
    if staging is not None and staging.startswith("s3://"):
        _, bucket, prefix = split_url(staging)
        facts = _bucket(pipeline, bucket, prefix)
        is_known = split_url(pipeline.config.landing.url)[1] == bucket
        yield from rules.check_bucket(facts, {}, is_staging=True, is_known=is_known)


def _lake_place(pipeline: Pipeline, url: str) -> Iterator[Finding]:
    bucket = split_url(url)[1]
    is_known = bool(bucket) and split_url(pipeline.config.landing.url)[1] == bucket
    yield from _place(pipeline, url, {}, is_known=is_known)


def _glue_rights(pipeline: Pipeline, identity: Identity | Unknown, name: str, database: str) -> Finding:
    region = pipeline.aws.login().region or "*"
    account, partition = "*", "aws"
    if not isinstance(identity, Unknown):
        account, partition = identity.account, identity.arn.split(":")[1]
    arns = [
        f"arn:{partition}:glue:{region}:{account}:{part}"
        for part in ("catalog", f"database/{database}", f"table/{database}/*")
    ]
    answers = {action: _simulated(pipeline, identity, action, arns[2]) for action in rules.GLUE_WRITES}
    allowed = {action: answer for action, answer in answers.items() if answer is not None}
    return rules.check_glue_rights(name, arns, allowed or None)


def _file(pipeline: Pipeline, name: str, path: Path) -> FileFacts:
    if path.exists():
        opened = found("SELECT", lambda: pipeline.target(name).query("SELECT 1"))
        is_writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        return FileFacts(str(path), True, is_writable, opened if isinstance(opened, Unknown) else None)
    return FileFacts(str(path), False, can_be_made(path))


def _schema(pipeline: Pipeline, name: str, config: PostgresConfig | RedshiftConfig) -> SchemaFacts | Unknown:
    schema = config.schema_.lower() if isinstance(config, RedshiftConfig) else config.schema_
    literal = schema.replace("'", "''")
    if isinstance(config, RedshiftConfig):
        literal = literal.replace("\\", "\\\\")
    rights = [
        f"(SELECT has_schema_privilege(nspname, '{right}') FROM pg_namespace WHERE nspname = '{literal}') AS may_{right}"
        for right in ("create", "usage")
    ]
    sql = f"SELECT current_user AS who, version() AS version, {', '.join(rights)}"
    answer = found("SELECT", lambda: pipeline.target(name).query(sql).to_pylist()[0])
    if isinstance(answer, Unknown):
        return answer
    return SchemaFacts(schema, answer["who"], _server(answer["version"]), answer["may_create"], answer["may_usage"])


def _server(text: str) -> str:
    """``PostgreSQL 18.1 on x86_64-…`` and ``PostgreSQL 8.0.2 on …, Redshift 1.0.1``, in short."""
    before, redshift, number = text.partition("Redshift ")
    return f"Redshift {number}" if redshift else before.partition(" on ")[0]
