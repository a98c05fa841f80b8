"""The steps from rendered files to a running deployment, as a page beside them."""

from __future__ import annotations

import json
from typing import Any, Final

from tailrace.deploy.cloudformation import IMAGE
from tailrace.deploy.model import (
    Bucket,
    ChainTable,
    Deployment,
    StateMachine,
    Token,
    arn_of,
    expand,
    partition_of,
    with_texts,
)
from tailrace.deploy.terraform import snake

_TOOL_NAMES: Final = {"sam": "the AWS SAM CLI", "cdk": "the AWS CDK", "terraform": "Terraform"}


def readme(deployment: Deployment, tool: str) -> str:
    """Markdown."""
    return "\n".join(
        [
            f"# {deployment.name} on AWS, by {_TOOL_NAMES[tool]}",
            "",
            "What the parts are for, and what to watch: docs/aws.md of Tailrace.",
            "",
            *_notes(deployment),
            "## What only you know",
            "",
            "```sh",
            *_values(deployment, tool),
            "```",
            "",
            "## Build",
            "",
            "```sh",
            *_build(deployment, tool),
            "```",
            "",
            "## Deploy",
            "",
            "```sh",
            *_deploy(deployment, tool),
            "```",
            "",
            *_bucket(deployment),
            *_secrets(deployment),
            *_backfill(deployment),
            "## Look",
            "",
            "`tailrace status` and `tailrace verify`, with the configuration that this was rendered from.",
            "",
        ]
    )


def _notes(deployment: Deployment) -> list[str]:
    return [*(f"* {note}" for note in deployment.notes), ""] if deployment.notes else []


def _asked(deployment: Deployment) -> list[tuple[str, str]]:
    """Parameter and command, of what AWS can be asked."""
    return [(p.id, p.ask) for p in deployment.parameters if p.id != IMAGE]


def _variable(identifier: str) -> str:
    return f"TR_{identifier.upper()}"


def _values(deployment: Deployment, tool: str) -> list[str]:
    lines = [f"export AWS_REGION={deployment.region}"]
    lines += [f"{_variable(name)}=$({ask})" for name, ask in _asked(deployment)]
    lines.append("ACCOUNT=$(aws sts get-caller-identity --query Account --output text)")
    if tool != "cdk":
        lines.append(f"IMAGE=$ACCOUNT.dkr.ecr.$AWS_REGION.amazonaws.com/{deployment.name}:{deployment.version}")
    return lines


def _build(deployment: Deployment, tool: str) -> list[str]:
    code = ["make build    # the code of the capture function; needs pip"] if deployment.captures else []
    if tool == "cdk":
        return [*code, "# the image is built by `cdk deploy`, with Docker"]
    return [
        *code,
        "make image    # of the other functions; needs Docker",
        f"aws ecr create-repository --repository-name {deployment.name}    # once",
        "aws ecr get-login-password | docker login --username AWS --password-stdin ${IMAGE%%/*}",
        f"docker tag {deployment.name}:{deployment.version} $IMAGE && docker push $IMAGE",
    ]


def _deploy(deployment: Deployment, tool: str) -> list[str]:
    names = [name for name, _ in _asked(deployment)]
    if tool == "cdk":
        given = "".join(f" --parameters {name}=${_variable(name)}" for name in names)
        return [
            "pip install -r requirements.txt && npm install -g aws-cdk    # once",
            "cdk bootstrap aws://$ACCOUNT/$AWS_REGION    # once",
            f"cdk deploy{given}",
        ]
    if tool == "terraform":
        given = "".join(f" -var {snake(name)}=${_variable(name)}" for name in names)
        return ["terraform init", f"terraform apply -var {snake(IMAGE)}=$IMAGE{given}"]
    given = "".join(f" {name}=${_variable(name)}" for name in names)
    return [
        f"sam deploy --stack-name {deployment.name} --resolve-s3 --image-repository ${{IMAGE%:*}} \\",
        "  --capabilities CAPABILITY_NAMED_IAM \\",
        f"  --parameter-overrides {IMAGE}=$IMAGE{given}",
    ]


def _bucket(deployment: Deployment) -> list[str]:
    """What an existing bucket lacks. A notification configuration is replaced as a whole, so it is shown before."""
    bucket = deployment.existing
    if bucket is None:
        return []
    lines = [
        "## The bucket",
        "",
        f"`{bucket.name}` exists, so it is yours to set: private, encrypted and without ACLs. These calls **replace**",
        "its lifecycle rules and notifications: look at what it has (`get-bucket-…-configuration`), and add that.",
        "",
        "```sh",
        *_put(bucket.name, "lifecycle", _lifecycle(bucket)),
    ]
    if bucket.notices:
        told = with_texts(_notification(bucket), lambda text: expand(text, lambda token: _in_shell(token, deployment)))
        lines += _put(bucket.name, "notification", told)
    return [*lines, "```", ""]


def _lifecycle(bucket: Bucket) -> dict[str, Any]:
    """In the words of S3's API, which are not those of CloudFormation."""
    uploads = {
        "ID": "incomplete-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": bucket.upload_days},
    }
    expiries = [
        {"ID": e.id, "Status": "Enabled", "Filter": {"Prefix": e.prefix}, "Expiration": {"Days": e.days}}
        for e in bucket.expiries
    ]
    return {"Rules": [uploads, *expiries]}


def _notification(bucket: Bucket) -> dict[str, Any]:
    configurations = []
    for notice in bucket.notices:
        rules = [{"Name": "prefix", "Value": notice.prefix}, {"Name": "suffix", "Value": notice.suffix}]
        told = {"LambdaFunctionArn": arn_of(notice.function), "Events": ["s3:ObjectCreated:*"]}
        configurations.append({**told, "Filter": {"Key": {"FilterRules": rules}}})
    return {"LambdaFunctionConfigurations": configurations}


def _put(bucket: str, what: str, document: Any) -> list[str]:
    option = f"--{what}-configuration"
    call = f"aws s3api put-bucket-{what}-configuration --bucket {bucket} {option} file:///dev/stdin <<END"
    return [call, *json.dumps(document, indent=2).splitlines(), "END"]


def _in_shell(token: Token, deployment: Deployment) -> str:
    match token.kind:
        case "account":
            return "$ACCOUNT"
        case "region":
            return "$AWS_REGION"
        case "partition":
            return partition_of(deployment.region)
    part = next(part for part in deployment.resources if part.id == token.name)
    return f"arn:{partition_of(deployment.region)}:lambda:$AWS_REGION:$ACCOUNT:function:{getattr(part, 'name', '')}"


def _secrets(deployment: Deployment) -> list[str]:
    if not deployment.passwords:
        return []
    return [
        "## Passwords",
        "",
        "PostgreSQL's, as lines of a `.pgpass` file (`host:port:database:user:password`); they are in no template and no log.",
        "",
        "```sh",
        f"aws ssm put-parameter --type SecureString --name {deployment.passwords} --value file://pgpass.txt",
        "```",
        "",
    ]


def _backfill(deployment: Deployment) -> list[str]:
    lines = []
    for part in deployment.resources:
        if isinstance(part, StateMachine):
            machine = f"arn:{partition_of(deployment.region)}:states:$AWS_REGION:$ACCOUNT:stateMachine:{part.name}"
            lines.append(f"aws stepfunctions start-execution --state-machine-arn {machine}")
        elif isinstance(part, ChainTable):
            item = json.dumps({part.key: {"S": part.of}})
            lines.append(f"aws dynamodb put-item --table-name {part.name} --item '{item}'")
    if not lines:
        return []
    head = [
        "## Backfill",
        "",
        "Once, when changes are captured: what the tables held before. It goes on by itself until it is done.",
        "",
    ]
    return [*head, "```sh", *lines, "```", ""]
