"""What is well, doubtful or wrong with an installation, and how to put it right. Facts in, findings out; no I/O.

Each check judges one thing and says so in one sentence. What could not be found out is an error where Tailrace itself needs
to know or do it, and a warning where only the doctor does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tailrace.decide.plan import SCAN_GB_MAX, SCAN_UNIT_BYTES, SCAN_UNITS
from tailrace.model.facts import (
    Access,
    BucketFacts,
    FileFacts,
    FolderFacts,
    Identity,
    SchemaFacts,
    StreamFacts,
    TableFacts,
    Unknown,
    Versions,
)

Level: TypeAlias = Literal["ok", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warning", "error")
CHECKS: Final[Mapping[str, str]] = {
    "credentials": "who calls",
    "clock": "this machine's clock against AWS's",
    "versions": "Python, Tailrace, its codec and libraries",
    "table": "the table exists and can be used",
    "stream": "its stream is on and carries new images",
    "recovery": "point-in-time recovery, where it is needed",
    "ttl": "items that expire",
    "keys": "partition keys that are written too often, as far as that can be seen",
    "base": "how long reading what the table holds takes",
    "access": "the calls that the configuration needs",
    "bucket": "the landing bucket exists, in the table's region",
    "writes": "writes on condition are honoured",
    "encryption": "the bucket encrypts",
    "ownership": "objects belong to the bucket's owner",
    "public": "the bucket blocks public access",
    "versioning": "versions that pile up",
    "lifecycle": "rules that delete or archive what has landed, or leave unfinished uploads",
    "folder": "the landing folder",
    "target": "the target can be reached",
    "rights": "and written to",
}

CLOCK_WARNING_SECONDS: Final = 30
CLOCK_ERROR_SECONDS: Final = 240  # AWS refuses requests that are five minutes off
RECOVERY_DAYS_LEAST: Final = 2
USABLE_VIEWS: Final = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")
ITEM_BYTES_LARGE: Final = 100_000
NOT_LOOKED_AT: Final = "was not looked at"

GLUE_WRITES: Final = ("glue:CreateTable", "glue:UpdateTable")
"""What loads do to tables in Glue, and nobody can try."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: a name of `CHECKS`. `subject`: the table, bucket or target. `fix`: a command, a policy, a next step."""

    level: Level
    check: str
    subject: str
    message: str
    fix: str = ""

    def __post_init__(self) -> None:
        assert self.check in CHECKS, self.check


@dataclass(frozen=True, slots=True)
class TableRules:
    """What the configuration wants of a table."""

    by_exports: bool = False
    base: Literal["scan", "export", "none"] = "scan"
    enable_recovery: bool = False
    slides: bool = False
    backfill_units: int = SCAN_UNITS


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


# ---- who, when, with what


def check_identity(identity: Identity | Unknown) -> Finding:
    if isinstance(identity, Unknown):
        return Finding("error", "credentials", "AWS", identity.message, identity.hint)
    return Finding("ok", "credentials", "AWS", f"{identity.arn}, account {identity.account}")


def check_clock(identity: Identity | Unknown) -> Finding:
    ahead = None if isinstance(identity, Unknown) else identity.clock_ahead_seconds
    if ahead is None:
        why = "AWS did not say what time it is, or in a form that is not HTTP's"
        return Finding("warning", "clock", "this machine", f"it was not compared: {why}")
    off = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS's"
    fix = "timedatectl set-ntp true"
    if abs(ahead) >= CLOCK_ERROR_SECONDS:
        return Finding(
            "error", "clock", "this machine", f"it is {off}; AWS refuses requests that are five minutes off", fix
        )
    if abs(ahead) >= CLOCK_WARNING_SECONDS:
        return Finding("warning", "clock", "this machine", f"it is {off}; lags are measured wrongly by as much", fix)
    return Finding("ok", "clock", "this machine", f"within {CLOCK_WARNING_SECONDS} s of AWS's")


def check_versions(versions: Versions) -> Finding:
    libraries = ", ".join(f"{name} {version}" for name, version in versions.libraries.items())
    what = f"tailrace {versions.tailrace}, Python {versions.python}, codec {versions.codec}, {libraries}"
    if not versions.codec.startswith("native"):
        return Finding(
            "warning",
            "versions",
            "this machine",
            f"{what}; the Python codec is right and slow",
            "pip install 'tailrace[fast]'",
        )
    return Finding("ok", "versions", "this machine", what)


# ---- a table


def check_table(facts: TableFacts | Unknown, table: str, rules: TableRules) -> Iterator[Finding]:
    """All that can be said of a table; of one that cannot be described only that."""
    if isinstance(facts, Unknown):
        yield Finding("error", "table", table, facts.message, facts.hint)
        return
    yield check_status(facts)
    yield check_stream(facts, rules)
    yield check_recovery(facts, rules)
    yield check_ttl(facts, rules)
    yield check_keys(facts)
    if rules.base == "scan" and not rules.by_exports:
        yield check_base(facts, rules)
    yield check_access(facts, rules)


def check_status(facts: TableFacts) -> Finding:
    size = f"{facts.items:,} items, {facts.bytes:,} bytes (counted about every six hours)"
    if facts.status == "ACTIVE":
        return Finding("ok", "table", facts.table, f"ACTIVE in {facts.region}, {size}")
    if facts.status in ("UPDATING", "CREATING"):
        return Finding("warning", "table", facts.table, f"it is {facts.status}", "Wait until it is ACTIVE.")
    return Finding("error", "table", facts.table, f"it is {facts.status}", "Tailrace reads tables that are ACTIVE.")


def check_stream(facts: TableFacts, rules: TableRules) -> Finding:
    if rules.by_exports:
        return Finding("ok", "stream", facts.table, "not needed: captured by exports")
    on = (
        f"aws dynamodb update-table --table-name {facts.table}"
        " --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    )
    if not facts.view_type:
        return Finding("error", "stream", facts.table, "it is off", on)
    if facts.view_type not in USABLE_VIEWS:
        off = f"aws dynamodb update-table --table-name {facts.table} --stream-specification StreamEnabled=false"
        return Finding(
            "error", "stream", facts.table, f"its view type is {facts.view_type}, without new images", f"{off} && {on}"
        )
    if facts.replicas:
        return Finding(
            "warning",
            "stream",
            facts.table,
            f"{facts.view_type}; a global table: AWS advises one reader a shard, and a second one may be throttled",
            "See to it that nothing else reads this stream.",
        )
    return Finding("ok", "stream", facts.table, facts.view_type)


def check_recovery(facts: TableFacts, rules: TableRules) -> Finding:
    needed = rules.by_exports or rules.base == "export"
    days = facts.recovery_days
    on = (
        f"aws dynamodb update-continuous-backups --table-name {facts.table}"
        " --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    )
    if isinstance(days, Unknown):
        return Finding("error" if needed else "warning", "recovery", facts.table, days.message, days.hint)
    if days is None and needed and not rules.enable_recovery:
        return Finding("error", "recovery", facts.table, "it is off, and exports need it", on)
    if days is None and needed:
        return Finding("ok", "recovery", facts.table, "it is off; enable_pitr will switch it on")
    if days is None:
        return Finding("ok", "recovery", facts.table, "it is off; a repair will have to read the whole table")
    if needed and days < RECOVERY_DAYS_LEAST:
        return Finding(
            "warning",
            "recovery",
            facts.table,
            f"it reaches back {days} day: an outage longer than that leaves a gap",
            f"{on},RecoveryPeriodInDays=7",
        )
    return Finding("ok", "recovery", facts.table, f"it is on and reaches back {days} days")


def check_ttl(facts: TableFacts, rules: TableRules) -> Finding:
    if isinstance(facts.ttl, Unknown):
        return Finding("warning", "ttl", facts.table, f"it {NOT_LOOKED_AT}: {facts.ttl.message}", facts.ttl.hint)
    if not facts.ttl:
        return Finding("ok", "ttl", facts.table, "items do not expire")
    if rules.by_exports:
        return Finding(
            "warning",
            "ttl",
            facts.table,
            f"items expire by {facts.ttl}; in exports that looks like any delete",
            'Set capture = "streams" if _tr_expired is to tell them apart.',
        )
    return Finding("ok", "ttl", facts.table, f"items expire by {facts.ttl}, and are marked _tr_expired")


def check_keys(facts: TableFacts) -> Finding:
    """From outside only consequences of a hot key show: shards that were split. Who it is only Contributor Insights knows."""
    mean = -(-facts.bytes // facts.items) if facts.items else 0
    if mean >= ITEM_BYTES_LARGE:
        return Finding(
            "warning",
            "keys",
            facts.table,
            f"an item has {mean:,} bytes on average: an answer of the stream, at most 1 MB, holds few of them",
            "Keep large values in S3 and their names in the table, if freshness or read cost matters.",
        )
    splits = facts.stream.splits if isinstance(facts.stream, StreamFacts) else 0
    if splits and facts.insights is not True:
        return Finding(
            "warning",
            "keys",
            facts.table,
            f"{splits} shards were split in the last day: partitions are busy or full, perhaps by few keys",
            f"aws dynamodb update-contributor-insights --table-name {facts.table}"
            " --contributor-insights-action ENABLE    (charged for; shows the keys that are written most)",
        )
    seen = (
        "Contributor Insights shows the busiest keys" if facts.insights is True else "hot keys do not show from outside"
    )
    return Finding("ok", "keys", facts.table, f"{splits} shards were split in the last day; {seen}")


def check_base(facts: TableFacts, rules: TableRules) -> Finding:
    hours = facts.bytes / SCAN_UNIT_BYTES / rules.backfill_units / 3600
    what = f"a scan of {facts.bytes / 10**9:,.1f} GB at {rules.backfill_units} units a second takes about {hours:,.1f} hours"
    if facts.bytes > SCAN_GB_MAX * 10**9:
        return Finding(
            "warning",
            "base",
            facts.table,
            what,
            'Set base = "export" (tailrace plan compares), or raise backfill_units.',
        )
    return Finding("ok", "base", facts.table, what)


def check_access(facts: TableFacts, rules: TableRules) -> Finding:
    """`Scan` and `BatchGetItem` are what `verify` and repairs need, too."""
    refused = {name: unknown for name, unknown in facts.access.items() if unknown is not None}
    if not refused:
        return Finding("ok", "access", facts.table, f"{', '.join(facts.access)} work")
    only_verify = rules.by_exports or rules.base != "scan"
    verifying = {"Scan"} if rules.slides else {"Scan", "BatchGetItem"}
    minor = only_verify and refused.keys() <= verifying
    first = next(iter(refused.values()))
    what = f"{', '.join(refused)}: {first.message}" + ("; only verify and repairs need that" if minor else "")
    return Finding(
        "warning" if minor else "error", "access", facts.table, what, _policy(refused, facts.arn) or first.hint
    )


def check_export_right(facts: TableFacts, allowed: bool | Unknown | None) -> Finding:
    """Starting an export cannot be tried without starting one. `allowed`: what AWS's simulation says; None for the root user."""
    policy = _statement(
        ["dynamodb:ExportTableToPointInTime", "dynamodb:DescribeExport"], [facts.arn, f"{facts.arn}/export/*"]
    )
    if isinstance(allowed, Unknown):
        return Finding(
            "warning",
            "access",
            facts.table,
            f"whether exports may be started {NOT_LOOKED_AT}: {allowed.message}",
            f"It takes iam:SimulatePrincipalPolicy to look. What exports need: {policy}",
        )
    if allowed is False:
        return Finding("error", "access", facts.table, "exports may not be started, by AWS's own simulation", policy)
    return Finding(
        "ok", "access", facts.table, "exports may be started" + (", by AWS's own simulation" if allowed else "")
    )


# ---- the landing zone


def check_bucket(
    facts: BucketFacts, regions: Mapping[str, str], *, is_staging: bool = False, is_known: bool = False
) -> Iterator[Finding]:
    """`regions`: of each table that lands there. What is staged for a warehouse lives for minutes, so less matters.

    `is_known`: the bucket's own settings were judged already, for another prefix.
    """
    place = f"s3://{facts.bucket}/{facts.prefix}"
    if isinstance(facts.region, Unknown):
        message = facts.region.message
        what = "there is no such bucket" if "Not Found" in message else message
        fix = f"aws s3 mb s3://{facts.bucket}" if "Not Found" in message else facts.region.hint
        yield Finding("error", "bucket", place, what, fix)
        return
    elsewhere = [f"{table} is in {region}" for table, region in regions.items() if region != facts.region]
    if elsewhere:
        yield Finding(
            "warning",
            "bucket",
            place,
            f"it is in {facts.region}, but {', '.join(elsewhere)}: traffic between regions is slow and charged for",
            "Use a bucket in the table's region.",
        )
    else:
        yield Finding("ok", "bucket", place, f"it exists, in {facts.region}")
    yield check_bucket_access(facts, place)
    yield check_writes(facts, place)
    if not is_known:
        yield check_encryption(facts, place)
        yield check_public(facts, place)
    if not is_staging:
        yield check_ownership(facts, place)
        yield check_versioning(facts, place)
        yield check_lifecycle(facts, place)


def check_bucket_access(facts: BucketFacts, place: str) -> Finding:
    refused = {name: unknown for name, unknown in facts.access.items() if unknown is not None}
    if not refused:
        return Finding("ok", "access", place, "objects can be listed and read")
    first = next(iter(refused.values()))
    return Finding("error", "access", place, f"{', '.join(refused)}: {first.message}", _bucket_policy(facts))


def check_writes(facts: BucketFacts, place: str) -> Finding:
    failed = facts.conditional_writes
    if failed is None:
        return Finding("ok", "writes", place, "honoured: one object was written, replaced and deleted")
    return Finding(
        "error", "writes", place, failed.message, _bucket_policy(facts) if "s3:" in failed.hint else failed.hint
    )


def check_encryption(facts: BucketFacts, place: str) -> Finding:
    kind = facts.encryption
    if isinstance(kind, Unknown):
        return _not_looked_at("encryption", place, kind)
    if kind is None:
        fix = (
            f"aws s3api put-bucket-encryption --bucket {facts.bucket} --server-side-encryption-configuration"
            """ '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'"""
        )
        return Finding("warning", "encryption", place, "none is set on the bucket", fix)
    if kind.startswith("aws:kms"):
        return Finding(
            "ok",
            "encryption",
            place,
            f"{kind}; whoever writes and reads needs kms:GenerateDataKey and kms:Decrypt on its key",
        )
    return Finding("ok", "encryption", place, kind)


def check_ownership(facts: BucketFacts, place: str) -> Finding:
    if isinstance(facts.ownership, Unknown):
        return _not_looked_at("ownership", place, facts.ownership)
    if facts.ownership == "BucketOwnerEnforced":
        return Finding("ok", "ownership", place, "BucketOwnerEnforced")
    return Finding(
        "warning",
        "ownership",
        place,
        f"{facts.ownership or 'nothing is set'}: objects that another account writes may not be readable",
        f"aws s3api put-bucket-ownership-controls --bucket {facts.bucket}"
        " --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'",
    )


def check_public(facts: BucketFacts, place: str) -> Finding:
    if isinstance(facts.blocks_public, Unknown):
        return _not_looked_at("public", place, facts.blocks_public)
    if facts.blocks_public:
        return Finding("ok", "public", place, "public access is blocked")
    return Finding(
        "warning",
        "public",
        place,
        "the bucket itself does not block public access; whether the account does was not looked at",
        f"aws s3api put-public-access-block --bucket {facts.bucket} --public-access-block-configuration"
        " BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
    )


def check_versioning(facts: BucketFacts, place: str) -> Finding:
    """A manifest is replaced with every flush, and a lake's files by its loads: a versioned bucket keeps all of them."""
    if isinstance(facts.versioning, Unknown):
        return _not_looked_at("versioning", place, facts.versioning)
    if not facts.versioning:
        return Finding("ok", "versioning", place, "off")
    rules = () if isinstance(facts.lifecycle, Unknown) else facts.lifecycle
    if any(rule.deletes_old_versions and facts.prefix.startswith(rule.prefix) for rule in rules):
        return Finding("ok", "versioning", place, "on, and old versions expire")
    return Finding(
        "warning",
        "versioning",
        place,
        "on, and what is written anew leaves its old version: old versions pile up and are charged for",
        _lifecycle(facts, '"NoncurrentVersionExpiration":{"NoncurrentDays":7}'),
    )


def check_lifecycle(facts: BucketFacts, place: str) -> Finding:
    if isinstance(facts.lifecycle, Unknown):
        return _not_looked_at("lifecycle", place, facts.lifecycle)
    near = [r for r in facts.lifecycle if r.prefix.startswith(facts.prefix) or facts.prefix.startswith(r.prefix)]
    harmful = [rule for rule in near if rule.archives or (rule.deletes and not rule.spares_landed)]
    if harmful:
        what = "archives" if harmful[0].archives else "deletes"
        return Finding(
            "error",
            "lifecycle",
            place,
            f"a rule for {harmful[0].prefix or 'the whole bucket'!r} {what} what has landed, and it will be missed",
            "Limit the rule to other prefixes: what has landed stays until you delete the table's folder.",
        )
    if not any(rule.aborts_uploads and facts.prefix.startswith(rule.prefix) for rule in facts.lifecycle):
        return Finding(
            "warning",
            "lifecycle",
            place,
            "no rule clears away uploads that were never completed, which are charged for",
            _lifecycle(facts, '"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}'),
        )
    return Finding("ok", "lifecycle", place, "nothing that has landed is deleted or archived")


def check_folder(facts: FolderFacts) -> Finding:
    if not facts.exists and not facts.can_be_made:
        return Finding(
            "error",
            "folder",
            facts.path,
            "it does not exist and cannot be made",
            "Choose a folder that you may write to.",
        )
    if not facts.exists:
        return Finding("ok", "folder", facts.path, "it does not exist yet, and can be made")
    if facts.probed is not None:
        return Finding("error", "folder", facts.path, facts.probed.message, facts.probed.hint)
    return Finding("ok", "folder", facts.path, "it can be written to; links and locks are honoured")


# ---- targets


def check_file(name: str, facts: FileFacts) -> Finding:
    if facts.opened is not None:
        return Finding("error", "target", name, facts.opened.message, facts.opened.hint)
    if not facts.is_writable:
        return Finding(
            "error", "rights", name, f"{facts.path} cannot be written", "Choose a path that you may write to."
        )
    return Finding(
        "ok", "target", name, facts.path if facts.exists else f"{facts.path} does not exist yet, and can be made"
    )


def check_lake(name: str, url: str, opened: Unknown | None) -> Finding:
    """`opened`: why it could not be."""
    if opened is not None:
        return Finding("error", "target", name, opened.message, opened.hint)
    return Finding("ok", "target", name, f"{url} can be opened")


def check_glue_rights(name: str, arns: Sequence[str], allowed: Mapping[str, bool | Unknown] | None) -> Finding:
    """Making a table cannot be tried without making one. `allowed`: of `GLUE_WRITES`; None for the root user."""
    policy = _statement([*GLUE_WRITES, "glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable"], list(arns))
    unknown = next((answer for answer in (allowed or {}).values() if isinstance(answer, Unknown)), None)
    if unknown is not None:
        return Finding(
            "warning",
            "rights",
            name,
            f"whether tables may be made in Glue {NOT_LOOKED_AT}: {unknown.message}",
            f"It takes iam:SimulatePrincipalPolicy to look. What loads need: {policy}",
        )
    refused = [action for action, answer in (allowed or {}).items() if not answer]
    if refused:
        return Finding("error", "rights", name, f"{', '.join(refused)}: not allowed, by AWS's own simulation", policy)
    return Finding(
        "ok", "rights", name, "tables may be made in Glue" + (", by AWS's own simulation" if allowed else "")
    )


def check_catalog(name: str, namespace: str, tables: list[str] | Unknown) -> Finding:
    if isinstance(tables, Unknown):
        return Finding("error", "target", name, tables.message, tables.hint)
    return Finding("ok", "target", name, f"namespace {namespace} holds {len(tables)} tables")


def check_schema(name: str, facts: SchemaFacts | Unknown) -> Finding:
    if isinstance(facts, Unknown):
        return Finding("error", "target", name, facts.message, facts.hint)
    who = f"{facts.user} on {facts.version}"
    schema, user = _quoted(facts.schema), _quoted(facts.user)
    if facts.may_create is None:
        fix = f"CREATE SCHEMA {schema}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {user};"
        return Finding("error", "rights", name, f"{who}: there is no schema {facts.schema}", fix)
    if not (facts.may_create and facts.may_use):
        fix = f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {user};"
        return Finding("error", "rights", name, f"{who} may not create tables in schema {facts.schema}", fix)
    return Finding("ok", "target", name, f"{who}, may create tables in schema {facts.schema}")


# ---- in words


def _not_looked_at(check: str, place: str, unknown: Unknown) -> Finding:
    return Finding("warning", check, place, f"it {NOT_LOOKED_AT}: {unknown.message}", unknown.hint)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _lifecycle(facts: BucketFacts, what: str) -> str:
    """The command replaces all rules of a bucket, so whoever has some must add this one to them."""
    rule = f'{{"ID":"tailrace","Status":"Enabled","Filter":{{"Prefix":{json.dumps(facts.prefix)}}},{what}}}'
    others = "" if not facts.lifecycle else "    (this replaces all rules: put those that are there beside it)"
    return (
        f"aws s3api put-bucket-lifecycle-configuration --bucket {facts.bucket}"
        f" --lifecycle-configuration '{{\"Rules\":[{rule}]}}'{others}"
    )


def _policy(refused: Access, table_arn: str) -> str:
    """Statements that allow what was refused for lack of permission."""
    names = [name for name, unknown in refused.items() if unknown is not None and unknown.is_refused]
    elsewhere = dict.fromkeys(("DescribeStream", "GetShardIterator", "GetRecords"), f"{table_arn}/stream/*")
    elsewhere["ListExports"] = "*"  # AWS lets it name no resource
    wanted: dict[str, list[str]] = {}
    for name in names:
        wanted.setdefault(elsewhere.get(name, table_arn), []).append(f"dynamodb:{name}")
    return ", ".join(_statement(actions, [resource]) for resource, actions in wanted.items())


def _bucket_policy(facts: BucketFacts) -> str:
    arn = f"arn:aws:s3:::{facts.bucket}"
    inside = _statement(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [f"{arn}/{facts.prefix}*"])
    return f"{inside}, {_statement(['s3:ListBucket'], [arn])}"


def _statement(actions: list[str], resources: list[str]) -> str:
    return json.dumps({"Effect": "Allow", "Action": actions, "Resource": resources})
