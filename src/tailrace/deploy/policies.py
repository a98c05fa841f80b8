"""What each role may do: statements for the calls of its duty, on the resources of its table, and nothing else.

`CALLS` lists the API operations behind them. A test holds it against the calls in the code and against the statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tailrace.deploy.model import ACCOUNT, PARTITION, REGION, Condition, Statement, arn
from tailrace.landing.names import OWN_FOLDER, QUARANTINE

CALLS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "landing.s3": {"s3": ("GetObject", "PutObject", "DeleteObject", "ListObjectsV2")},
    "capture.exports": {
        "dynamodb": (
            "DescribeTable",
            "DescribeContinuousBackups",
            "UpdateContinuousBackups",
            "ExportTableToPointInTime",
            "DescribeExport",
            "ListExports",
        )
    },
    "capture.table": {"dynamodb": ("Scan", "BatchGetItem")},
    "capture.streams": {
        "dynamodb": ("DescribeTable",),
        "dynamodbstreams": ("DescribeStream", "GetShardIterator", "GetRecords"),
    },
    "runtimes.aws_lambda.burying": {
        "s3": ("GetObject",),
        "lambda": ("Invoke",),
        "sqs": ("SendMessage",),
        "sns": ("Publish",),
    },
    "runtimes.aws_lambda.chaining": {"dynamodb": ("PutItem",)},
    "runtimes.aws_lambda.passwords": {"ssm": ("GetParameter",)},
    "targets.redshift.credentials": {
        "redshift": ("GetClusterCredentials", "GetClusterCredentialsWithIAM"),
        "redshift-serverless": ("GetCredentials",),
        "secretsmanager": ("GetSecretValue",),
        "ssm": ("GetParameter",),
    },
    "targets.redshift.staging": {"s3": ("GetObject", "PutObject", "ListObjectsV2", "DeleteObjects")},
    "targets.redshift.data_api": {
        "redshift-data": (
            "ExecuteStatement",
            "BatchExecuteStatement",
            "DescribeStatement",
            "GetStatementResult",
            "ListStatements",
        )
    },
}
"""Module of Tailrace → service → operations that it calls."""

ACTIONS: Final = {
    ("lambda", "Invoke"): "lambda:InvokeFunction",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "DeleteObjects"): "s3:DeleteObject",
}
"""Operations whose IAM action is called otherwise than they are. DynamoDB's streams share DynamoDB's prefix."""

SAME_ACCOUNT: Final[Condition] = ("StringEquals", "aws:ResourceAccount", ACCOUNT)


def action_of(service: str, operation: str) -> str:
    """The IAM action that an API operation needs."""
    prefix = "dynamodb" if service == "dynamodbstreams" else service
    return ACTIONS.get((service, operation), f"{prefix}:{operation}")


@dataclass(frozen=True, slots=True)
class Zone:
    """The landing zone of one table. `prefix` is "" or ends with a slash; `key`: the ARN of its KMS key, or None."""

    bucket: str
    prefix: str
    table: str
    key: str | None

    @property
    def home(self) -> str:
        return f"{self.prefix}{self.table}/"

    def objects(self, *folders: str) -> tuple[str, ...]:
        return tuple(f"arn:{PARTITION}:s3:::{self.bucket}/{self.home}{folder}*" for folder in folders)


def bucket_arn(bucket: str) -> str:
    return f"arn:{PARTITION}:s3:::{bucket}"


def table_arn(table: str, below: str = "") -> str:
    return arn("dynamodb", f"table/{table}{below}")


def logs(group: str) -> Statement:
    return Statement("Logs", ("logs:CreateLogStream", "logs:PutLogEvents"), (arn("logs", f"log-group:{group}:*"),))


def network(function: str, subnets: tuple[str, ...], groups: tuple[str, ...]) -> tuple[Statement, ...]:
    """What Lambda does with the role to place a function in a VPC; the function's own code may not."""
    interfaces = arn("ec2", "network-interface/*")
    places = tuple(arn("ec2", f"subnet/{s}") for s in subnets) + tuple(
        arn("ec2", f"security-group/{g}") for g in groups
    )
    changing = (
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    )
    describing = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")
    return (
        Statement("NetworkCreate", ("ec2:CreateNetworkInterface",), (interfaces, *places)),
        # Lambda asks about these without an interface when it makes the function. EC2 has no resources to describe.
        Statement("NetworkChange", (*changing[1:], *describing), ("*",)),
        Statement(
            "NetworkNotByCode",
            (*changing, *describing),
            ("*",),
            (("ArnEquals", "lambda:SourceFunctionArn", arn("lambda", f"function:{function}")),),
            effect="Deny",
        ),
    )


def key_use(key: str | None, buckets: tuple[str, ...], *, writes: bool = True) -> tuple[Statement, ...]:
    """The key of buckets, through S3 and for these buckets only. S3 takes the bucket's ARN as context, or the object's."""
    if key is None:
        return ()
    actions = ("kms:Decrypt", "kms:GenerateDataKey") if writes else ("kms:Decrypt",)
    context = tuple(a for bucket in buckets for a in (bucket_arn(bucket), f"{bucket_arn(bucket)}/*"))
    via = ("StringEquals", "kms:ViaService", f"s3.{REGION}.amazonaws.com")
    return (Statement("Key", actions, (key,), (via, ("StringLike", "kms:EncryptionContext:aws:s3:arn", context))),)


def topic_key_use(key: str | None) -> tuple[Statement, ...]:
    """The key of a topic that is written to."""
    if key is None:
        return ()
    via = ("StringEquals", "kms:ViaService", f"sns.{REGION}.amazonaws.com")
    return (Statement("TopicKey", ("kms:Decrypt", "kms:GenerateDataKey"), (key,), (via,)),)


def _listing(sid: str, bucket: str, *prefixes: str) -> Statement:
    return Statement(
        sid,
        ("s3:ListBucket",),
        (bucket_arn(bucket),),
        (SAME_ACCOUNT, ("StringLike", "s3:prefix", tuple(f"{prefix}*" for prefix in prefixes))),
    )


def stream_mapping(table: str, failed_bucket: str) -> tuple[Statement, ...]:
    """What Lambda does with the role of a function behind a stream: reads it, and writes what it gave up to a bucket."""
    reading = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
    return (
        Statement("Stream", reading, (table_arn(table, "/stream/*"),)),
        Statement("GivenUp", ("s3:PutObject",), (f"{bucket_arn(failed_bucket)}/*",), (SAME_ACCOUNT,)),
        Statement("GivenUpBucket", ("s3:ListBucket",), (bucket_arn(failed_bucket),), (SAME_ACCOUNT,)),
    )


def landing_by_capture(*zones: Zone) -> tuple[Statement, ...]:
    """Writes segments and quarantine; reads them where a write was answered unclearly, and the manifest's epoch."""
    written = tuple(place for zone in zones for place in zone.objects("changes/", QUARANTINE))
    manifests = tuple(place for zone in zones for place in zone.objects("manifest"))
    return (
        Statement("Land", ("s3:GetObject", "s3:PutObject"), written, (SAME_ACCOUNT,)),
        Statement("Manifest", ("s3:GetObject",), manifests, (SAME_ACCOUNT,)),
        # Without it S3 says 403 instead of 404.
        _listing("Absent", zones[0].bucket, *(zone.home for zone in zones)),
    )


def landing(zone: Zone, *, deletes: bool) -> tuple[Statement, ...]:
    """Reads and writes what belongs to the table, and probes the store; compaction deletes what it gathered."""
    own = f"{bucket_arn(zone.bucket)}/{zone.prefix}{OWN_FOLDER}/*"
    working = ("s3:GetObject", "s3:PutObject") + (("s3:DeleteObject",) if deletes else ())
    return (
        Statement("Landing", working, zone.objects(""), (SAME_ACCOUNT,)),
        Statement("Probe", ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), (own,), (SAME_ACCOUNT,)),
        _listing("LandingList", zone.bucket, zone.home),
    )


def publishing(table: str) -> tuple[Statement, ...]:
    """Looks at the table and the shards of its stream; reads no record."""
    return (
        Statement("Table", ("dynamodb:DescribeTable",), (table_arn(table),)),
        Statement("Stream", ("dynamodb:DescribeStream",), (table_arn(table, "/stream/*"),)),
    )


def polling(table: str) -> tuple[Statement, ...]:
    """Reads a stream: as a poller does, and a schedule, which proves by the stream itself that all of it has landed."""
    reading = ("dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords")
    return (
        Statement("Table", ("dynamodb:DescribeTable",), (table_arn(table),)),
        Statement("Stream", reading, (table_arn(table, "/stream/*"),)),
    )


def table_key() -> Statement:
    """A table may be encrypted under a key of its owner's, which DynamoDB uses with the rights of whoever reads."""
    via = ("StringEquals", "kms:ViaService", f"dynamodb.{REGION}.amazonaws.com")
    return Statement("TableKey", ("kms:Decrypt", "kms:DescribeKey"), (arn("kms", "key/*"),), (via,))


def exporting(zone: Zone, *, enables: bool) -> tuple[Statement, ...]:
    """Begins and watches exports, which DynamoDB writes with the caller's rights."""
    asked = ["dynamodb:DescribeTable", "dynamodb:DescribeContinuousBackups", "dynamodb:ExportTableToPointInTime"]
    asked += ["dynamodb:UpdateContinuousBackups"] if enables else []
    written = ("s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload")
    return (
        Statement("Export", tuple(asked), (table_arn(zone.table),)),
        Statement("ExportWatch", ("dynamodb:DescribeExport",), (table_arn(zone.table, "/export/*"),)),
        Statement("ExportList", ("dynamodb:ListExports",), ("*",)),  # it has no resources
        Statement("ExportWrite", written, zone.objects("exports/"), (SAME_ACCOUNT,)),
    )


def settling(table: str) -> tuple[Statement, ...]:
    """Reads single items anew, where windows slide and where changes were lost."""
    return (Statement("Items", ("dynamodb:BatchGetItem",), (table_arn(table),)),)


def scanning(table: str) -> tuple[Statement, ...]:
    return (Statement("Scan", ("dynamodb:DescribeTable", "dynamodb:Scan"), (table_arn(table),)),)


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A Redshift target. `sid`: how its statements begin. `resource`: the ARN of its workgroup, of its cluster, or None.

    `secret` and `parameter`: ARNs of what holds its login. `prefix` of the staging folder as in `Zone`.
    """

    sid: str
    by_data_api: bool
    resource: str | None
    cluster: str | None
    database: str
    db_user: str | None
    secret: str | None
    parameter: str | None
    bucket: str
    prefix: str


def redshift(warehouse: Warehouse) -> tuple[Statement, ...]:
    """A login, the files of COPY and UNLOAD, and where no driver does it the Data API."""
    sid = warehouse.sid
    staged = f"{bucket_arn(warehouse.bucket)}/{warehouse.prefix}*"
    objects = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    statements = (
        _login(f"{sid}Login", warehouse),
        Statement(f"{sid}Stage", objects, (staged,), (SAME_ACCOUNT,)),
        _listing(f"{sid}StageList", warehouse.bucket, warehouse.prefix),
    )
    if not warehouse.by_data_api or warehouse.resource is None:
        return statements
    owner = ("StringEquals", "redshift-data:statement-owner-iam-userid", "${aws:userid}")
    found = ("redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:ListStatements")
    run = ("redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement")
    return (
        Statement(f"{sid}Run", run, (warehouse.resource,)),
        Statement(f"{sid}Result", found, ("*",), (owner,)),  # statements are no resources; only its own are shown
        *statements,
    )


def _login(sid: str, warehouse: Warehouse) -> Statement:
    if warehouse.secret is not None:
        return Statement(sid, ("secretsmanager:GetSecretValue",), (warehouse.secret,))
    if warehouse.parameter is not None:
        return Statement(sid, ("ssm:GetParameter",), (warehouse.parameter,))
    if warehouse.cluster is None:
        assert warehouse.resource is not None, warehouse
        return Statement(sid, ("redshift-serverless:GetCredentials",), (warehouse.resource,))
    database = arn("redshift", f"dbname:{warehouse.cluster}/{warehouse.database}")
    if warehouse.db_user is None:
        return Statement(sid, ("redshift:GetClusterCredentialsWithIAM",), (database,))
    user = arn("redshift", f"dbuser:{warehouse.cluster}/{warehouse.db_user}")
    return Statement(sid, ("redshift:GetClusterCredentials",), (user, database))


@dataclass(frozen=True, slots=True)
class Lake:
    """A lake target of one table. `sid`: how its statements begin. `folders`: prefixes in `bucket`, each "" or with a slash.

    `database`: the one in Glue that holds its tables, or None; `by_rest`: Glue is asked as a REST catalog. `table_bucket`: the
    ARN of one of S3 Tables, or None.
    """

    sid: str
    bucket: str
    folders: tuple[str, ...]
    database: str | None = None
    by_rest: bool = False
    table_bucket: str | None = None


def lake(lake: Lake, *, writes: bool = True) -> tuple[Statement, ...]:
    """Files, which are written in parts where they are large, and what the catalog keeps of its tables."""
    found: tuple[Statement, ...] = ()

    def only(*actions: str) -> tuple[str, ...]:
        return actions if writes else tuple(a for a in actions if a.partition(":")[2].startswith(("Get", "List")))

    if lake.bucket:
        objects = tuple(f"{bucket_arn(lake.bucket)}/{folder}*" for folder in lake.folders)
        actions = only("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
        found += (
            Statement(f"{lake.sid}Files", actions, objects, (SAME_ACCOUNT,)),
            _listing(f"{lake.sid}List", lake.bucket, *lake.folders),
        )
    if lake.database is not None:
        tables = arn("glue", f"table/{lake.database}/*")
        held = (arn("glue", "catalog"), arn("glue", f"database/{lake.database}"))
        catalog = ("glue:GetCatalog",) if lake.by_rest else ()
        found += (
            Statement(f"{lake.sid}Database", only(*catalog, "glue:GetDatabase", "glue:CreateDatabase"), held),
            Statement(f"{lake.sid}Tables", only(*LAKE_TABLES), (*held, tables)),
        )
    if lake.table_bucket is not None:
        bucket, tables = lake.table_bucket, f"{lake.table_bucket}/table/*"
        found += (
            Statement(f"{lake.sid}Bucket", only("s3tables:GetTableBucket", *S3_NAMESPACES), (bucket,)),
            Statement(f"{lake.sid}Tables", only(*S3_TABLES), (bucket, tables)),
        )
    return found


LAKE_TABLES: Final = ("glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable")
S3_NAMESPACES: Final = ("s3tables:CreateNamespace", "s3tables:GetNamespace", "s3tables:ListTables")
S3_TABLES: Final = (
    "s3tables:CreateTable",
    "s3tables:GetTableMetadataLocation",
    "s3tables:UpdateTableMetadataLocation",
    "s3tables:GetTableData",
    "s3tables:PutTableData",
)


def password(parameter: str) -> tuple[Statement, ...]:
    """A SecureString under the account's own SSM key, which needs no right of its own."""
    return (Statement("Password", ("ssm:GetParameter",), (arn("ssm", f"parameter{parameter}"),)),)


def sending(sid: str, queue: str) -> Statement:
    return Statement(sid, ("sqs:SendMessage",), (queue,))


def invoking(*functions: str) -> Statement:
    return Statement("Invoke", ("lambda:InvokeFunction",), functions)


# ---- policies of resources


def private_bucket(bucket: str) -> tuple[Statement, ...]:
    """Nothing in the clear."""
    whole = (bucket_arn(bucket), f"{bucket_arn(bucket)}/*")
    plain = (("Bool", "aws:SecureTransport", "false"),)
    old = (("NumericLessThan", "s3:TlsVersion", "1.2"),)
    return (
        Statement("OnlyTls", ("s3:*",), whole, plain, effect="Deny", principals="*"),
        Statement("OnlyTls12", ("s3:*",), whole, old, effect="Deny", principals="*"),
    )


def alarm_topic(topic: str) -> tuple[Statement, ...]:
    """CloudWatch's alarms of this account."""
    ours = ("StringEquals", "aws:SourceAccount", ACCOUNT)
    alarms = {"Service": "cloudwatch.amazonaws.com"}
    return (Statement("Alarms", ("sns:Publish",), (topic,), (ours,), principals=alarms),)


def own_key(logs_prefix: str) -> tuple[Statement, ...]:
    """The account's own policies decide, as for every key; alarms and logs are services that need it beside them."""
    account = f"arn:{PARTITION}:iam::{ACCOUNT}:root"
    ours: Condition = ("StringEquals", "aws:SourceAccount", ACCOUNT)
    groups: Condition = ("ArnLike", "kms:EncryptionContext:aws:logs:arn", arn("logs", f"log-group:{logs_prefix}*"))
    use = ("kms:Decrypt", "kms:GenerateDataKey*")
    log_use = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*")
    return (
        Statement("Account", ("kms:*",), ("*",), principals={"AWS": account}),
        Statement("Alarms", use, ("*",), (ours,), principals={"Service": "cloudwatch.amazonaws.com"}),
        Statement("Logs", log_use, ("*",), (groups,), principals={"Service": f"logs.{REGION}.amazonaws.com"}),
    )
