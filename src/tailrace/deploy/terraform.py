"""A deployment as Terraform's HCL, for its AWS provider of version 6."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tailrace.deploy.cloudformation import IMAGE, RUNTIME
from tailrace.deploy.model import (
    ACCOUNT,
    Alarm,
    Bucket,
    ChainTable,
    Deployment,
    Function,
    Key,
    LogGroup,
    Permission,
    Queue,
    QueueMapping,
    Resource,
    Retries,
    Role,
    Schedule,
    ScheduleGroup,
    StateMachine,
    StreamMapping,
    Token,
    Topic,
    arn_of,
    id_of,
    parameter,
    pieces,
    policy,
)

PROVIDERS: Final = {"aws": ("hashicorp/aws", ">= 6.0, < 7.0"), "archive": ("hashicorp/archive", ">= 2.4, < 3.0")}
_PSEUDO: Final = {
    "account": "data.aws_caller_identity.current.account_id",
    "region": "data.aws_region.current.region",
    "partition": "data.aws_partition.current.partition",
}
_KINDS: Final[Mapping[type, tuple[str, str]]] = {  # a part's main resource, and what AWS names it by
    Key: ("aws_kms_key", "key_id"),
    Bucket: ("aws_s3_bucket", "id"),
    Queue: ("aws_sqs_queue", "url"),
    Topic: ("aws_sns_topic", "id"),
    ChainTable: ("aws_dynamodb_table", "name"),
    LogGroup: ("aws_cloudwatch_log_group", "name"),
    Role: ("aws_iam_role", "name"),
    Function: ("aws_lambda_function", "function_name"),
    Permission: ("aws_lambda_permission", "id"),
    Retries: ("aws_lambda_function_event_invoke_config", "id"),
    StreamMapping: ("aws_lambda_event_source_mapping", "uuid"),
    QueueMapping: ("aws_lambda_event_source_mapping", "uuid"),
    ScheduleGroup: ("aws_scheduler_schedule_group", "name"),
    Schedule: ("aws_scheduler_schedule", "id"),
    StateMachine: ("aws_sfn_state_machine", "id"),
    Alarm: ("aws_cloudwatch_metric_alarm", "id"),
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Block:
    """``name { … }``, in which HCL takes neither ``=`` nor a list; several of one name follow one another."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression of HCL."""

    text: str


@dataclass(frozen=True, slots=True)
class Json:
    """A document in the text of an argument."""

    document: Any


Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """One ``resource``."""

    kind: str
    name: str
    body: Body


def terraform(deployment: Deployment) -> str:
    """The whole module, as one file."""
    kinds = {part.id: part for part in deployment.resources}
    writer = _Writer(kinds)
    lines = [*_head(deployment, writer)]
    for made in resources(deployment):
        lines += [f'resource "{made.kind}" "{made.name}" {{', *writer.lines(made.body), "}", ""]
    return "\n".join(lines)


def resources(deployment: Deployment) -> Iterator[Made]:
    """Every resource, its blocks and texts still as values."""
    kinds = {part.id: part for part in deployment.resources}
    for part in deployment.resources:
        yield from _resource(part, kinds)


def snake(identifier: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", identifier).lower()


def _head(deployment: Deployment, writer: _Writer) -> Iterator[str]:
    used = {name: found for name, found in PROVIDERS.items() if name != "archive" or deployment.captures}
    required = {name: {"source": source, "version": version} for name, (source, version) in used.items()}
    terraform_block = {"required_version": ">= 1.5", "required_providers": Block(required)}
    code = {
        "type": "zip",
        "source_dir": Raw('"${path.module}/build/capture"'),
        "output_path": Raw('"${path.module}/build/capture.zip"'),
    }
    yield from _section("terraform", terraform_block, writer)
    yield from _section('provider "aws"', {"region": deployment.region}, writer)
    for given in deployment.parameters:
        described = {"type": Raw("string"), "description": f"{given.what}: {given.ask}"}
        yield from _section(f'variable "{snake(given.id)}"', described, writer)
    for data in ("aws_caller_identity", "aws_region", "aws_partition"):
        yield from _section(f'data "{data}" "current"', {}, writer)
    if deployment.captures:
        yield from _section('data "archive_file" "capture"', code, writer)


def _section(head: str, body: Body, writer: _Writer) -> Iterator[str]:
    yield from ([f"{head} {{", *writer.lines(body), "}", ""] if body else [f"{head} {{}}", ""])


class _Writer:
    """Values as HCL."""

    def __init__(self, kinds: Mapping[str, Resource]) -> None:
        self._kinds = kinds

    def lines(self, body: Mapping[str, Any], depth: int = 1) -> list[str]:
        """The arguments and blocks of a body, aligned as ``terraform fmt`` does it."""
        pad = "  " * depth
        lines: list[str] = []
        row: list[tuple[str, str]] = []
        for name, value in body.items():
            blocks = value if isinstance(value, list) and value and isinstance(value[0], Block) else [value]
            for block in blocks:
                if isinstance(block, Block):
                    lines += [*_aligned(row, pad), f"{pad}{name} {{", *self.lines(block.body, depth + 1), f"{pad}}}"]
                    row = []
                    continue
                text = self.value(value, depth)
                row.append((name, text))
                if "\n" in text:  # neighbours are aligned up to a value of several lines
                    lines += [*_aligned(row[:-1], pad), *_aligned(row[-1:], pad)]
                    row = []
        return [*lines, *_aligned(row, pad)]

    def value(self, value: Any, depth: int) -> str:
        pad, inner = "  " * depth, "  " * (depth + 1)
        match value:
            case Raw():
                return value.text
            case Json():
                return f"jsonencode({self.value(value.document, depth)})"
            case str():
                return self._text(value)
            case Mapping():
                return "\n".join(["{", *self._rows(value, depth + 1), f"{pad}}}"])
            case list() | tuple():
                if all(isinstance(v, str) for v in value) and sum(map(len, value)) < 80:
                    return f"[{', '.join(self.value(v, depth) for v in value)}]"
                return "[\n" + "".join(f"{inner}{self.value(v, depth + 1)},\n" for v in value) + pad + "]"
            case _:
                return json.dumps(value)

    def _rows(self, document: Mapping[str, Any], depth: int) -> list[str]:
        """The pairs of an object."""
        return self.lines({_key(key): value for key, value in document.items()}, depth)

    def _text(self, text: str) -> str:
        parts = list(pieces(text))
        if len(parts) == 1 and isinstance(parts[0], Token):
            return self._reference(parts[0])
        return '"' + "".join(self._piece(part) for part in parts) + '"'

    def _piece(self, part: str | Token) -> str:
        if isinstance(part, Token):
            return f"${{{self._reference(part)}}}"
        return json.dumps(part, ensure_ascii=False)[1:-1].replace("${", "$${").replace("%{", "%%{")

    def _reference(self, token: Token) -> str:
        if token.kind in _PSEUDO:
            return _PSEUDO[token.kind]
        if token.kind == "param":
            return f"var.{snake(token.name)}"
        kind, identity = _KINDS[type(self._kinds[token.name])]
        attribute = {"arn": "arn", "id": identity, "stream": "stream_arn"}[token.kind]
        return f"{kind}.{snake(token.name)}.{attribute}"


def _aligned(row: list[tuple[str, str]], pad: str) -> list[str]:
    width = max((len(name) for name, _ in row), default=0)
    return [f"{pad}{name:{width}} = {text}" for name, text in row]


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)


def _after(kinds: Mapping[str, Resource], *identifiers: str) -> Body:
    """``depends_on``: what the arguments alone do not tell."""
    if not identifiers:
        return {}
    names = ", ".join(f"{_KINDS[type(kinds[i])][0]}.{snake(i)}" for i in identifiers)
    return {"depends_on": Raw(f"[{names}]")}


def _resource(part: Resource, kinds: Mapping[str, Resource]) -> Iterator[Made]:
    name, kind = snake(part.id), _KINDS[type(part)][0]
    match part:
        case Key():
            key: Body = {
                "description": "Tailrace",
                "enable_key_rotation": True,
                "policy": Json(policy(part.statements)),
            }
            yield Made(kind, name, key | {"lifecycle": Block({"prevent_destroy": True})})
            yield Made("aws_kms_alias", name, {"name": part.alias, "target_key_id": id_of(part.id)})
        case Bucket():
            yield from _bucket(part, kinds)
        case Queue():
            yield Made(kind, name, _queue(part))
        case Topic():
            yield from _topic(part)
        case ChainTable():
            table = {
                "name": part.name,
                "billing_mode": "PAY_PER_REQUEST",
                "hash_key": part.key,
                "stream_enabled": True,
                "stream_view_type": "NEW_IMAGE",
                "attribute": Block({"name": part.key, "type": "S"}),
            }
            yield Made(kind, name, table)
        case LogGroup():
            group = {"name": part.name, "retention_in_days": part.days}
            yield Made(kind, name, group | ({"kms_key_id": part.key} if part.key else {}))
        case Role():
            yield Made(kind, name, {"name": part.name, "assume_role_policy": Json(part.trust_policy())})
            own = {"name": part.duty, "role": id_of(part.id), "policy": Json(policy(part.statements))}
            yield Made("aws_iam_role_policy", name, own)
        case Function():
            yield Made(kind, name, _function(part))
            if part.may_loop:
                looping = {"function_name": id_of(part.id), "recursive_loop": "Allow"}
                yield Made("aws_lambda_function_recursion_config", name, looping)
        case Permission():
            permission = {
                "action": "lambda:InvokeFunction",
                "function_name": id_of(part.function),
                "principal": part.service,
                "source_account": ACCOUNT,
                "source_arn": part.source,
            }
            yield Made(kind, name, permission)
        case Retries():
            retries: Body = {
                "function_name": id_of(part.function),
                "maximum_retry_attempts": part.attempts,
                "maximum_event_age_in_seconds": part.age_seconds,
            }
            if part.failed_to is not None:
                retries["destination_config"] = Block({"on_failure": Block({"destination": part.failed_to})})
            yield Made(kind, name, retries)
        case StreamMapping():
            yield Made(kind, name, _stream_mapping(part) | _after(kinds, *part.after))
        case QueueMapping():
            mapping = {
                "function_name": arn_of(part.function),
                "event_source_arn": arn_of(part.queue),
                "batch_size": part.batch_size,
            }
            yield Made(kind, name, mapping)
        case ScheduleGroup():
            yield Made(kind, name, {"name": part.name})
        case Schedule():
            yield Made(kind, name, _schedule(part))
        case StateMachine():
            machine = {"name": part.name, "role_arn": arn_of(part.role), "definition": Json(part.definition)}
            yield Made(kind, name, machine)
        case Alarm():
            yield Made(kind, name, _alarm(part))


def _bucket(part: Bucket, kinds: Mapping[str, Resource]) -> Iterator[Made]:
    name, of = snake(part.id), {"bucket": id_of(part.id)}
    yield Made("aws_s3_bucket", name, {"bucket": part.name, "lifecycle": Block({"prevent_destroy": True})})
    default: Body = {"sse_algorithm": "AES256"}
    if part.key is not None:
        default = {"sse_algorithm": "aws:kms", "kms_master_key_id": part.key}
    rule: Body = {"apply_server_side_encryption_by_default": Block(default)}
    if part.key is not None:
        rule["bucket_key_enabled"] = True
    yield Made("aws_s3_bucket_server_side_encryption_configuration", name, of | {"rule": Block(rule)})
    owner = {"rule": Block({"object_ownership": "BucketOwnerEnforced"})}
    yield Made("aws_s3_bucket_ownership_controls", name, of | owner)
    blocked = {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    }
    yield Made("aws_s3_bucket_public_access_block", name, of | blocked)
    yield Made("aws_s3_bucket_policy", name, of | {"policy": Json(policy(part.statements))})
    uploads = {
        "id": "incomplete-uploads",
        "status": "Enabled",
        "filter": Block({"prefix": ""}),
        "abort_incomplete_multipart_upload": Block({"days_after_initiation": part.upload_days}),
    }
    rules = [Block(uploads)]
    for expiry in part.expiries:
        expired = {"filter": Block({"prefix": expiry.prefix}), "expiration": Block({"days": expiry.days})}
        rules.append(Block({"id": expiry.id, "status": "Enabled", **expired}))
    yield Made("aws_s3_bucket_lifecycle_configuration", name, of | {"rule": rules})
    if part.notices:
        notices = []
        for notice in part.notices:
            told: Body = {"lambda_function_arn": arn_of(notice.function), "events": ["s3:ObjectCreated:*"]}
            told |= {"filter_prefix": notice.prefix} if notice.prefix else {}
            told |= {"filter_suffix": notice.suffix} if notice.suffix else {}
            notices.append(Block(told))
        body = of | {"lambda_function": notices} | _after(kinds, *part.after)
        yield Made("aws_s3_bucket_notification", name, body)


def _queue(part: Queue) -> Body:
    body: Body = {
        "name": part.name,
        "message_retention_seconds": part.days * 86_400,
        "sqs_managed_sse_enabled": True,
        "visibility_timeout_seconds": part.visible_after,
    }
    if part.parked is not None:
        redrive = {"deadLetterTargetArn": arn_of(part.parked), "maxReceiveCount": part.tries}
        body["redrive_policy"] = Json(redrive)
    return body


def _topic(part: Topic) -> Iterator[Made]:
    name = snake(part.id)
    key = {} if part.key is None else {"kms_master_key_id": part.key}
    yield Made("aws_sns_topic", name, {"name": part.name, **key})
    yield Made("aws_sns_topic_policy", name, {"arn": arn_of(part.id), "policy": Json(policy(part.statements))})
    if part.email is not None:
        subscription = {"topic_arn": arn_of(part.id), "protocol": "email", "endpoint": part.email}
        yield Made("aws_sns_topic_subscription", name, subscription)


def _function(part: Function) -> Body:
    body: Body = {
        "function_name": part.name,
        "description": part.what,
        "role": arn_of(part.role),
        "memory_size": part.memory,
        "timeout": part.timeout,
    }
    if part.package == "capture":
        body |= {
            "runtime": RUNTIME,
            "handler": part.handler,
            "architectures": ["arm64"],
            "filename": Raw("data.archive_file.capture.output_path"),
            "source_code_hash": Raw("data.archive_file.capture.output_base64sha256"),
        }
    else:
        image = Block({"command": [part.handler]})
        body |= {"package_type": "Image", "image_uri": parameter(IMAGE), "image_config": image}
    if part.reserved is not None:
        body["reserved_concurrent_executions"] = part.reserved
    body["environment"] = Block({"variables": dict(part.environment)})
    body["logging_config"] = Block({"log_format": "Text", "log_group": id_of(part.log_group)})
    if part.network is not None:
        places = {"subnet_ids": part.network.subnets, "security_group_ids": part.network.security_groups}
        body["vpc_config"] = Block(places)
    # AWS looks at what a role may do when a function in a VPC or a mapping is made; the policy is a resource of its own.
    return body | {"depends_on": Raw(f"[aws_iam_role_policy.{snake(part.role)}]")}


def _stream_mapping(part: StreamMapping) -> Body:
    body: Body = {
        "function_name": arn_of(part.function),
        "event_source_arn": part.stream,
        "starting_position": part.start,
        "batch_size": part.batch_size,
        "maximum_batching_window_in_seconds": part.window_seconds,
        "bisect_batch_on_function_error": True,
        "function_response_types": ["ReportBatchItemFailures"],
        "maximum_retry_attempts": part.attempts,
        "maximum_record_age_in_seconds": part.age_seconds,
        "destination_config": Block({"on_failure": Block({"destination_arn": part.failed_to})}),
        "metrics_config": Block({"metrics": ["EventCount"]}),
    }
    if part.events:
        names = ",".join(f'"{name}"' for name in part.events)
        pattern = Block({"pattern": f'{{"eventName":[{names}]}}'})
        body["filter_criteria"] = Block({"filter": pattern})
    return body


def _schedule(part: Schedule) -> Body:
    retry = {"maximum_retry_attempts": part.attempts, "maximum_event_age_in_seconds": part.age_seconds}
    target = {
        "arn": arn_of(part.function),
        "role_arn": arn_of(part.role),
        "input": Json(part.event),
        "dead_letter_config": Block({"arn": part.dead_letters}),
        "retry_policy": Block(retry),
    }
    return {
        "name": part.name,
        "description": part.what,
        "group_name": id_of(part.group),
        "schedule_expression": part.expression,
        "schedule_expression_timezone": "UTC",
        "flexible_time_window": Block({"mode": "OFF"}),
        "target": Block(target),
    }


def _alarm(part: Alarm) -> Body:
    return {
        "alarm_name": part.name,
        "alarm_description": part.what,
        "namespace": part.namespace,
        "metric_name": part.metric,
        "dimensions": dict(part.dimensions),
        "statistic": part.statistic,
        "period": part.seconds,
        "evaluation_periods": part.periods,
        "threshold": part.threshold,
        "comparison_operator": part.comparison,
        "treat_missing_data": part.missing,
        "alarm_actions": [arn_of(part.topic)],
        "ok_actions": [arn_of(part.topic)],
    }
