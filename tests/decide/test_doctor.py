"""Each check on the facts that decide it: what it says, how bad it is, and how to put it right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tailrace.decide import doctor
from tailrace.decide.doctor import CHECKS, Finding, TableRules, worst
from tailrace.model.facts import (
    BucketFacts,
    FileFacts,
    FolderFacts,
    Identity,
    LifecycleRule,
    SchemaFacts,
    StreamFacts,
    TableFacts,
    Unknown,
    Versions,
)

REFUSED = Unknown("not authorized", "Allow it.", is_refused=True)
AWAY = Unknown("No answer", "Check the network.")
ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
TABLE = TableFacts(
    table="orders",
    arn=ARN,
    status="ACTIVE",
    items=1000,
    bytes=500_000,
    view_type="NEW_IMAGE",
    replicas=0,
    recovery_days=None,
    ttl="",
    insights=False,
    stream=StreamFacts(4, 0),
    access={"Scan": None, "BatchGetItem": None, "GetRecords": None},
)
BUCKET = BucketFacts(
    "lake",
    "tailrace/",
    "eu-west-1",
    encryption="AES256",
    ownership="BucketOwnerEnforced",
    versioning=False,
    lifecycle=(LifecycleRule("", aborts_uploads=True),),
    blocks_public=True,
    access={"ListObjectsV2": None, "GetObject": None},
)
STREAMS, EXPORTS = TableRules(), TableRules(by_exports=True, base="none")
BASE_EXPORT = TableRules(base="export")


def test_a_healthy_installation_is_all_well() -> None:
    findings = [
        doctor.check_identity(Identity("1", "arn:aws:iam::1:user/x", 0.4)),
        doctor.check_clock(Identity("1", "arn", 0.4)),
        doctor.check_versions(Versions("3.11", "0.1", "native 0.1", {"boto3": "1"})),
        *doctor.check_table(TABLE, "orders", STREAMS),
        *doctor.check_bucket(BUCKET, {"orders": "eu-west-1"}),
        doctor.check_folder(FolderFacts("landing", True, True)),
        doctor.check_file("local", FileFacts("w.duckdb", True, True)),
        doctor.check_schema("dwh", SchemaFacts("lake", "me", "Redshift 1.0", True, True)),
    ]
    assert [finding for finding in findings if finding.level != "ok"] == []
    assert {finding.check for finding in findings} == CHECKS.keys() - {"rights"}
    assert all(not finding.fix for finding in findings)
    assert worst(findings) == "ok"


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        (0.9, "ok", "within 30 s"),
        (-29.0, "ok", "within 30 s"),
        (31.0, "warning", "31 s ahead of AWS's"),
        (-90.0, "warning", "90 s behind AWS's"),
        (-400.0, "error", "400 s behind AWS's; AWS refuses"),
        (None, "warning", "was not compared"),
    ],
)
def test_the_clock(ahead: float | None, level: str, says: str) -> None:
    finding = doctor.check_clock(Identity("1", "arn", ahead))
    assert finding.level == level
    assert says in finding.message


def test_who_cannot_be_told_is_an_error() -> None:
    assert doctor.check_identity(AWAY) == Finding("error", "credentials", "AWS", "No answer", "Check the network.")
    assert doctor.check_clock(AWAY).level == "warning"


def test_the_slow_codec_is_worth_a_word() -> None:
    finding = doctor.check_versions(Versions("3.11", "0.1", "python 0.1", {}))
    assert (finding.level, finding.fix) == ("warning", "pip install 'tailrace[fast]'")


CASES: list[tuple[str, dict[str, Any], TableRules, str, str, str]] = [
    ("table", {"status": "CREATING"}, STREAMS, "warning", "it is CREATING", "Wait"),
    ("table", {"status": "ARCHIVED"}, STREAMS, "error", "it is ARCHIVED", "ACTIVE"),
    ("stream", {"view_type": ""}, STREAMS, "error", "it is off", "StreamViewType=NEW_AND_OLD_IMAGES"),
    ("stream", {"view_type": ""}, EXPORTS, "ok", "not needed", ""),
    ("stream", {"view_type": "KEYS_ONLY"}, STREAMS, "error", "without new images", "StreamEnabled=false && aws"),
    ("stream", {"view_type": "OLD_IMAGE"}, STREAMS, "error", "without new images", "StreamEnabled=false && aws"),
    ("stream", {"view_type": "NEW_AND_OLD_IMAGES"}, STREAMS, "ok", "NEW_AND_OLD_IMAGES", ""),
    ("stream", {"replicas": 2}, STREAMS, "warning", "a global table", "nothing else reads"),
    ("recovery", {}, STREAMS, "ok", "it is off; a repair", ""),
    ("recovery", {}, EXPORTS, "error", "exports need it", "PointInTimeRecoveryEnabled=true"),
    ("recovery", {}, BASE_EXPORT, "error", "exports need it", "PointInTimeRecoveryEnabled=true"),
    ("recovery", {}, replace(EXPORTS, enable_recovery=True), "ok", "enable_pitr will", ""),
    ("recovery", {"recovery_days": 35}, EXPORTS, "ok", "35 days", ""),
    ("recovery", {"recovery_days": 1}, EXPORTS, "warning", "1 day", "RecoveryPeriodInDays=7"),
    ("recovery", {"recovery_days": 1}, STREAMS, "ok", "1 days", ""),
    ("recovery", {"recovery_days": REFUSED}, EXPORTS, "error", "not authorized", "Allow it."),
    ("recovery", {"recovery_days": REFUSED}, STREAMS, "warning", "not authorized", "Allow it."),
    ("ttl", {"ttl": "gone_at"}, STREAMS, "ok", "marked _tr_expired", ""),
    ("ttl", {"ttl": "gone_at"}, EXPORTS, "warning", "looks like any delete", "_tr_expired"),
    ("ttl", {"ttl": REFUSED}, STREAMS, "warning", "was not looked at", "Allow it."),
    ("keys", {"stream": StreamFacts(6, 2)}, STREAMS, "warning", "2 shards were split", "contributor-insights"),
    ("keys", {"stream": StreamFacts(6, 2), "insights": True}, STREAMS, "ok", "shows the busiest", ""),
    ("keys", {"stream": REFUSED, "insights": REFUSED}, STREAMS, "ok", "do not show", ""),
    ("keys", {"items": 10, "bytes": 2_000_000}, STREAMS, "warning", "200,000 bytes on average", "S3"),
    ("keys", {"items": 0, "bytes": 0}, STREAMS, "ok", "0 shards", ""),
    ("base", {"bytes": 20 * 10**9}, STREAMS, "ok", "20.0 GB at 500 units a second takes about 2.7 hours", ""),
    ("base", {"bytes": 200 * 10**9}, STREAMS, "warning", "about 27.1 hours", 'base = "export"'),
    ("base", {"bytes": 200 * 10**9}, replace(STREAMS, backfill_units=5000), "warning", "about 2.7 hours", ""),
    ("access", {"access": {"Scan": REFUSED}}, STREAMS, "error", "Scan: not authorized", '"dynamodb:Scan"'),
    (
        "access",
        {"access": {"Scan": REFUSED}},
        EXPORTS,
        "warning",
        "only verify and repairs need that",
        '"dynamodb:Scan"',
    ),
    ("access", {"access": {"Scan": REFUSED, "ListExports": REFUSED}}, EXPORTS, "error", "Scan, ListExports", "ListExp"),
    ("access", {"access": {"BatchGetItem": REFUSED}}, EXPORTS, "warning", "only verify", "BatchGetItem"),
    ("access", {"access": {"BatchGetItem": REFUSED}}, replace(EXPORTS, slides=True), "error", "BatchGet", "BatchGet"),
    ("access", {"access": {"GetRecords": REFUSED}}, STREAMS, "error", "GetRecords", "table/orders/stream/*"),
    ("access", {"access": {"GetRecords": AWAY}}, STREAMS, "error", "No answer", "Check the network."),
]


@pytest.mark.parametrize(("check", "changes", "rules", "level", "says", "fix"), CASES)
def test_a_table(check: str, changes: dict[str, Any], rules: TableRules, level: str, says: str, fix: str) -> None:
    findings = list(doctor.check_table(replace(TABLE, **changes), "orders", rules))
    (finding,) = [finding for finding in findings if finding.check == check]
    assert (finding.level, finding.subject) == (level, "orders")
    assert says in finding.message
    assert fix in finding.fix
    assert bool(finding.fix) == (level != "ok")


def test_of_a_table_that_cannot_be_described_nothing_else_is_said() -> None:
    assert list(doctor.check_table(REFUSED, "orders", STREAMS)) == [
        Finding("error", "table", "orders", "not authorized", "Allow it.")
    ]


def test_a_base_that_is_not_scanned_takes_no_time() -> None:
    for rules in (EXPORTS, BASE_EXPORT, TableRules(base="none")):
        assert "base" not in {finding.check for finding in doctor.check_table(TABLE, "orders", rules)}


def test_a_policy_that_lacks_something_is_put_right_by_one_that_parses() -> None:
    facts = replace(TABLE, access={"Scan": REFUSED, "GetRecords": REFUSED, "GetShardIterator": None})
    assert json.loads(f"[{doctor.check_access(facts, STREAMS).fix}]") == [
        {"Effect": "Allow", "Action": ["dynamodb:Scan"], "Resource": [ARN]},
        {"Effect": "Allow", "Action": ["dynamodb:GetRecords"], "Resource": [f"{ARN}/stream/*"]},
    ]


def test_exports_are_listed_by_who_may_list_all_of_them() -> None:
    """AWS lets the action name no table, so a statement with one grants nothing."""
    facts = replace(TABLE, access={"ListExports": REFUSED})
    assert json.loads(doctor.check_access(facts, EXPORTS).fix)["Resource"] == ["*"]


@pytest.mark.parametrize(
    ("allowed", "level", "says"),
    [
        (True, "ok", "exports may be started, by AWS's own simulation"),
        (None, "ok", "exports may be started"),
        (False, "error", "exports may not be started"),
        (REFUSED, "warning", "was not looked at"),
    ],
)
def test_whether_an_export_may_be_started(allowed: bool | Unknown | None, level: str, says: str) -> None:
    finding = doctor.check_export_right(TABLE, allowed)
    assert finding.level == level
    assert says in finding.message
    assert ("dynamodb:ExportTableToPointInTime" in finding.fix) == (level != "ok")


BUCKETS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("bucket", {"region": "us-east-1"}, "warning", "it is in us-east-1, but orders is in eu-west-1", "region"),
    (
        "access",
        {"access": {"GetObject": REFUSED}},
        "error",
        "GetObject: not authorized",
        "arn:aws:s3:::lake/tailrace/*",
    ),
    ("writes", {"conditional_writes": Unknown("ignored", "Use Amazon S3.")}, "error", "ignored", "Use Amazon S3."),
    ("writes", {"conditional_writes": Unknown("no", "Allow s3:PutObject …")}, "error", "no", '"s3:PutObject"'),
    ("encryption", {"encryption": None}, "warning", "none is set", "put-bucket-encryption --bucket lake"),
    ("encryption", {"encryption": "aws:kms"}, "ok", "kms:GenerateDataKey", ""),
    ("encryption", {"encryption": REFUSED}, "warning", "was not looked at", "Allow it."),
    ("public", {"blocks_public": None}, "warning", "does not block", "put-public-access-block --bucket lake"),
    ("public", {"blocks_public": False}, "warning", "does not block", "put-public-access-block --bucket lake"),
    ("public", {"blocks_public": REFUSED}, "warning", "was not looked at", "Allow it."),
    ("ownership", {"ownership": None}, "warning", "nothing is set", "BucketOwnerEnforced"),
    ("ownership", {"ownership": "ObjectWriter"}, "warning", "ObjectWriter", "BucketOwnerEnforced"),
    ("ownership", {"ownership": REFUSED}, "warning", "was not looked at", "Allow it."),
    ("versioning", {"versioning": True}, "warning", "old versions pile up", "NoncurrentVersionExpiration"),
    ("versioning", {"versioning": True, "lifecycle": REFUSED}, "warning", "pile up", "NoncurrentVersionExpiration"),
    ("versioning", {"versioning": REFUSED}, "warning", "was not looked at", "Allow it."),
    (
        "versioning",
        {"versioning": True, "lifecycle": (LifecycleRule("tailrace/", deletes_old_versions=True),)},
        "ok",
        "old versions expire",
        "",
    ),
    (
        "versioning",
        {"versioning": True, "lifecycle": (LifecycleRule("other/", deletes_old_versions=True),)},
        "warning",
        "pile up",
        "this replaces all rules",
    ),
    ("lifecycle", {"lifecycle": ()}, "warning", "never completed", "AbortIncompleteMultipartUpload"),
    ("lifecycle", {"lifecycle": REFUSED}, "warning", "was not looked at", "Allow it."),
    ("lifecycle", {"lifecycle": (LifecycleRule("", deletes=True),)}, "error", "'the whole bucket' deletes", "Limit"),
    ("lifecycle", {"lifecycle": (LifecycleRule("tailrace/orders/", deletes=True),)}, "error", "deletes", "Limit"),
    ("lifecycle", {"lifecycle": (LifecycleRule("tail", archives=True),)}, "error", "'tail' archives", "Limit"),
    (
        "lifecycle",
        {"lifecycle": (LifecycleRule("logs/", deletes=True), LifecycleRule("", aborts_uploads=True))},
        "ok",
        "nothing that has landed",
        "",
    ),
    ("lifecycle", {"lifecycle": (LifecycleRule("logs/", aborts_uploads=True),)}, "warning", "never", "replaces all"),
]


@pytest.mark.parametrize(("check", "changes", "level", "says", "fix"), BUCKETS)
def test_a_bucket(check: str, changes: dict[str, Any], level: str, says: str, fix: str) -> None:
    findings = list(doctor.check_bucket(replace(BUCKET, **changes), {"orders": "eu-west-1"}))
    (finding,) = [finding for finding in findings if finding.check == check]
    assert (finding.level, finding.subject) == (level, "s3://lake/tailrace/")
    assert says in finding.message
    assert fix in finding.fix
    assert bool(finding.fix) == (level != "ok")


@pytest.mark.parametrize(
    ("region", "says", "fix"),
    [
        (Unknown("Not Found"), "there is no such bucket", "aws s3 mb s3://lake"),
        (REFUSED, "not authorized", "Allow it."),
    ],
)
def test_of_a_bucket_that_cannot_be_reached_nothing_else_is_said(region: Unknown, says: str, fix: str) -> None:
    (finding,) = doctor.check_bucket(BucketFacts("lake", "", region), {})
    assert (finding.level, finding.message, finding.fix) == ("error", says, fix)


def test_what_is_staged_may_expire() -> None:
    facts = replace(BUCKET, lifecycle=(LifecycleRule("", deletes=True),), versioning=True)
    staging = list(doctor.check_bucket(facts, {}, is_staging=True, is_known=True))
    assert [(finding.check, finding.level) for finding in staging] == [
        ("bucket", "ok"),
        ("access", "ok"),
        ("writes", "ok"),
    ]


@pytest.mark.parametrize(
    ("facts", "level", "says"),
    [
        (FolderFacts("f", False, True), "ok", "can be made"),
        (FolderFacts("f", False, False), "error", "cannot be made"),
        (FolderFacts("f", True, True, Unknown("locks are ignored", "Use another disk.")), "error", "locks are ignored"),
    ],
)
def test_a_folder(facts: FolderFacts, level: str, says: str) -> None:
    finding = doctor.check_folder(facts)
    assert finding.level == level
    assert says in finding.message


@pytest.mark.parametrize(
    ("facts", "level", "check", "says"),
    [
        (FileFacts("w", False, True), "ok", "target", "does not exist yet"),
        (FileFacts("w", True, False), "error", "rights", "cannot be written"),
        (FileFacts("w", True, True, Unknown("held by another", "Close it.")), "error", "target", "held by another"),
    ],
)
def test_a_file(facts: FileFacts, level: str, check: str, says: str) -> None:
    finding = doctor.check_file("local", facts)
    assert (finding.level, finding.check) == (level, check)
    assert says in finding.message


@pytest.mark.parametrize(
    ("facts", "says", "fix"),
    [
        (AWAY, "No answer", "Check the network."),
        (
            SchemaFacts('la"ke', "IAMR:x", "Redshift 1", None, None),
            "there is no schema",
            'CREATE SCHEMA "la""ke"; GRANT',
        ),
        (
            SchemaFacts("lake", "me", "PostgreSQL 18", False, True),
            "may not create",
            'GRANT USAGE, CREATE ON SCHEMA "lake"',
        ),
        (SchemaFacts("lake", "me", "PostgreSQL 18", True, False), "may not create", 'TO "me";'),
    ],
)
def test_a_schema(facts: SchemaFacts | Unknown, says: str, fix: str) -> None:
    finding = doctor.check_schema("dwh", facts)
    assert finding.level == "error"
    assert says in finding.message
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("allowed", "level", "says"),
    [
        (None, "ok", "tables may be made in Glue"),
        (dict.fromkeys(doctor.GLUE_WRITES, True), "ok", "simulation"),
        ({**dict.fromkeys(doctor.GLUE_WRITES, True), "glue:UpdateTable": False}, "error", "glue:UpdateTable: not"),
        ({"glue:CreateTable": AWAY, "glue:UpdateTable": False}, "warning", "was not looked at: No answer"),
    ],
)
def test_rights_in_glue(allowed: dict[str, bool | Unknown] | None, level: str, says: str) -> None:
    finding = doctor.check_glue_rights("ice", ["arn:aws:glue:eu-west-1:1:table/ice/*"], allowed)
    assert (finding.level, finding.check) == (level, "rights")
    assert says in finding.message
    assert ("arn:aws:glue:eu-west-1:1:table/ice/*" in finding.fix) == (level != "ok")


def test_a_lake_that_cannot_be_opened() -> None:
    assert doctor.check_lake("lake", "s3://a/b", None).level == "ok"
    assert doctor.check_lake("lake", "s3://a/b", AWAY) == Finding(
        "error", "target", "lake", "No answer", "Check the network."
    )


def test_the_worst_decides() -> None:
    ok, warning, error = (Finding(level, "table", "t", "m") for level in doctor.LEVELS)
    assert (worst([]), worst([ok]), worst([ok, warning]), worst([error, warning, ok])) == (
        "ok",
        "ok",
        "warning",
        "error",
    )
