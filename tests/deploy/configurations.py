"""Small configurations, one for each way to run without a server."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from tailrace.config import Config, check_config
from tailrace.deploy.model import Deployment
from tailrace.deploy.plan import plan

VERSION: Final = "0.1.0"

HEAD: Final = """
[landing]
url = "s3://acme-lake/tailrace"
[source]
region = "eu-west-1"
"""
REDSHIFT: Final = """
[targets.dwh]
kind = "redshift"
workgroup = "analytics"
secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dwh-0a1b2c"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://acme-lake/redshift-staging"
"""
POSTGRES: Final = """
[targets.pg]
kind = "postgres"
host = "db.example.com"
"""
LAKES: Final = """
[targets.files]
kind = "parquet"
url = "s3://acme-lake/files"
[targets.delta]
kind = "delta"
url = "s3://acme-delta"
[targets.ice]
kind = "iceberg"
catalog = "glue"
warehouse = "s3://acme-lake/iceberg"
namespace = "orders_lake"
"""
ORDERS: Final = '[tables.orders]\ncapture = "lambda"\n'
NETWORK: Final = """
subnets = ["subnet-0a1b2c3d"]
security_groups = ["sg-0a1b2c3d"]
"""

CONFIGURATIONS: Final = {
    "stream-to-redshift": HEAD + REDSHIFT + ORDERS,
    "exports": HEAD
    + POSTGRES
    + """
[tables."Prod.Users"]
capture = "exports"
window = "15m"
step = "5m"
enable_pitr = true
""",
    "chain-table-in-a-vpc": HEAD
    + POSTGRES
    + f"""
[deploy]
name = "replica"
kms_key = "create"
backfill = "chain_table"
alarm_email = "on-call@example.com"
{NETWORK}
[tables.orders]
capture = "lambda"
flush_seconds = 5
start = "LATEST"
""",
    "lakes": HEAD + LAKES + ORDERS,
    "existing-bucket": """
[landing]
url = "s3://acme-lake"
[source]
region = "us-east-1"
[targets.warehouse]
kind = "redshift"
cluster = "analytics"
db_user = "loader"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://acme-staging"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[deploy]
bucket = "existing"
kms_key = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000"
reserve_concurrency = false
[tables.orders]
capture = "lambda"
base = "export"
load = { every = "1h", offset = "5m" }
""",
}


def config_of(text: str) -> Config:
    return check_config(tomllib.loads(text), Path("tailrace.toml"))


def deployment_of(text: str) -> Deployment:
    return plan(config_of(text), VERSION)


def parts(deployment: Deployment, kind: type[Any]) -> dict[str, Any]:
    """The parts of one kind, by their ids."""
    return {part.id: part for part in deployment.resources if isinstance(part, kind)}
