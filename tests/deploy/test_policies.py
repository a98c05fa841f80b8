"""Each role may do what its calls need, on what is its own, and nothing else."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from configurations import CONFIGURATIONS, HEAD, LAKES, ORDERS, REDSHIFT, config_of, deployment_of
from permissions import Call, is_allowed

import tailrace
from tailrace.deploy.iam import documents
from tailrace.deploy.model import Role, Statement
from tailrace.deploy.plan import plan, plan_for_readers, plan_for_server
from tailrace.deploy.policies import CALLS, action_of
from tailrace.errors import UsageInvalid

SOURCE: Final = Path(tailrace.__file__).parent
SESSION: Final = botocore.session.get_session()
ACCOUNT: Final = "111122223333"
VALUES: Final = {"DwhWorkgroup": "arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/0a1b", "Key": "arn:key"}

WITHOUT_RESOURCES: Final = {
    "redshift-data:DescribeStatement",
    "redshift-data:GetStatementResult",
    "redshift-data:ListStatements",
    "dynamodb:ListExports",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    # They have resources, but Lambda names none when it looks whether a role may place a function.
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
"""Actions of which IAM's reference says that they name no resource, and those of which none is named."""

NOT_OPERATIONS: Final = {
    "s3:ListBucket": "ListObjectsV2",
    "s3:PutObjectAcl": "PutObjectAcl",
    "ec2:AssignPrivateIpAddresses": "AssignPrivateIpAddresses",
    "lambda:InvokeFunction": "Invoke",
    "redshift:GetClusterCredentialsWithIAM": "GetClusterCredentialsWithIAM",
}
"""Actions that are not called like their operation."""

CLIENTS: Final = {"logs": "logs", "lambda": "lambda", "kms": "kms"}


def roles() -> Iterator[Any]:
    for name, text in CONFIGURATIONS.items():
        for role in deployment_of(text).roles:
            yield pytest.param(role, id=f"{name}-{role.id}")
        for role in plan_for_server(config_of(text), "0").roles:
            yield pytest.param(role, id=f"{name}-{role.id}")


def operations(service: str) -> set[str]:
    return set(SESSION.get_service_model(service).operation_names)


def calls_in(module: str) -> set[str]:
    """Operations of AWS that a module calls: methods of clients, paginators and names of operations as texts."""
    path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add("".join(part.capitalize() for part in node.attr.split("_")) if "_" in node.attr else node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            text = node.value
            found.add("".join(part.capitalize() for part in text.split("_")) if "_" in text else text)
    known = {operation.lower(): operation for service in CALLS[module] for operation in operations(service)}
    return {known[name.lower()] for name in found if name.lower() in known}


@pytest.mark.parametrize("module", CALLS)
def test_the_list_of_calls_is_what_the_code_calls(module: str) -> None:
    listed = {operation for found in CALLS[module].values() for operation in found}
    assert calls_in(module) == listed


def test_no_other_module_of_a_role_calls_aws() -> None:
    """A new caller must be listed, or its role will lack what it calls."""
    clients = re.compile(r"\bself\._(?:client|s3|dynamodb|streams|data|redshift)\.[a-z_]+\(|get_paginator\(")
    found = set()
    for part in ("capture", "landing", "targets", "jobs", "runtimes"):
        for path in (SOURCE / part).rglob("*.py"):
            if clients.search(path.read_text(encoding="utf-8")):
                found.add(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    assert found <= set(CALLS)


@pytest.mark.parametrize("role", list(roles()))
def test_no_action_holds_a_star_and_no_resource_is_one_where_aws_has_resources(role: Role) -> None:
    for statement in role.statements:
        assert statement.actions
        assert not [action for action in statement.actions if "*" in action]
        if statement.effect == "Allow" and "*" in statement.resources:
            assert set(statement.actions) <= WITHOUT_RESOURCES, statement.sid
        for resource in statement.resources:
            assert resource == "*" or resource.count(":") >= 5 or resource.startswith("\x01"), resource


@pytest.mark.parametrize("role", list(roles()))
def test_every_action_exists(role: Role) -> None:
    for statement in role.statements:
        for action in statement.actions:
            prefix, _, name = action.partition(":")
            services = [prefix, "dynamodbstreams"] if prefix == "dynamodb" else [prefix]
            assert any(NOT_OPERATIONS.get(action, name) in operations(s) for s in services), action


@pytest.mark.parametrize("role", list(roles()))
def test_ids_of_statements_are_words_and_different(role: Role) -> None:
    ids = [statement.sid for statement in role.statements]
    assert len(ids) == len(set(ids))
    assert all(sid.isalnum() and sid.isascii() for sid in ids)


@pytest.mark.parametrize("role", list(roles()))
def test_access_to_objects_is_to_buckets_of_this_account_only(role: Role) -> None:
    for statement in role.statements:
        if any(action.startswith("s3:") for action in statement.actions):
            assert ("StringEquals", "aws:ResourceAccount", "\x01account:\x02") in statement.conditions


def statements_of(role: Role, text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = documents(deployment_of(text), (role,), ACCOUNT, VALUES)[role.name]["policy"][
        "Statement"
    ]
    return found


TWO: Final = (
    HEAD + REDSHIFT + ORDERS + ORDERS.replace("orders", "customers") + '[deploy]\nbackfill = "step_functions"\n'
)
BUCKET: Final = "arn:aws:s3:::acme-lake"
OWN: Final = {"aws:ResourceAccount": ACCOUNT}
TABLE: Final = "arn:aws:dynamodb:eu-west-1:111122223333:table"


def role_of(text: str, duty: str, table: str = "orders") -> list[dict[str, Any]]:
    (role,) = [r for r in deployment_of(text).roles if r.duty == duty and r.of in (table, "")]
    return statements_of(role, text)


@pytest.mark.parametrize(
    ("duty", "action", "resource", "allowed"),
    [
        ("capture", "s3:PutObject", f"{BUCKET}/tailrace/orders/changes/dt=2026-11-29/hr=05/1-2-00.json.gz", True),
        ("capture", "s3:PutObject", f"{BUCKET}/tailrace/orders/quarantine/x.json.gz", True),
        ("capture", "s3:PutObject", f"{BUCKET}/tailrace/orders/manifest.json", False),
        ("capture", "s3:PutObject", f"{BUCKET}/tailrace/customers/changes/x.json.gz", False),
        ("capture", "s3:GetObject", f"{BUCKET}/tailrace/orders/manifest.json", True),
        ("capture", "s3:DeleteObject", f"{BUCKET}/tailrace/orders/changes/x.json.gz", False),
        ("capture", "dynamodb:GetRecords", f"{TABLE}/orders/stream/2026", True),
        ("capture", "dynamodb:GetRecords", f"{TABLE}/customers/stream/2026", False),
        ("capture", "dynamodb:GetItem", f"{TABLE}/orders", False),
        ("load", "s3:PutObject", f"{BUCKET}/tailrace/orders/manifest.json", True),
        ("load", "s3:DeleteObject", f"{BUCKET}/tailrace/orders/changes/x.json.gz", False),
        ("load", "s3:GetObject", f"{BUCKET}/tailrace/customers/changes/x.json.gz", False),
        ("load", "dynamodb:Scan", f"{TABLE}/orders", False),
        ("load", "dynamodb:GetRecords", f"{TABLE}/orders/stream/2026", False),
        ("load", "dynamodb:DescribeStream", f"{TABLE}/orders/stream/2026", True),
        ("tick", "dynamodb:GetRecords", f"{TABLE}/orders/stream/2026", True),  # it proves by it what has landed
        ("load", "redshift-data:ExecuteStatement", VALUES["DwhWorkgroup"], True),
        ("load", "redshift-data:ExecuteStatement", VALUES["DwhWorkgroup"].replace("0a1b", "other"), False),
        ("tick", "dynamodb:ListExports", "*", True),
        ("tick", "s3:DeleteObject", f"{BUCKET}/tailrace/orders/changes/x.json.gz", True),
        ("tick", "s3:DeleteObject", f"{BUCKET}/tailrace/customers/changes/x.json.gz", False),
        ("tick", "dynamodb:ExportTableToPointInTime", f"{TABLE}/customers", False),
        ("tick", "dynamodb:UpdateContinuousBackups", f"{TABLE}/orders", False),
        ("tick", "dynamodb:PutItem", f"{TABLE}/orders", False),
        ("backfill", "dynamodb:Scan", f"{TABLE}/orders", True),
        ("backfill", "dynamodb:Scan", f"{TABLE}/customers", False),
        ("backfill", "dynamodb:PutItem", f"{TABLE}/orders", False),
        ("backfill", "s3:DeleteObject", f"{BUCKET}/tailrace/orders/base/x", False),
        ("backfill", "redshift-data:ExecuteStatement", VALUES["DwhWorkgroup"], False),
    ],
)
def test_a_role_may_do_what_is_its_duty_on_its_own_table(duty: str, action: str, resource: str, allowed: bool) -> None:
    assert is_allowed(Call(action, resource, OWN), role_of(TWO, duty)) is allowed
    if allowed and action.startswith("s3:"):
        foreign = Call(action, resource, {"aws:ResourceAccount": "999999999999"})
        assert not is_allowed(foreign, role_of(TWO, duty))


@pytest.mark.parametrize("duty", ["capture", "load", "tick", "backfill", "dead-letters"])
def test_who_reads_a_table_may_use_its_key_through_dynamodb(duty: str) -> None:
    reads = duty in ("capture", "tick", "backfill")
    key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b"
    by_dynamodb = {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}
    assert is_allowed(Call("kms:Decrypt", key, by_dynamodb), role_of(TWO, duty)) is reads
    assert not is_allowed(
        Call("kms:Decrypt", key, {"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}), role_of(TWO, duty)
    )
    assert not is_allowed(Call("kms:Encrypt", key, by_dynamodb), role_of(TWO, duty))


ICE: Final = LAKES.replace('catalog = "glue"\nwarehouse = "s3://acme-lake/iceberg"', "CATALOG")
TABLES: Final = "arn:aws:s3tables:eu-west-1:111122223333:bucket/lake"
IN_S3_TABLES: Final = ICE.replace(
    "CATALOG", f'catalog = "rest"\nuri = "https://s3tables/iceberg"\nwarehouse = "{TABLES}"\nsigning = "s3tables"'
)
BY_GLUE_REST: Final = ICE.replace("CATALOG", 'catalog = "rest"\nuri = "https://glue/iceberg"\nsigning = "glue"')
BY_SQL: Final = ICE.replace("CATALOG", 'uri = "postgresql://db/lake"\nwarehouse = "s3://acme-lake/iceberg"')


@pytest.mark.parametrize(
    ("lakes", "action", "resource", "allowed"),
    [
        (LAKES, "s3:DeleteObject", f"{BUCKET}/files/orders/data/x.parquet", True),
        (LAKES, "s3:AbortMultipartUpload", f"{BUCKET}/iceberg/x", True),
        (LAKES, "s3:PutObject", f"{BUCKET}/files/customers/data/x.parquet", False),
        (LAKES, "s3:PutObject", f"{BUCKET}/files/orders2/data/x.parquet", False),
        (LAKES, "s3:PutObject", "arn:aws:s3:::acme-delta/orders/_delta_log/0.json", True),
        (LAKES, "s3:PutObject", "arn:aws:s3:::acme-other/orders/_delta_log/0.json", False),
        (LAKES, "glue:UpdateTable", "arn:aws:glue:eu-west-1:111122223333:table/orders_lake/orders", True),
        (LAKES, "glue:UpdateTable", "arn:aws:glue:eu-west-1:111122223333:table/other/orders", False),
        (LAKES, "glue:CreateDatabase", "arn:aws:glue:eu-west-1:111122223333:database/orders_lake", True),
        (LAKES, "glue:DeleteTable", "arn:aws:glue:eu-west-1:111122223333:table/orders_lake/orders", False),
        (LAKES, "glue:GetCatalog", "arn:aws:glue:eu-west-1:111122223333:catalog", False),
        (BY_GLUE_REST, "glue:GetCatalog", "arn:aws:glue:eu-west-1:111122223333:catalog", True),
        (BY_GLUE_REST, "glue:UpdateTable", "arn:aws:glue:eu-west-1:111122223333:table/orders_lake/orders", True),
        (IN_S3_TABLES, "s3tables:PutTableData", f"{TABLES}/table/0a1b", True),
        (IN_S3_TABLES, "s3tables:PutTableData", f"{TABLES}2/table/0a1b", False),
        (IN_S3_TABLES, "s3tables:DeleteTable", f"{TABLES}/table/0a1b", False),
    ],
)
def test_who_loads_a_lake_may_write_to_its_own_place(lakes: str, action: str, resource: str, allowed: bool) -> None:
    for duty in ("load", "tick"):
        assert is_allowed(Call(action, resource, OWN), role_of(HEAD + lakes + ORDERS, duty)) is allowed
    assert not is_allowed(Call(action, resource, OWN), role_of(HEAD + lakes + ORDERS, "capture"))


def test_who_reads_a_lake_may_do_nothing_else() -> None:
    for lakes in (LAKES, IN_S3_TABLES):
        deployment = plan_for_readers(config_of(HEAD + REDSHIFT + lakes + ORDERS), "0")
        (role,) = deployment.roles
        reading = re.compile(r"(s3|glue|s3tables):(Get|List)[A-Za-z]+")
        assert all(reading.fullmatch(action) for statement in role.statements for action in statement.actions)
        assert all(statement.actions for statement in role.statements)
    read = statements_of(plan_for_readers(config_of(HEAD + LAKES + ORDERS), "0").roles[0], HEAD + LAKES + ORDERS)
    assert is_allowed(Call("s3:GetObject", f"{BUCKET}/files/orders/data/x.parquet", OWN), read)
    assert is_allowed(Call("glue:GetTable", "arn:aws:glue:eu-west-1:111122223333:table/orders_lake/orders"), read)
    assert not is_allowed(Call("s3:GetObject", f"{BUCKET}/tailrace/orders/manifest.json", OWN), read)
    assert plan_for_readers(config_of(HEAD + REDSHIFT + ORDERS), "0").roles == ()


def test_a_server_may_write_where_no_function_can() -> None:
    call = Call("s3:PutObject", f"{BUCKET}/iceberg/x", OWN)
    assert not is_allowed(call, role_of(HEAD + BY_SQL + ORDERS, "load"))
    served = plan_for_server(config_of(HEAD + BY_SQL + ORDERS), "0")
    (document,) = documents(served, served.roles, ACCOUNT, VALUES).values()
    assert is_allowed(call, document["policy"]["Statement"])
    (sids,) = [[statement.sid for statement in role.statements] for role in served.roles]
    assert len(sids) == len(set(sids))


def test_no_role_writes_to_a_source_table() -> None:
    writing = re.compile(r"dynamodb:(Put|Update|Delete|BatchWrite|Restore|Create|Transact)")
    for text in CONFIGURATIONS.values():
        for role in deployment_of(text).roles:
            for statement in role.statements:
                found = [action for action in statement.actions if writing.match(action)]
                if found == ["dynamodb:PutItem"]:
                    assert all(r.endswith("-backfill") for r in statement.resources)  # its own chain table
                elif found:
                    assert found == ["dynamodb:UpdateContinuousBackups"]  # asked for by enable_pitr


def test_code_in_a_network_cannot_use_what_lambda_may_do_there() -> None:
    statements = role_of(CONFIGURATIONS["chain-table-in-a-vpc"], "load")
    interface = "arn:aws:ec2:eu-west-1:111122223333:network-interface/eni-1"
    by_lambda = Call("ec2:CreateNetworkInterface", interface)
    function = "arn:aws:lambda:eu-west-1:111122223333:function:replica-orders-load"
    by_code = replace(by_lambda, context={"lambda:SourceFunctionArn": function})
    assert is_allowed(by_lambda, statements)
    assert not is_allowed(by_code, statements)


def test_statements_of_others_cannot_be_seen() -> None:
    statements = role_of(TWO, "load")
    (owner,) = [s["Condition"] for s in statements if "redshift-data:ListStatements" in s["Action"]]
    assert owner == {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}


def test_the_services_that_assume_a_role_do_it_for_this_account_and_source() -> None:
    deployment = deployment_of(TWO)
    conditions = {role.duty: role.trust for role in deployment.roles}
    for duty in ("schedules", "chain"):
        assert {key for _, key, _ in conditions[duty]} == {"aws:SourceAccount", "aws:SourceArn"}


def test_actions_are_those_of_the_calls_and_of_services_that_act_for_a_role() -> None:
    """Nothing is granted that neither a listed call needs nor one of AWS's own services with the role."""
    called = {
        action_of(service, operation)
        for found in CALLS.values()
        for service, names in found.items()
        for operation in names
    }
    by_services = defaultdict(set, {
        "logs": {"logs:CreateLogStream", "logs:PutLogEvents"},
        "network": {a for a in all_actions() if a.startswith("ec2:")},
        "stream mapping": {"dynamodb:ListStreams"},
        "exports, written with the caller's rights": {"s3:PutObjectAcl", "s3:AbortMultipartUpload"},
        "keys of S3, SNS and tables": {"kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"},
        "lakes, by their own libraries": {"s3:AbortMultipartUpload"} | {a for a in all_actions() if a.startswith("glue:")},
        "queue mapping": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    })  # fmt: skip
    assert all_actions() <= called.union(*by_services.values())


def all_actions() -> set[str]:
    return {
        action
        for text in CONFIGURATIONS.values()
        for role in deployment_of(text).roles
        for statement in role.statements
        for action in statement.actions
    }


def test_policies_are_whole_json_with_the_accounts_own_values() -> None:
    found = documents(deployment_of(TWO), deployment_of(TWO).roles, ACCOUNT, VALUES)
    assert "\x01" not in repr(found)
    assert {role["duty"] for role in found.values()} == {
        "capture", "load", "tick", "backfill", "chain", "dead-letters", "schedules"
    }  # fmt: skip


def test_what_only_aws_knows_is_asked_for_by_name() -> None:
    deployment = deployment_of(TWO)
    with pytest.raises(UsageInvalid) as caught:
        documents(deployment, deployment.roles, ACCOUNT, {})
    assert caught.value.hint.startswith("--set DwhWorkgroup=")
    key = plan(config_of(CONFIGURATIONS["chain-table-in-a-vpc"]), "0")
    with pytest.raises(UsageInvalid, match="known when it is deployed"):
        documents(key, key.roles, ACCOUNT, {})


def test_arns_lie_in_the_part_of_aws_of_their_region() -> None:
    for region, partition in (("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-1", "aws")):
        deployment = deployment_of(CONFIGURATIONS["exports"].replace("eu-west-1", region))
        found = repr(documents(deployment, deployment.roles, ACCOUNT, {}))
        assert set(re.findall(r"arn:([a-z-]+):", found)) == {partition}


def test_a_statement_is_iams_json() -> None:
    statement = Statement("A", ("s3:GetObject",), ("arn",), (("StringLike", "k", ("a", "b")), ("StringLike", "l", "c")))
    assert statement.document() == {
        "Sid": "A",
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": ["arn"],
        "Condition": {"StringLike": {"k": ["a", "b"], "l": "c"}},
    }
