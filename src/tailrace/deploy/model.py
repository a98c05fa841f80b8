"""A deployment as values: what is to be there, in words that no tool owns.

A text may hold tokens, which stand for what is known only when it is deployed: the account, the ARN of a key. A token lies
between two control characters, which no name of a configuration can hold. Each renderer replaces them by its own expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

_TOKEN: Final = re.compile("\x01([a-z]+):([A-Za-z0-9]*)\x02")


@dataclass(frozen=True, slots=True)
class Token:
    """``account``, ``region`` or ``partition``; the ``arn`` or the ``id`` of the resource `name`, or a ``param``."""

    kind: str
    name: str = ""


def _token(kind: str, name: str = "") -> str:
    return f"\x01{kind}:{name}\x02"


ACCOUNT: Final = _token("account")
REGION: Final = _token("region")
PARTITION: Final = _token("partition")


def arn_of(identifier: str) -> str:
    """The ARN of another resource, which is then made first."""
    return _token("arn", identifier)


def id_of(identifier: str) -> str:
    """What AWS names another resource by: a queue's URL, a mapping's UUID."""
    return _token("id", identifier)


def stream_of(identifier: str) -> str:
    """The ARN of the stream of a table of the deployment itself."""
    return _token("stream", identifier)


def parameter(identifier: str) -> str:
    """What whoever deploys gives."""
    return _token("param", identifier)


def partition_of(region: str) -> str:
    """The part of AWS that a region lies in, as ARNs have it."""
    special = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for begin, name in special.items() if region.startswith(begin)), "aws")


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:{PARTITION}:{service}:{region}:{account}:{resource}"


def pieces(text: str) -> Iterator[str | Token]:
    """A text as its plain parts, none of them empty, and its tokens."""
    parts = _TOKEN.split(text)
    for plain, kind, name in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        if plain:
            yield plain
        yield Token(kind, name)
    if parts[-1]:
        yield parts[-1]


def with_texts(value: Any, change: Callable[[str], Any]) -> Any:
    """Every text inside dicts, lists and tuples replaced; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: with_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [with_texts(inner, change) for inner in value]
    return value


def expand(text: str, value: Callable[[Token], str]) -> str:
    """A text with a value for each token."""
    return "".join(value(part) if isinstance(part, Token) else part for part in pieces(text))


Condition: TypeAlias = tuple[str, str, str | tuple[str, ...]]
"""Operator, key, and one or several values: ("StringEquals", "aws:SourceAccount", ACCOUNT)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy; `principals` only in policies of resources, such as {"Service": "sns.amazonaws.com"}."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    effect: Literal["Allow", "Deny"] = "Allow"
    principals: Mapping[str, str] | str | None = None

    def document(self) -> dict[str, Any]:
        """In IAM's own JSON, with tokens."""
        what: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principals is not None:
            what["Principal"] = self.principals if isinstance(self.principals, str) else dict(self.principals)
        what["Action"] = list(self.actions)
        if self.resources:
            what["Resource"] = list(self.resources)
        conditions: dict[str, dict[str, Any]] = {}
        for operator, key, values in self.conditions:
            conditions.setdefault(operator, {})[key] = values if isinstance(values, str) else list(values)
        return what | ({"Condition": conditions} if conditions else {})


def policy(statements: tuple[Statement, ...]) -> dict[str, Any]:
    """A whole policy document, with tokens."""
    return {"Version": "2012-10-17", "Statement": [statement.document() for statement in statements]}


# ---- resources. `id` is the name inside the template, in letters and digits; `name` the one in AWS.


@dataclass(frozen=True, slots=True)
class Parameter:
    """What whoever deploys must say. `ask` is the command that finds it out."""

    id: str
    what: str
    ask: str


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key, its policy and its alias."""

    id: str
    alias: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Objects under `prefix` are deleted after `days`."""

    id: str
    prefix: str
    days: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Objects under `prefix` whose names end with `suffix` call a function when they are created."""

    function: str
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A private bucket that outlives its stack. `key`: the ARN of a KMS key, or None for S3's own.

    `after`: what must be there before its notices are accepted.
    """

    id: str
    name: str
    key: str | None
    statements: tuple[Statement, ...]
    upload_days: int
    expiries: tuple[Expiry, ...] = ()
    notices: tuple[Notice, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue, encrypted by SQS. `parked`: the id of the queue for what was received `tries` times in vain."""

    id: str
    name: str
    days: int
    visible_after: int
    parked: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic, its policy, and whom it writes to."""

    id: str
    name: str
    key: str | None
    email: str | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ChainTable:
    """A DynamoDB table with a text key, billed by request, whose stream shows new images. `of`: the table it is a chain for."""

    id: str
    name: str
    key: str
    of: str


@dataclass(frozen=True, slots=True)
class LogGroup:
    id: str
    name: str
    days: int
    key: str | None


@dataclass(frozen=True, slots=True)
class Role:
    """`service` may assume it, under `trust`; "" leaves that open. `of`: the table it serves, or "" for all. `duty`: what for."""

    id: str
    name: str
    service: str
    trust: tuple[Condition, ...]
    statements: tuple[Statement, ...]
    of: str
    duty: str

    def trust_policy(self) -> dict[str, Any]:
        who = Statement("Trust", ("sts:AssumeRole",), (), self.trust, principals={"Service": self.service})
        return policy((who,))


@dataclass(frozen=True, slots=True)
class Network:
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function. `package`: "capture" is a zip of pure Python, "worker" a container image.

    `timeout` in seconds, `memory` in MB. `reserved`: how many may run at once, or None for no limit of its own.
    """

    id: str
    name: str
    what: str
    package: Literal["capture", "worker"]
    handler: str
    role: str
    log_group: str
    memory: int
    timeout: int
    environment: Mapping[str, str]
    reserved: int | None = None
    network: Network | None = None
    may_loop: bool = False


@dataclass(frozen=True, slots=True)
class Permission:
    """A service may call a function, on behalf of one source of this account."""

    id: str
    function: str
    service: str
    source: str


@dataclass(frozen=True, slots=True)
class Retries:
    """Of asynchronous calls: how often, how old, and where to when all failed; None: the next call makes up for it."""

    id: str
    function: str
    attempts: int
    age_seconds: int
    failed_to: str | None


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """A DynamoDB stream calls a function. `failed_to`: an ARN. `events`: only these names, or all where it is empty.

    `after`: what must be there before the first record comes.
    """

    id: str
    function: str
    stream: str
    batch_size: int
    window_seconds: int
    attempts: int
    age_seconds: int
    failed_to: str
    events: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    start: str = "TRIM_HORIZON"


@dataclass(frozen=True, slots=True)
class QueueMapping:
    id: str
    function: str
    queue: str
    batch_size: int


@dataclass(frozen=True, slots=True)
class ScheduleGroup:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Calls a function at times in UTC, with `event`. `dead_letters`: the ARN of a queue for calls that did not come through."""

    id: str
    name: str
    what: str
    group: str
    expression: str
    function: str
    event: Mapping[str, Any]
    role: str
    dead_letters: str
    attempts: int
    age_seconds: int


@dataclass(frozen=True, slots=True)
class StateMachine:
    id: str
    name: str
    role: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """`dimensions` as CloudWatch has them. It tells `topic` when `metric` has crossed the threshold in all `periods`."""

    id: str
    name: str
    what: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    seconds: int
    threshold: int
    topic: str
    periods: int = 1
    comparison: str = "GreaterThanOrEqualToThreshold"
    missing: str = "notBreaching"


Resource: TypeAlias = (
    Key
    | Bucket
    | Queue
    | Topic
    | ChainTable
    | LogGroup
    | Role
    | Function
    | Permission
    | Retries
    | StreamMapping
    | QueueMapping
    | ScheduleGroup
    | Schedule
    | StateMachine
    | Alarm
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that a configuration needs, in an order in which it can be made.

    `config`: the configuration that the functions read, as a file. `existing`: a bucket as it should be that is not made.
    `passwords`: the SSM parameter that must hold passwords, or "". `extras`: of the package, for the image.
    `notes`: what whoever deploys should know.
    """

    name: str
    region: str
    version: str
    parameters: tuple[Parameter, ...]
    resources: tuple[Resource, ...]
    config: str
    existing: Bucket | None
    passwords: str
    extras: tuple[str, ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [part.id for part in (*self.parameters, *self.resources)]
        assert len(names) == len(set(names)), f"two parts with one id: {sorted(names)}"

    @property
    def captures(self) -> bool:
        """Whether there is a function that needs the zip."""
        return any(isinstance(part, Function) and part.package == "capture" for part in self.resources)

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(part for part in self.resources if isinstance(part, Role))
