"""Whether policies allow an API call: the part of IAM's rules that ours use. An unknown operator is an error, never a yes."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.deploy.policies import action_of

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Call:
    """One API call: its IAM action, the resource that it names ("*" where it names none), and what conditions ask about it."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def is_allowed(call: Call, statements: list[dict[str, Any]]) -> bool:
    matching = [s for s in statements if _matches(call, s)]
    return any(s["Effect"] == "Allow" for s in matching) and not any(s["Effect"] == "Deny" for s in matching)


def _matches(call: Call, statement: dict[str, Any]) -> bool:
    return (
        call.action in statement["Action"]
        and any(fnmatch.fnmatchcase(call.resource, pattern) for pattern in statement["Resource"])
        and all(
            _holds(operator, call.context.get(key), values)
            for operator, asked in statement.get("Condition", {}).items()
            for key, values in asked.items()
        )
    )


def _holds(operator: str, found: str | None, wanted: str | list[str]) -> bool:
    values = [wanted] if isinstance(wanted, str) else wanted
    if operator not in ("StringEquals", "StringLike", "ArnEquals"):
        raise AssertionError(f"the condition operator {operator} is not known here")
    if found is None:
        return False
    return any(fnmatch.fnmatchcase(found, v) if operator == "StringLike" else found == v for v in values)


def calls_of(
    service: str, operation: str, request: Mapping[str, Any], stream: str = "", workgroup: str = ""
) -> list[Call]:
    """What IAM would be asked for one request. `stream`: what iterators belong to; `workgroup`: the ARN behind its name."""
    action = action_of(service, operation)
    if service == "s3":
        return _of_s3(action, operation, request)
    if service == "redshift-data":
        if "WorkgroupName" in request and operation.endswith("ExecuteStatement"):
            return [Call(action, workgroup)]
        return [Call(action, "*", {"redshift-data:statement-owner-iam-userid": "${aws:userid}"})]
    if service == "sqs":
        return [Call(action, f"arn:aws:sqs:{REGION}:{ACCOUNT}:tailrace-{request['QueueUrl'].rpartition('/')[2]}")]
    if service == "sns":
        return [Call(action, request["TopicArn"])]
    if operation == "BatchGetItem":
        return [Call(action, _table(name)) for name in request["RequestItems"]]
    if operation == "ListExports":  # of all tables
        return [Call(action, "*")]
    if operation == "GetRecords":
        return [Call(action, stream)]
    named = [request[key] for key in ("TableArn", "ExportArn", "StreamArn") if request.get(key)]
    if not named and "TableName" not in request:
        raise AssertionError(f"it is not known what {service}:{operation} names")
    return [Call(action, named[0] if named else _table(request["TableName"]))]


def _of_s3(action: str, operation: str, request: Mapping[str, Any]) -> list[Call]:
    bucket = f"arn:aws:s3:::{request['Bucket']}"
    ours = {"aws:ResourceAccount": ACCOUNT}
    if operation == "ListObjectsV2":
        return [Call(action, bucket, ours | {"s3:prefix": request.get("Prefix", "")})]
    keys = [d["Key"] for d in request["Delete"]["Objects"]] if operation == "DeleteObjects" else [request["Key"]]
    return [Call(action, f"{bucket}/{key}", ours) for key in keys]


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
