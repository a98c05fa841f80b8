"""A deployment as a CloudFormation template. `code`: where the capture function's zip is; see the callers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tailrace.deploy.model import (
    Alarm,
    Bucket,
    ChainTable,
    Deployment,
    Expiry,
    Function,
    Key,
    LogGroup,
    Notice,
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
    with_texts,
)
from tailrace.errors import ConfigInvalid

RESOURCES_MAX: Final = 500
RUNTIME: Final = "python3.13"
IMAGE: Final = "WorkerImage"
_PSEUDO: Final = {"account": "AWS::AccountId", "region": "AWS::Region", "partition": "AWS::Partition"}
_ARN_BY_REF: Final = (Topic, StateMachine)  # whose Ref is their ARN; of all others it is an attribute
_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9 ._/()?*-]*[A-Za-z0-9)]|[A-Za-z]")
_WORDS: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def template(deployment: Deployment, code: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole template. Without `code` it is two more parameters, CodeBucket and CodeKey, where a function needs it.

    Raises ConfigInvalid where it would be larger than CloudFormation takes.
    """
    kinds = {part.id: part for part in deployment.resources}
    parameters = {p.id: {"Type": "String", "Description": f"{p.what}: {p.ask}"} for p in deployment.parameters}
    if code is None and deployment.captures:
        parameters |= {
            "CodeBucket": {"Type": "String", "Description": "The bucket of the capture function's zip"},
            "CodeKey": {"Type": "String", "Description": "The object of the capture function's zip"},
        }
    code = code or {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    resources: dict[str, Any] = {}
    for part in deployment.resources:
        for identifier, resource in _resource(part, code).items():
            resources[identifier] = with_texts(resource, lambda text: _text(text, kinds))
    if len(resources) > RESOURCES_MAX:
        raise ConfigInvalid(
            f"A template holds {RESOURCES_MAX} resources, and these tables need {len(resources)}",
            hint="Use Terraform; or several configurations, each with a `name` of its own in [deploy].",
            place="tables",
        )
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tailrace: replicates DynamoDB tables ({deployment.name})",
        "Parameters": parameters,
        "Resources": resources,
    }


def _text(text: str, kinds: Mapping[str, Resource]) -> Any:
    """A text with its tokens as Ref, Fn::GetAtt or Fn::Sub."""
    parts = list(pieces(text))
    if not any(isinstance(part, Token) for part in parts):
        return text
    if len(parts) == 1 and isinstance(parts[0], Token):
        name, _, attribute = _reference(parts[0], kinds).partition(".")
        return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}
    written = [
        f"${{{_reference(part, kinds)}}}" if isinstance(part, Token) else part.replace("${", "${!") for part in parts
    ]
    return {"Fn::Sub": "".join(written)}


def _reference(token: Token, kinds: Mapping[str, Resource]) -> str:
    if token.kind in _PSEUDO:
        return _PSEUDO[token.kind]
    if token.kind == "stream":
        return f"{token.name}.StreamArn"
    if token.kind == "arn" and not isinstance(kinds[token.name], _ARN_BY_REF):
        return f"{token.name}.Arn"
    return token.name


def _resource(part: Resource, code: Mapping[str, Any]) -> dict[str, Any]:
    """One part as one or two resources, by their logical ids."""
    match part:
        case Key():
            properties = {"EnableKeyRotation": True, "KeyPolicy": policy(part.statements)}
            alias = {"AliasName": part.alias, "TargetKeyId": id_of(part.id)}
            return _kept(part.id, "AWS::KMS::Key", properties) | _made(f"{part.id}Alias", "AWS::KMS::Alias", alias)
        case Bucket():
            return _bucket(part)
        case Queue():
            return _made(part.id, "AWS::SQS::Queue", _queue(part))
        case Topic():
            return _topic(part)
        case ChainTable():
            return _made(part.id, "AWS::DynamoDB::Table", _chain_table(part))
        case LogGroup():
            group = {"LogGroupName": part.name, "RetentionInDays": part.days}
            return _made(part.id, "AWS::Logs::LogGroup", group | ({"KmsKeyId": part.key} if part.key else {}))
        case Role():
            role = {
                "RoleName": part.name,
                "AssumeRolePolicyDocument": part.trust_policy(),
                "Policies": [{"PolicyName": part.duty, "PolicyDocument": policy(part.statements)}],
            }
            return _made(part.id, "AWS::IAM::Role", role)
        case Function():
            return _made(part.id, "AWS::Lambda::Function", _function(part, code))
        case Permission():
            permission = {
                "Action": "lambda:InvokeFunction",
                "FunctionName": id_of(part.function),
                "Principal": part.service,
                "SourceAccount": {"Ref": "AWS::AccountId"},
                "SourceArn": part.source,
            }
            return _made(part.id, "AWS::Lambda::Permission", permission)
        case Retries():
            retries: dict[str, Any] = {
                "FunctionName": id_of(part.function),
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": part.attempts,
                "MaximumEventAgeInSeconds": part.age_seconds,
            }
            if part.failed_to is not None:
                retries["DestinationConfig"] = {"OnFailure": {"Destination": part.failed_to}}
            return _made(part.id, "AWS::Lambda::EventInvokeConfig", retries)
        case StreamMapping():
            return _made(part.id, "AWS::Lambda::EventSourceMapping", _stream_mapping(part), after=part.after)
        case QueueMapping():
            mapping = {
                "FunctionName": id_of(part.function),
                "EventSourceArn": arn_of(part.queue),
                "BatchSize": part.batch_size,
            }
            return _made(part.id, "AWS::Lambda::EventSourceMapping", mapping)
        case ScheduleGroup():
            return _made(part.id, "AWS::Scheduler::ScheduleGroup", {"Name": part.name})
        case Schedule():
            return _made(part.id, "AWS::Scheduler::Schedule", _schedule(part))
        case StateMachine():
            machine = {"StateMachineName": part.name, "RoleArn": arn_of(part.role), "Definition": part.definition}
            return _made(part.id, "AWS::StepFunctions::StateMachine", machine)
        case Alarm():
            return _made(part.id, "AWS::CloudWatch::Alarm", _alarm(part))


def _made(identifier: str, kind: str, properties: Mapping[str, Any], after: tuple[str, ...] = ()) -> dict[str, Any]:
    depends = {"DependsOn": list(after)} if after else {}
    return {identifier: {"Type": kind, **depends, "Properties": dict(properties)}}


def _kept(identifier: str, kind: str, properties: Mapping[str, Any], after: tuple[str, ...] = ()) -> dict[str, Any]:
    """A resource that stays when its stack goes, but not when making the stack fails: it would stand in the next try's way."""
    made = _made(identifier, kind, properties, after)
    made[identifier] = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain", **made[identifier]}
    return made


def _bucket(part: Bucket) -> dict[str, Any]:
    encryption: dict[str, Any] = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    if part.key is not None:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": part.key}
        encryption = {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    rules: list[dict[str, Any]] = [
        {
            "Id": "incomplete-uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": part.upload_days},
        }
    ]
    rules += [_expiry(expiry) for expiry in part.expiries]
    properties: dict[str, Any] = {
        "BucketName": part.name,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "LifecycleConfiguration": {"Rules": rules},
    }
    if part.notices:
        properties["NotificationConfiguration"] = {"LambdaConfigurations": [_notice(n) for n in part.notices]}
    bucket_policy = {"Bucket": id_of(part.id), "PolicyDocument": policy(part.statements)}
    return _kept(part.id, "AWS::S3::Bucket", properties, part.after) | _kept(
        f"{part.id}Policy", "AWS::S3::BucketPolicy", bucket_policy
    )


def _expiry(expiry: Expiry) -> dict[str, Any]:
    return {"Id": expiry.id, "Status": "Enabled", "Prefix": expiry.prefix, "ExpirationInDays": expiry.days}


def _notice(notice: Notice) -> dict[str, Any]:
    found: dict[str, Any] = {"Event": "s3:ObjectCreated:*", "Function": arn_of(notice.function)}
    rules = [
        {"Name": name, "Value": value}
        for name, value in (("prefix", notice.prefix), ("suffix", notice.suffix))
        if value
    ]
    return found | ({"Filter": {"S3Key": {"Rules": rules}}} if rules else {})


def _queue(part: Queue) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "QueueName": part.name,
        "MessageRetentionPeriod": part.days * 86_400,
        "SqsManagedSseEnabled": True,
        "VisibilityTimeout": part.visible_after,
    }
    if part.parked is not None:
        properties["RedrivePolicy"] = {"deadLetterTargetArn": arn_of(part.parked), "maxReceiveCount": part.tries}
    return properties


def _topic(part: Topic) -> dict[str, Any]:
    properties: dict[str, Any] = {"TopicName": part.name}
    if part.key is not None:
        properties["KmsMasterKeyId"] = part.key
    if part.email is not None:
        properties["Subscription"] = [{"Protocol": "email", "Endpoint": part.email}]
    topic_policy = {"Topics": [id_of(part.id)], "PolicyDocument": policy(part.statements)}
    return _made(part.id, "AWS::SNS::Topic", properties) | _made(
        f"{part.id}Policy", "AWS::SNS::TopicPolicy", topic_policy
    )


def _chain_table(part: ChainTable) -> dict[str, Any]:
    return {
        "TableName": part.name,
        "AttributeDefinitions": [{"AttributeName": part.key, "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": part.key, "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    }


def _function(part: Function, code: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "FunctionName": part.name,
        "Description": part.what,
        "Role": arn_of(part.role),
        "MemorySize": part.memory,
        "Timeout": part.timeout,
        "Environment": {"Variables": dict(part.environment)},
        "LoggingConfig": {"LogGroup": id_of(part.log_group)},
    }
    if part.package == "capture":
        properties |= {"Runtime": RUNTIME, "Handler": part.handler, "Architectures": ["arm64"], "Code": dict(code)}
    else:
        image = {"ImageUri": parameter(IMAGE)}
        properties |= {"PackageType": "Image", "Code": image, "ImageConfig": {"Command": [part.handler]}}
    if part.reserved is not None:
        properties["ReservedConcurrentExecutions"] = part.reserved
    if part.network is not None:
        properties["VpcConfig"] = {
            "SubnetIds": list(part.network.subnets),
            "SecurityGroupIds": list(part.network.security_groups),
        }
    if part.may_loop:
        properties["RecursiveLoop"] = "Allow"
    return properties


def _stream_mapping(part: StreamMapping) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "FunctionName": id_of(part.function),
        "EventSourceArn": part.stream,
        "StartingPosition": part.start,
        "BatchSize": part.batch_size,
        "MaximumBatchingWindowInSeconds": part.window_seconds,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": part.attempts,
        "MaximumRecordAgeInSeconds": part.age_seconds,
        "DestinationConfig": {"OnFailure": {"Destination": part.failed_to}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }
    if part.events:
        names = ",".join(f'"{name}"' for name in part.events)
        properties["FilterCriteria"] = {"Filters": [{"Pattern": f'{{"eventName":[{names}]}}'}]}
    return properties


def _schedule(part: Schedule) -> dict[str, Any]:
    target = {
        "Arn": arn_of(part.function),
        "RoleArn": arn_of(part.role),
        "Input": json.dumps(part.event),
        "DeadLetterConfig": {"Arn": part.dead_letters},
        "RetryPolicy": {"MaximumRetryAttempts": part.attempts, "MaximumEventAgeInSeconds": part.age_seconds},
    }
    return {
        "Name": part.name,
        "Description": part.what,
        "GroupName": id_of(part.group),
        "ScheduleExpression": part.expression,
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }


def _alarm(part: Alarm) -> dict[str, Any]:
    return {
        "AlarmName": part.name,
        "AlarmDescription": part.what,
        "Namespace": part.namespace,
        "MetricName": part.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in part.dimensions.items()],
        "Statistic": part.statistic,
        "Period": part.seconds,
        "EvaluationPeriods": part.periods,
        "Threshold": part.threshold,
        "ComparisonOperator": part.comparison,
        "TreatMissingData": part.missing,
        "AlarmActions": [arn_of(part.topic)],
        "OKActions": [arn_of(part.topic)],
    }


# ---- YAML


def yaml(document: Mapping[str, Any]) -> str:
    """A document of mappings, lists, texts, whole numbers and truths as block YAML."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines = []
        for key, inner in value.items():
            below = _lines(inner)
            if isinstance(inner, Mapping | list) and inner:
                lines += [f"{_scalar(key)}:", *(f"  {line}" for line in below)]
            else:
                lines.append(f"{_scalar(key)}: {below[0]}")
        return lines
    if isinstance(value, list) and value:
        lines = []
        for inner in value:
            first, *rest = _lines(inner)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        return lines
    return [_scalar(value)]


def _scalar(value: Any) -> str:
    """YAML reads what JSON writes, escapes of its own for what cannot be seen, and plain words without marks."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value.replace("::", "")) and value.lower() not in _WORDS:
        return value
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))
