"""`tailrace doctor` at the embedded AWS, a PostgreSQL and the Redshift stand-in, each in the states that it is to find."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_site import AwsSite, enter, table_for
from botocore.config import Config
from recorder import Recorder
from s3_proxy import S3Proxy

from tailrace.codec import engine
from tailrace.config import check_config
from tailrace.deploy.files import rendered
from tailrace.deploy.plan import plan
from tailrace.local.client import LocalAws
from tailrace.local.redshift.postgres import USER, PostgresServer

pytestmark = pytest.mark.embedded

IS_NATIVE = engine().name == "native"
READS = {
    "GetCallerIdentity",
    "SimulatePrincipalPolicy",
    "DescribeTable",
    "DescribeTimeToLive",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "Scan",
    "BatchGetItem",
    "ListExports",
    "DescribeStream",
    "GetShardIterator",
    "GetRecords",
    "HeadBucket",
    "GetBucketEncryption",
    "GetBucketOwnershipControls",
    "GetBucketVersioning",
    "GetBucketLifecycleConfiguration",
    "GetPublicAccessBlock",
    "ListObjectsV2",
    "GetObject",
}
STATEMENTS = {"ExecuteStatement", "DescribeStatement", "GetStatementResult", "ListStatements"}
PROBES = {"PutObject", "DeleteObject"}
KEEP = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
REDSHIFT = """
[targets.dwh]
kind = "redshift"
workgroup = "analytics"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://{bucket}/staging"
schema = "{schema}"
[targets.local]
"""


class Patient:
    """A table and a bucket without blemish, and what the doctor says of them."""

    def __init__(self, site: AwsSite, recorder: Recorder, clients: tuple[Any, Any]) -> None:
        self.site, self.recorder, self.bucket = site, recorder, site.table.lower()
        self.s3, self.dynamodb = clients
        self.dynamodb.create_table(
            TableName=site.table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.dynamodb.put_item(TableName=site.table, Item={"id": {"S": "a"}})
        bucket = self.bucket
        self.s3.create_bucket(Bucket=bucket)
        blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))
        self.put_rules({**KEEP, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}})
        self.configure(f"s3://{bucket}/landing")

    def put_rules(self, *rules: dict[str, Any]) -> None:
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": list(rules)})

    def configure(self, landing: str, *, rules: str = "", targets: str = "") -> None:
        site = AwsSite(self.site.folder, self.site.aws, self.site.table, landing=landing, rules=rules)
        text = site.file.read_text().replace(site.aws.endpoint_url, self.recorder.url)
        site.file.write_text(text.replace("[targets.local]", targets or "[targets.local]"))

    def findings(self, code: int, *arguments: str) -> list[dict[str, str]]:
        """What it says, but for the word about a codec that is slow, where there is no other."""
        code = code or (0 if IS_NATIVE else 3)
        document = json.loads(self.site.run("doctor", "--json", *arguments, code=code).stdout)
        assert document["level"] == {0: "ok", 3: "warning", 4: "error"}[code]
        return [f for f in document["findings"] if IS_NATIVE or f["check"] != "versions"]

    def problem(self, code: int) -> dict[str, str]:
        """The only one that there is."""
        found = self.findings(code, "--problems")
        assert len(found) == 1, found
        return found[0]


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def clients(aws: LocalAws) -> tuple[Any, Any]:
    """Of S3 and DynamoDB, not on record."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    path_style = Config(s3={"addressing_style": "path"})
    return (
        session.client("s3", endpoint_url=aws.endpoint_url, config=path_style),
        session.client("dynamodb", endpoint_url=aws.endpoint_url),
    )


@pytest.fixture
def patient(
    aws: LocalAws,
    clients: tuple[Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Patient]:
    enter(aws, tmp_path, monkeypatch)
    table = table_for(request)
    with Recorder(aws.endpoint_url) as recorder:
        site = AwsSite(tmp_path, aws, table)
        yield Patient(site, recorder, clients)


# ---- well, and nothing changed


def test_all_is_well_and_nothing_was_changed(patient: Patient) -> None:
    patient.recorder.seen.clear()
    before = patient.dynamodb.scan(TableName=patient.site.table)["Items"]
    assert {f["level"] for f in patient.findings(0)} == {"ok"}
    asked = {operation for operation, _ in patient.recorder.seen}
    assert asked <= READS | PROBES
    probes = {place.partition("-")[0] for operation, place in patient.recorder.seen if operation in PROBES}
    assert probes == {f"/{patient.bucket}/landing/.tailrace/probe"}
    assert patient.s3.list_objects_v2(Bucket=patient.bucket)["KeyCount"] == 0
    assert patient.dynamodb.scan(TableName=patient.site.table)["Items"] == before
    assert not (patient.site.folder / "warehouse.duckdb").exists()


def test_every_way_of_capture_is_looked_at_without_changing_anything(patient: Patient) -> None:
    patient.dynamodb.update_continuous_backups(
        TableName=patient.site.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    targets = REDSHIFT.format(bucket=patient.bucket, schema="public")
    for rules in ('capture = "exports"', 'base = "export"', 'capture = "lambda"\nbase = "none"'):
        patient.configure(f"s3://{patient.bucket}/landing", rules=rules, targets=targets)
        patient.recorder.seen.clear()
        patient.findings(0)
        asked = {operation for operation, _ in patient.recorder.seen}
        assert asked <= READS | STATEMENTS | PROBES
        sql = [body for operation, body in patient.recorder.seen if operation == "ExecuteStatement"]
        assert all("SELECT current_user" in body for body in sql)
        assert len(sql) == 1
        probes = {place.partition("-")[0] for operation, place in patient.recorder.seen if operation in PROBES}
        folder = f"/{patient.bucket}"
        assert probes == {f"{folder}/landing/.tailrace/probe", f"{folder}/staging/.tailrace/probe"}
        assert patient.s3.list_objects_v2(Bucket=patient.bucket)["KeyCount"] == 0
        assert patient.dynamodb.list_exports()["ExportSummaries"] == []


def test_for_people(patient: Patient) -> None:
    patient.put_rules({**KEEP, "Expiration": {"Days": 30}})
    shown = patient.site.run("doctor", code=4).stdout.splitlines()
    assert any(line.startswith("ok       table        ") for line in shown)
    problems = patient.site.run("doctor", "--problems", code=4).stdout.splitlines()
    assert [line.split()[:2] for line in problems[-3:-1]] == [["error", "lifecycle"], ["fix:", "Limit"]]
    assert problems[-1].endswith("1 errors")
    assert len(problems) < len(shown)
    assert problems[-1] == shown[-1]


# ---- a table


def test_a_table_that_does_not_exist(patient: Patient) -> None:
    patient.dynamodb.delete_table(TableName=patient.site.table)
    found = patient.problem(4)
    assert (found["check"], found["subject"]) == ("table", patient.site.table)


def set_stream(patient: Patient, view: str | None) -> None:
    update = patient.dynamodb.update_table
    update(TableName=patient.site.table, StreamSpecification={"StreamEnabled": False})
    if view is not None:
        update(TableName=patient.site.table, StreamSpecification={"StreamEnabled": True, "StreamViewType": view})


@pytest.mark.parametrize(
    ("view", "says"), [(None, "it is off"), ("KEYS_ONLY", "KEYS_ONLY"), ("OLD_IMAGE", "OLD_IMAGE")]
)
def test_a_stream_that_does_not_do(patient: Patient, view: str | None, says: str) -> None:
    set_stream(patient, view)
    found = patient.problem(4)
    assert found["check"] == "stream"
    assert says in found["message"]
    assert found["fix"].endswith("StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES")


def test_a_stream_of_new_images_does(patient: Patient) -> None:
    set_stream(patient, "NEW_IMAGE")
    assert [f["message"] for f in patient.findings(0) if f["check"] == "stream"] == ["NEW_IMAGE"]


def test_exports_without_point_in_time_recovery(patient: Patient) -> None:
    patient.configure(f"s3://{patient.bucket}/landing", rules='capture = "exports"')
    found = patient.problem(4)
    assert found["check"] == "recovery"
    patient.configure(f"s3://{patient.bucket}/landing", rules='capture = "exports"\nenable_pitr = true')
    assert patient.findings(0, "--problems") == []


def test_items_that_expire(patient: Patient) -> None:
    patient.dynamodb.update_time_to_live(
        TableName=patient.site.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "gone_at"}
    )
    assert "gone_at" in next(f["message"] for f in patient.findings(0) if f["check"] == "ttl")
    patient.configure(f"s3://{patient.bucket}/landing", rules='capture = "exports"\nenable_pitr = true')
    assert patient.problem(3)["check"] == "ttl"


def test_shards_that_were_split(patient: Patient) -> None:
    patient.site.aws.split(patient.site.table)
    found = patient.problem(3)
    assert (found["check"], found["message"][:22]) == ("keys", "1 shards were split in")


REFUSED = [
    {"DescribeTable": ("error", "table", "dynamodb:DescribeTable"), "HeadBucket": ("error", "bucket", "s3:ListBucket")},
    {
        "Scan": ("error", "access", '"dynamodb:Scan"'),
        "BatchGetItem": ("error", "access", '"dynamodb:BatchGetItem"'),
        "GetRecords": ("error", "access", '"dynamodb:GetRecords"'),
        "DescribeContinuousBackups": ("warning", "recovery", "dynamodb:DescribeContinuousBackups"),
        "DescribeTimeToLive": ("warning", "ttl", "dynamodb:DescribeTimeToLive"),
        "GetObject": ("error", "access", "s3:GetObject"),
        "PutObject": ("error", "writes", "s3:PutObject"),
        "GetBucketEncryption": ("warning", "encryption", "s3:GetEncryptionConfiguration"),
        "GetBucketOwnershipControls": ("warning", "ownership", "s3:GetBucketOwnershipControls"),
        "GetBucketVersioning": ("warning", "versioning", "s3:GetBucketVersioning"),
        "GetBucketLifecycleConfiguration": ("warning", "lifecycle", "s3:GetLifecycleConfiguration"),
        "GetPublicAccessBlock": ("warning", "public", "s3:GetBucketPublicAccessBlock"),
    },
    {
        "DescribeStream": ("error", "access", "/stream/*"),
        "ListObjectsV2": ("error", "access", "s3:ListBucket"),
        "DeleteObject": ("error", "writes", "s3:DeleteObject"),
    },
    {"GetShardIterator": ("error", "access", "/stream/*")},
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: next(iter(refused)))
def test_permissions_that_are_missing(patient: Patient, refused: dict[str, tuple[str, str, str]]) -> None:
    patient.recorder.refuse(*refused)
    found = patient.findings(4, "--problems")
    for level, check, fix in refused.values():
        assert any((f["level"], f["check"]) == (level, check) and fix in f["fix"] for f in found), (check, fix)
    assert {f["check"] for f in found} == {check for _, check, _ in refused.values()}


def test_insights_that_may_not_be_asked_for_are_no_matter(patient: Patient) -> None:
    patient.recorder.refuse("DescribeContributorInsights")
    assert patient.findings(0, "--problems") == []


def test_a_role_without_the_right_to_export(patient: Patient) -> None:
    """The stand-in allows every call, but its simulation of policies is one."""
    iam = boto3.client("iam", endpoint_url=patient.site.aws.endpoint_url)
    name = f"replicator-{patient.bucket}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    patient.configure(f"s3://{patient.bucket}/landing", rules='capture = "exports"\nenable_pitr = true')
    file = patient.site.file
    file.write_text(file.read_text().replace("[source]", f'[source]\nrole_arn = "{role}"'))
    found = patient.problem(4)
    assert (found["check"], found["message"]) == ("access", "exports may not be started, by AWS's own simulation")
    iam.put_role_policy(
        RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": [json.loads(found["fix"])]})
    )
    assert patient.findings(0, "--problems") == []
    patient.recorder.refuse("SimulatePrincipalPolicy")
    found = patient.problem(3)
    assert "iam:SimulatePrincipalPolicy" in found["fix"]


# ---- a bucket


def test_a_bucket_that_does_not_exist(patient: Patient) -> None:
    patient.configure("s3://no-such-bucket-here/landing")
    found = patient.problem(4)
    assert (found["check"], found["fix"]) == ("bucket", "aws s3 mb s3://no-such-bucket-here")


def test_a_bucket_elsewhere(patient: Patient) -> None:
    name = f"{patient.bucket}-eu"
    patient.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    patient.configure(f"s3://{name}/landing")
    found = [f for f in patient.findings(3, "--problems") if f["check"] == "bucket"]
    assert [f["message"].partition(":")[0] for f in found] == [
        f"it is in eu-west-1, but {patient.site.table} is in us-east-1"
    ]


def test_rules_that_delete_what_has_landed(patient: Patient) -> None:
    patient.put_rules(
        {**KEEP, "Expiration": {"Days": 30}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    )
    assert patient.problem(4)["check"] == "lifecycle"
    patient.put_rules({**KEEP, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]})
    assert "archives" in patient.problem(4)["message"]
    patient.put_rules(
        {**KEEP, "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 30}},
        {**KEEP, "ID": "off", "Status": "Disabled", "Expiration": {"Days": 30}},
        {**KEEP, "ID": "tidy2", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    )
    assert patient.findings(0, "--problems") == []


def test_the_rules_of_a_deployment_delete_nothing_that_has_landed(patient: Patient) -> None:
    text = f"""
        [landing]
        url = "s3://{patient.bucket}/landing"
        [source]
        region = "us-east-1"
        [targets.pg]
        kind = "postgres"
        host = "db.example.com"
        [deploy]
        bucket = "existing"
        [tables.{patient.site.table}]
        capture = "lambda"
    """
    deployment = plan(check_config(tomllib.loads(text), Path("tailrace.toml")), "0.1.0")
    steps = rendered(deployment, "sam")["README.md"].partition("put-bucket-lifecycle-configuration")[2]
    rules = json.loads(steps.partition("<<END\n")[2].partition("\nEND")[0])["Rules"]
    assert len(rules) == 3
    patient.put_rules(*rules)
    assert patient.findings(0, "--problems") == []
    quarantine = next(rule for rule in rules if "quarantine/" in rule["Filter"]["Prefix"])
    patient.put_rules(*rules, {**quarantine, "ID": "wider", "Filter": {"Prefix": f"landing/{patient.site.table}/q"}})
    assert patient.problem(4)["check"] == "lifecycle"


def test_versions_that_pile_up(patient: Patient) -> None:
    patient.s3.put_bucket_versioning(Bucket=patient.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert patient.problem(3)["check"] == "versioning"
    expire = {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    patient.put_rules({**KEEP, **expire})
    assert patient.findings(0, "--problems") == []


def test_settings_of_a_bucket(patient: Patient) -> None:
    patient.s3.delete_public_access_block(Bucket=patient.bucket)
    assert patient.problem(3)["check"] == "public"
    half = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": True,
    }
    patient.s3.put_public_access_block(Bucket=patient.bucket, PublicAccessBlockConfiguration=half)
    assert patient.problem(3)["check"] == "public"
    patient.s3.put_public_access_block(Bucket=patient.bucket, PublicAccessBlockConfiguration=dict.fromkeys(half, True))
    patient.s3.put_bucket_ownership_controls(
        Bucket=patient.bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    assert patient.problem(3)["check"] == "ownership"


def test_the_fixes_of_a_bucket_are_what_aws_understands(patient: Patient) -> None:
    """Each is carried out as the command line of AWS would, and then nothing is left to complain about."""
    patient.s3.delete_public_access_block(Bucket=patient.bucket)
    patient.s3.delete_bucket_lifecycle(Bucket=patient.bucket)
    fixes = {found["check"]: found["fix"] for found in patient.findings(3, "--problems")}
    assert fixes.keys() == {"public", "lifecycle"}
    rules = json.loads(fixes["lifecycle"].split("'")[1])
    patient.s3.put_bucket_lifecycle_configuration(Bucket=patient.bucket, LifecycleConfiguration=rules)
    words = fixes["public"].split("--public-access-block-configuration ")[1].split(",")
    blocks = {word.partition("=")[0]: word.endswith("=true") for word in words}
    patient.s3.put_public_access_block(Bucket=patient.bucket, PublicAccessBlockConfiguration=blocks)
    assert patient.findings(0, "--problems") == []


def test_a_store_that_ignores_conditions(patient: Patient) -> None:
    proxy = S3Proxy(patient.site.aws.endpoint_url)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        file = patient.site.file
        file.write_text(file.read_text().replace(patient.recorder.url, proxy.url))
        proxy.plan("PUT", *["no_conditions"] * 10)
        found = patient.findings(4, "--problems")
        assert ("writes", "Use Amazon S3") in [(f["check"], f["fix"][:13]) for f in found]
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def test_folders(patient: Patient) -> None:
    patient.configure("file:./landing")
    found = [f for f in patient.findings(0) if f["check"] == "folder"]
    assert [f["message"] for f in found] == ["it does not exist yet, and can be made"]
    assert not (patient.site.folder / "landing").exists()
    (patient.site.folder / "landing").mkdir()
    found = [f for f in patient.findings(0) if f["check"] == "folder"]
    assert [f["message"] for f in found] == ["it can be written to; links and locks are honoured"]
    patient.configure("file:./tailrace.toml/landing")
    assert patient.problem(4)["check"] == "folder"


# ---- targets


def test_a_file_that_is_no_database(patient: Patient) -> None:
    (patient.site.folder / "warehouse.duckdb").write_bytes(b"not a database" * 1000)
    assert patient.problem(4)["check"] == "target"


def postgres(server: PostgresServer, **settings: str) -> str:
    place = {"host": str(server.folder), "user": USER, "database": "postgres", **settings}
    lines = "\n".join(f'{name} = "{value}"' for name, value in place.items())
    return f'[targets.pg]\nkind = "postgres"\n{lines}\n[targets.local]'


def test_postgres(patient: Patient, server: PostgresServer) -> None:
    import psycopg

    with psycopg.connect(host=str(server.folder), user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    landing = f"s3://{patient.bucket}/landing"
    patient.configure(landing, targets=postgres(server))
    assert any(f["message"].startswith(f"{USER} on PostgreSQL ") for f in patient.findings(0))
    patient.configure(landing, targets=postgres(server, user="reader"))
    found = patient.problem(4)
    assert (found["check"], found["fix"]) == ("rights", 'GRANT USAGE, CREATE ON SCHEMA "public" TO "reader";')
    patient.configure(landing, targets=postgres(server, schema="no'such"))
    assert "there is no schema no'such" in patient.problem(4)["message"]
    patient.configure(landing, targets=postgres(server, host="/nowhere"))
    assert patient.problem(4)["check"] == "target"


LAKE = """
[targets.lake]
kind = "{kind}"
{settings}
[targets.local]
"""


def lake(patient: Patient, kind: str, settings: str) -> None:
    patient.configure(f"s3://{patient.bucket}/landing", targets=LAKE.format(kind=kind, settings=settings))


def test_lakes(patient: Patient) -> None:
    place = f"s3://{patient.bucket}/lake"
    for kind, settings, says in (
        ("delta", f'url = "{place}"', "can be opened"),
        ("iceberg", f'catalog = "glue"\nwarehouse = "{place}"\nnamespace = "ice"', "namespace ice holds 0 tables"),
    ):
        lake(patient, kind, settings)
        found = [f for f in patient.findings(0) if f["subject"] in ("lake", f"{place}/")]
        assert {"bucket", "writes", "lifecycle", "target"} <= {f["check"] for f in found}
        assert any(says in f["message"] for f in found if f["check"] == "target")
        assert ("rights" in {f["check"] for f in found}) == (kind == "iceberg")
    lake(patient, "parquet", 'url = "file:./new"')
    assert patient.findings(0, "--problems") == []
    assert not (patient.site.folder / "new").exists()
    lake(patient, "parquet", 'url = "s3://no-such-lake/x"')
    found_bucket = patient.problem(4)
    assert (found_bucket["check"], found_bucket["fix"]) == ("bucket", "aws s3 mb s3://no-such-lake")
    lake(patient, "iceberg", 'catalog = "rest"\nuri = "http://127.0.0.1:9"\nwarehouse = "sales"')
    unreachable = patient.problem(4)
    assert (unreachable["check"], unreachable["subject"]) == ("target", "lake")
    assert "see whether the catalog runs" in unreachable["fix"]
    assert not (patient.site.folder / "sales").exists()


def test_redshift(patient: Patient) -> None:
    landing = f"s3://{patient.bucket}/landing"
    patient.configure(landing, targets=REDSHIFT.format(bucket=patient.bucket, schema="lake"))
    assert "there is no schema lake" in patient.problem(4)["message"]
    patient.configure(landing, targets=REDSHIFT.format(bucket="no-such-staging", schema="public"))
    found = patient.problem(4)
    assert (found["check"], found["subject"]) == ("bucket", "s3://no-such-staging/staging/")
    patient.configure(landing, targets=REDSHIFT.format(bucket=patient.bucket, schema="public"))
    patient.recorder.refuse("ExecuteStatement")
    found = patient.problem(4)
    assert (found["check"], found["subject"]) == ("target", "dwh")
    assert "redshift-data:ExecuteStatement" in found["fix"]


def test_redshift_by_its_driver(patient: Patient) -> None:
    host, port = patient.site.aws.redshift("analytics")
    ssm = boto3.client("ssm", endpoint_url=patient.site.aws.endpoint_url)
    login = json.dumps({"username": "tailrace", "password": "any"})
    ssm.put_parameter(Name="/dwh/login", Value=login, Type="SecureString", Overwrite=True)
    driver = f'driver = "connector"\nhost = "{host}"\nport = {port}\nssm_parameter = "/dwh/login"'
    text = REDSHIFT.format(bucket=patient.bucket, schema="public").replace('workgroup = "analytics"', driver)
    patient.configure(f"s3://{patient.bucket}/landing", targets=text)
    found = next(f for f in patient.findings(0) if f["check"] == "target" and f["subject"] == "dwh")
    assert found["message"].endswith("may create tables in schema public")
    patient.recorder.refuse("GetParameter")
    assert "ssm:GetParameter" in patient.problem(4)["fix"]


# ---- the surroundings


@pytest.mark.parametrize(("minutes", "code", "says"), [(-2, 3, "s ahead of"), (2, 3, "s behind"), (20, 4, "refuses")])
def test_a_clock_that_is_wrong(patient: Patient, minutes: int, code: int, says: str) -> None:
    patient.recorder.date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    found = patient.problem(code)
    assert found["check"] == "clock"
    assert says in found["message"]


@pytest.mark.parametrize("date", ["2026-11-22T05:00:00Z", "soon", "Sun, 99 Nov 2026 05:00:00 GMT"])
def test_a_date_that_cannot_be_read_is_a_clock_that_was_not_compared(patient: Patient, date: str) -> None:
    patient.recorder.date = date
    found = patient.problem(3)
    assert (found["check"], found["level"]) == ("clock", "warning")
    assert "was not compared" in found["message"]


def test_a_date_of_an_unnamed_zone_is_utc(patient: Patient) -> None:
    patient.recorder.date = format_datetime(datetime.now(UTC).replace(tzinfo=None))  # ends in -0000
    assert patient.findings(0)


def test_without_credentials(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(patient.site.folder / "none"))
    found = patient.findings(4, "--problems")
    assert found[0]["check"] == "credentials"
    assert "AWS_PROFILE" in found[0]["fix"]


def test_without_a_region(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(patient.site.folder / "none"))
    found = patient.findings(4, "--problems")
    assert {"credentials", "table"} <= {f["check"] for f in found}
    assert "region" in found[0]["fix"]


def test_a_profile_that_does_not_exist_ends_no_examination(patient: Patient) -> None:
    """No client can be made then, not even that for the staging bucket, which is looked at last."""
    patient.configure("file:./landing", targets=REDSHIFT.format(bucket=patient.bucket, schema="public"))
    text = patient.site.file.read_text()
    patient.site.file.write_text(text.replace("[source]", '[source]\n            profile = "nobody"'))
    found = patient.findings(4, "--problems")
    assert {"credentials", "table", "target", "bucket"} <= {f["check"] for f in found}


def test_an_endpoint_that_fails(patient: Patient) -> None:
    patient.site.aws.fault("error", operation="DescribeTable", status=503, count=20)
    try:
        assert patient.problem(4)["check"] == "table"
    finally:
        patient.site.aws.clear_faults()


def test_tables_that_do_not_match_are_not_looked_at(patient: Patient) -> None:
    result = patient.site.run("doctor", "--tables", "nothing*", code=2)
    assert "TAILRACE-102" in result.stderr
