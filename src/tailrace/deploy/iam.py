"""The policies of a deployment alone, with every token replaced: JSON that IAM takes as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailrace.deploy.model import (
    ChainTable,
    Deployment,
    Function,
    Queue,
    Role,
    StateMachine,
    Token,
    Topic,
    expand,
    partition_of,
    policy,
    with_texts,
)
from tailrace.errors import UsageInvalid


def documents(
    deployment: Deployment, roles: tuple[Role, ...], account: str, values: Mapping[str, str]
) -> dict[str, Any]:
    """Name of a role → its trust policy and its own.

    `values`: what only AWS knows, by the names of parameters, and "Key". Raises UsageInvalid where one is missing.
    """

    def value(token: Token) -> str:
        return _value(token, deployment, account, values)

    return {
        role.name: {
            "table": role.of or None,
            "duty": role.duty,
            # Who runs a server decides who may assume its role.
            "trust": with_texts(role.trust_policy(), lambda text: expand(text, value)) if role.service else None,
            "policy": with_texts(policy(role.statements), lambda text: expand(text, value)),
        }
        for role in roles
    }


def _value(token: Token, deployment: Deployment, account: str, values: Mapping[str, str]) -> str:
    plain = {"account": account, "region": deployment.region, "partition": partition_of(deployment.region)}
    if token.kind in plain:
        return plain[token.kind]
    if token.name in values:
        return values[token.name]
    for asked in deployment.parameters:
        if asked.id == token.name:
            raise UsageInvalid(f"{asked.what} is not known", hint=f'--set {asked.id}="$({asked.ask})"')
    part = next((part for part in deployment.resources if part.id == token.name), None)
    services = {
        Queue: "sqs:{}:{}:",
        Topic: "sns:{}:{}:",
        Function: "lambda:{}:{}:function:",
        StateMachine: "states:{}:{}:stateMachine:",
        ChainTable: "dynamodb:{}:{}:table/",
    }
    if type(part) not in services:
        raise UsageInvalid(
            f"The ARN of {token.name} is known when it is deployed", hint=f"Give it: --set {token.name}=arn:aws:kms:…"
        )
    place = services[type(part)].format(deployment.region, account)
    return f"arn:{partition_of(deployment.region)}:{place}{getattr(part, 'name', '')}"
