"""From a configuration to everything that it needs on AWS. All rules of a deployment are here; the renderers have none.

| a table that is captured | has |
|---|---|
| by its stream | a function behind the stream, one on a schedule and, unless it is loaded by the hour or by hand, one behind S3 |
| by exports | a function on a schedule |

The schedule also reads what a table held before, or, where it is large, a chain of calls does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tailrace.config import (
    Config,
    DeltaConfig,
    DuckDbConfig,
    IcebergConfig,
    ParquetConfig,
    PostgresConfig,
    RedshiftConfig,
)
from tailrace.deploy import policies
from tailrace.deploy.entry import (
    CHAIN,
    CONFIG,
    CONFIG_PATH,
    HANDLERS,
    LANDING,
    PARKED,
    PGPASS,
    TABLE,
    TOPIC,
    Duty,
)
from tailrace.deploy.model import (
    ACCOUNT,
    PARTITION,
    REGION,
    Alarm,
    Bucket,
    ChainTable,
    Deployment,
    Expiry,
    Function,
    Key,
    LogGroup,
    Network,
    Notice,
    Parameter,
    Permission,
    Queue,
    QueueMapping,
    Resource,
    Retries,
    Role,
    Schedule,
    ScheduleGroup,
    StateMachine,
    Statement,
    StreamMapping,
    Topic,
    arn,
    arn_of,
    expand,
    id_of,
    parameter,
    policy,
    stream_of,
    with_texts,
)
from tailrace.deploy.names import id_of_slug, slug_of
from tailrace.errors import ConfigInvalid
from tailrace.landing import split_url
from tailrace.landing.names import OWN_FOLDER, QUARANTINE

HOUR: Final = 3600

# The event source mapping of a table's stream.
BATCH_RECORDS: Final = 10_000  # the most there is: a batch, which is one object, ends at 6 MB or at its window anyway
WINDOW_SECONDS: Final = 60  # where the configuration does not say: an object a minute and shard
WINDOW_MAX: Final = 300  # Lambda's own limit
ATTEMPTS: Final = 100  # bad records are set aside by the function, so what fails is S3 or we: worth waiting for
AGE_SECONDS: Final = 20 * HOUR  # then records go to the bucket for what was given up, before the stream forgets them
HEADROOM_HOURS: Final = 12  # of the same 24, by the schedule's own proof: it also sees a mapping that is switched off
AGE_ALARMS: Final = ((6, "a quarter"), (12, "half"))  # hours of the 24 that a stream keeps

# Functions. Memory also buys processor time: 1,769 MB are one processor.
CAPTURE_MEMORY: Final = 256  # a batch of 10,000 took 88 at most
CAPTURE_SECONDS: Final = 60
WORKER_SECONDS: Final = 900  # the most there is; a tick ends by itself before
DEAD_LETTER_SECONDS: Final = 60
DEAD_LETTER_MEMORY: Final = 512
LAKE_MEMORY: Final = 3008  # a load holds its changes and whole files of up to 128 MB, which compression made small
SWEEP: Final = "rate(5 minutes)"  # finds what a lost trigger left lying, and publishes for loads by the hour
SILENT_SECONDS: Final = 900  # three sweeps
BEHIND_SECONDS: Final = HOUR  # beyond two windows of exports: until one is there takes half of that at most
QUEUE_DAYS: Final = 14  # the most there is
UPLOAD_DAYS: Final = 7
DESCRIPTION_CHARS: Final = 256  # of a function, which a table's name alone may fill
POLICY_CHARS: Final = 10_240  # IAM's own limit, of all policies inside a role together
PROBE_DAYS: Final = 7
QUARANTINE_DAYS: Final = 365

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def plan(config: Config, version: str) -> Deployment:
    """Everything that a configuration needs. Raises ConfigInvalid for what cannot run without a server.

    `version` of Tailrace, which is what the functions install.
    """
    _check_place(config)
    _check_tables(config)
    planner = _Planner(config)
    resources = tuple(planner.resources())
    _check_sizes(resources)
    return _deployment(config, version, planner, resources)


def plan_for_server(config: Config, version: str) -> Deployment:
    """Of a server on which `tailrace run` works, only what it may do: a role for each table. Raises ConfigInvalid."""
    _check_place(config)
    planner = _Planner(config)
    statements = {table: planner.serving(table, _served_targets(config, table)) for table in config.tables}
    return _deployment(config, version, planner, _roles(planner, "run", statements))


def plan_for_readers(config: Config, version: str) -> Deployment:
    """Of whoever queries lakes, only what he may do: a role for each table that is in one on AWS. Raises ConfigInvalid."""
    _check_place(config)
    planner = _Planner(config)
    statements = {table: tuple(planner.lakes(table)) for table in config.tables}
    return _deployment(config, version, planner, _roles(planner, "read", statements))


def _roles(planner: _Planner, duty: Duty, statements: Mapping[str, tuple[Statement, ...]]) -> tuple[Role, ...]:
    return tuple(
        Role(
            f"{id_of_slug(slug_of(table))}{duty.capitalize()}",
            f"{planner.name}-{slug_of(table)}-{duty}",
            service="",
            trust=(),
            statements=allowed,
            of=table,
            duty=duty,
        )
        for table, allowed in statements.items()
        if allowed
    )


def _deployment(config: Config, version: str, planner: _Planner, resources: tuple[Resource, ...]) -> Deployment:
    return Deployment(
        name=config.deploy.name,
        region=planner.region,
        version=version,
        parameters=tuple(planner.parameters()),
        resources=resources,
        config=config_file(config),
        existing=planner.existing,
        passwords=_password_parameter(config, config.tables),
        extras=tuple(_extras(config)),
        notes=tuple(_notes(config)),
    )


# ---- what cannot be deployed


def _check_place(config: Config) -> None:
    if not config.landing.url.startswith("s3:"):
        raise ConfigInvalid(
            "A landing zone on this machine has no place on AWS: functions have no disk in common, and roles say nothing of one",
            hint='Set url = "s3://bucket/prefix" in [landing].',
            place="landing.url",
        )
    if config.source.region is None:
        raise ConfigInvalid(
            "What lies on AWS has a region, and the configuration names none",
            hint='Set region = "eu-west-1" in [source]: that of the tables and of the bucket.',
            place="source.region",
        )


def _check_tables(config: Config) -> None:
    if config.source.role_arn is not None:
        raise ConfigInvalid(
            "Functions have roles of their own, in the account of the tables, and assume no other",
            hint="Deploy in that account, from a configuration without role_arn.",
            place="source.role_arn",
        )
    for table in config.tables:
        if config.rule(table, "capture", "streams") == "streams":
            raise ConfigInvalid(
                f"{table} is captured by a poller, which runs on a server",
                hint='Set capture = "lambda", or "exports".',
                place=f"tables.{table}.capture",
            )
        left = _not_deployed(config, table)
        if not _deployed_targets(config, table) and config.load_rule_of(table) != "by_hand":
            raise ConfigInvalid(
                f"{table} goes only to {_kinds(config, table)}, {next(iter(left.values()))}",
                hint='Give it another target; or set load = "by_hand" and run `tailrace load` where that can be reached.',
                place=f"tables.{table}.targets",
            )
    for name in _used_targets(config):
        target = config.targets[name]
        if isinstance(target, PostgresConfig) and target.host is None:
            raise ConfigInvalid(
                "A function does not find a PostgreSQL whose host is not named",
                hint=f"Set host in [targets.{name}].",
                place=f"targets.{name}.host",
            )
        if isinstance(target, RedshiftConfig) and not (target.secret_arn or target.ssm_parameter or target.db_user):
            raise ConfigInvalid(
                f"{name} takes each function for a user of its own, none of whom may change the tables of another",
                hint=f"Give all of them one login: secret_arn in [targets.{name}], or for a cluster db_user.",
                place=f"targets.{name}.secret_arn",
            )


def _kinds(config: Config, table: str) -> str:
    return " and ".join(sorted({config.targets[name].kind for name in config.targets_of(table)}))


def _check_sizes(resources: Sequence[Resource]) -> None:
    for part in resources:
        if isinstance(part, Role) and _chars(part) > POLICY_CHARS:
            raise ConfigInvalid(
                f"The policy of the role {part.name} is longer than IAM allows",
                hint="Deploy fewer tables at a time: several configurations, each with a `name` of its own in [deploy].",
                place="tables",
            )


def _chars(role: Role) -> int:
    """How long a role's policy is at most, as IAM counts: without white space."""
    longest = {"account": 12, "region": 14, "partition": 10}
    document = with_texts(
        policy(role.statements), lambda text: expand(text, lambda token: "x" * longest.get(token.kind, 100))
    )
    return len(json.dumps(document, separators=(",", ":")))


def _not_deployed(config: Config, table: str) -> dict[str, str]:
    """The targets of a table that no function writes to → why."""
    reasons = {name: _why_not_deployed(config, table, name) for name in config.targets_of(table)}
    return {name: why for name, why in reasons.items() if why}


def _why_not_deployed(config: Config, table: str, name: str) -> str:
    """Empty: a function can write to it."""
    target = config.targets[name]
    match target:
        case DuckDbConfig():
            return "which is a file, and functions have no disk in common"
        case ParquetConfig() | DeltaConfig() if not target.url.startswith("s3:"):
            return "which is a folder of one machine, and functions have no disk in common"
        case IcebergConfig() if target.is_local:
            return "which is a folder of one machine, and functions have no disk in common"
        case IcebergConfig() if not target.is_of_aws:
            return "whose catalog wants a login, and functions have none but that of AWS"
        case IcebergConfig() if config.engine_of(table, name) == "spark":
            return "which Spark loads, by the job of `tailrace spark render`"
    return ""


def _deployed_targets(config: Config, table: str) -> list[str]:
    """Those that a function can write to."""
    left = _not_deployed(config, table)
    return [name for name in config.targets_of(table) if name not in left]


def _used_targets(config: Config) -> list[str]:
    """Those that a function writes to, for any table."""
    used = {name for table in config.tables for name in _loaded_targets(config, table)}
    return [name for name in config.targets if name in used]


def _loaded_targets(config: Config, table: str) -> list[str]:
    """Those that a function writes to."""
    return [] if config.load_rule_of(table) == "by_hand" else _deployed_targets(config, table)


def _served_targets(config: Config, table: str) -> list[str]:
    """Those that a server writes to."""
    return [] if config.load_rule_of(table) == "by_hand" else config.targets_of(table)


def _password_parameter(config: Config, tables: Iterable[str]) -> str:
    """The SSM parameter for passwords of PostgreSQL, where a function that loads one of these tables needs it, else ""."""
    used = [config.targets[name] for table in tables for name in _loaded_targets(config, table)]
    return f"/{config.deploy.name}/pgpass" if any(isinstance(target, PostgresConfig) for target in used) else ""


def _extras(config: Config) -> Iterator[str]:
    """What the image installs beside the package: the fast codec, and clients of its targets."""
    used = [config.targets[name] for name in _used_targets(config)]
    yield "fast"
    if any(isinstance(target, PostgresConfig) for target in used):
        yield "postgres"
    if any(isinstance(target, RedshiftConfig) and target.driver == "connector" for target in used):
        yield "redshift"
    if any(isinstance(target, IcebergConfig) for target in used):
        yield "iceberg"
    if any(isinstance(target, DeltaConfig) for target in used):
        yield "delta"


def _notes(config: Config) -> Iterator[str]:
    if config.deploy.alarm_email is None:
        yield f"Nobody hears the alarms: set alarm_email in [deploy], or subscribe to the topic {config.deploy.name}-alarms."
    for table in config.tables:
        for name, why in _not_deployed(config, table).items():
            yield f"{table} is not loaded into {name}, {why}: run `tailrace load` where that can be reached."
        rule = config.load_rule_of(table)
        if not isinstance(rule, str) and _cron(rule.seconds, rule.offset) is None:
            yield f"{table} is loaded up to five minutes late: its times fit no cron expression, so the sweep loads it."
    if config.source.profile or config.source.endpoint_url:
        yield "profile and endpoint_url of [source] say how this machine reaches AWS; the functions do without."
    if config.deploy.bucket == "existing":
        yield "The bucket is not touched: the README says what it must have, and how it calls the functions."
    for name in _used_targets(config):
        target = config.targets[name]
        if isinstance(target, IcebergConfig) and target.signing == "glue":
            yield f"Where {name} keeps its files only its catalog knows: give the roles that load the right to do so, too."
    if config.deploy.subnets and any(map(config.by_lambda, config.tables)):
        yield "From the subnets DynamoDB Streams must be reached, which has no gateway endpoint: a NAT gateway does it."
    if not config.deploy.subnets:
        for name in _used_targets(config):
            target = config.targets[name]
            if isinstance(target, PostgresConfig) or (isinstance(target, RedshiftConfig) and target.host):
                yield f"{name} is reached from outside of any VPC: set subnets and security_groups in [deploy] if it lies in one."


def config_file(config: Config) -> str:
    """The configuration that the functions read: every variable replaced, without what only holds on this machine."""
    document = config.model_dump(by_alias=True, exclude_none=True, exclude={"deploy", "spark"})
    document["source"] = {"region": config.source.region}
    kept = [name for table in config.tables for name in _deployed_targets(config, table)]
    for table, section in document["tables"].items():
        section["targets"] = _deployed_targets(config, table) or config.targets_of(table)
        kept += section["targets"]
    document["targets"] = {name: target for name, target in document["targets"].items() if name in kept}
    document["defaults"].pop("targets", None)
    return "".join(_toml(document, ()))


def _toml(section: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    """A section of TOML and those below it, in order."""
    plain = {key: value for key, value in section.items() if not isinstance(value, dict)}
    below = {key: value for key, value in section.items() if isinstance(value, dict)}
    if place and plain:
        yield f"\n[{'.'.join(part if _BARE.fullmatch(part) else _quoted(part) for part in place)}]\n"
    for key, value in plain.items():
        yield f"{key} = {_quoted(value)}\n"
    for key, value in below.items():
        yield from _toml(value, (*place, key))


def _quoted(value: Any) -> str:
    """A value in TOML, whose texts, lists, numbers and truths are written as those of JSON. `$` begins a variable with us."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("$", "$$")


# ---- resources


@dataclass(frozen=True, slots=True)
class _Worker:
    """A function to be made: its duty and what is special about it. `statements` beside those that each one has."""

    duty: Duty
    what: str
    statements: tuple[Statement, ...]
    environment: dict[str, str]
    timeout: int = WORKER_SECONDS
    memory: int | None = None
    reserved: int | None = None
    may_loop: bool = False
    loads: bool = False


class _Planner:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.deploy = config.deploy
        self.name = config.deploy.name
        self.region = config.source.region or ""
        _, self.bucket, prefix = split_url(config.landing.url)
        self.prefix = f"{prefix}/" if prefix else ""
        self.failed_bucket = f"{self.name}-{ACCOUNT}-{REGION}-given-up"
        key = self.deploy.kms_key
        self.key = arn_of("Key") if key == "create" else key
        used = [config.targets[name] for name in _used_targets(config)]
        has_lake = any(isinstance(target, ParquetConfig | DeltaConfig | IcebergConfig) for target in used)
        is_set = "memory" in self.deploy.model_fields_set
        self.memory = LAKE_MEMORY if has_lake and not is_set else self.deploy.memory
        self.existing: Bucket | None = None  # known once the resources are
        self.network = (
            Network(tuple(self.deploy.subnets), tuple(self.deploy.security_groups)) if self.deploy.subnets else None
        )

    def parameters(self) -> Iterator[Parameter]:
        yield Parameter(
            "WorkerImage",
            "The container image of the functions that load, by tag or digest",
            f"see the README; pushed as {self.name}:TAG",
        )
        for table in self.config.tables:
            if self.config.by_lambda(table):
                yield Parameter(
                    _stream_parameter(table),
                    f"The ARN of the stream of {table}",
                    f"aws dynamodb describe-table --table-name {table} --query Table.LatestStreamArn --output text",
                )
        for name, target in self.config.targets.items():
            if isinstance(target, RedshiftConfig) and target.workgroup and name in _used_targets(self.config):
                yield Parameter(
                    _workgroup_parameter(name),
                    f"The ARN of the workgroup {target.workgroup}",
                    f"aws redshift-serverless get-workgroup --workgroup-name {target.workgroup} "
                    "--query workgroup.workgroupArn --output text",
                )

    def resources(self) -> Iterator[Resource]:
        notices: list[Notice] = []
        permissions: list[str] = []
        tables: list[Resource] = []
        for table in self.config.tables:
            for resource in _Table(self, table).resources():
                tables.append(resource)
                if isinstance(resource, Permission) and resource.service == "s3.amazonaws.com":
                    permissions.append(resource.id)
                    notices.append(Notice(resource.function, f"{self.zone(table).home}changes/", ".json.gz"))
        yield from self._shared()
        kept = {part.function for part in tables if isinstance(part, Retries) and part.failed_to}
        yield from self._dead_letters([p.name for p in tables if isinstance(p, Function) and p.id in kept])
        yield from tables
        yield from self._schedules([part.function for part in tables if isinstance(part, Schedule)])
        bucket = self._landing_bucket(notices, permissions)
        if self.deploy.bucket == "create":
            yield bucket
        else:
            self.existing = bucket

    # ---- what all tables share

    def _shared(self) -> Iterator[Resource]:
        if self.deploy.kms_key == "create":
            yield Key("Key", f"alias/{self.name}", policies.own_key(f"/aws/lambda/{self.name}-"))
        topic = arn("sns", f"{self.name}-alarms")
        yield Topic(
            "Alarms", f"{self.name}-alarms", self._created_key, self.deploy.alarm_email, policies.alarm_topic(topic)
        )
        yield Queue("Parked", f"{self.name}-parked", QUEUE_DAYS, 30)
        yield Queue(
            "DeadLetters",
            f"{self.name}-dead-letters",
            QUEUE_DAYS,
            6 * DEAD_LETTER_SECONDS,  # what AWS advises for a queue that calls a function
            parked="Parked",
            tries=3,
        )
        yield self.alarm(
            "ParkedAlarm",
            "parked",
            f"Calls that failed for good wait in the queue {self.name}-parked; later calls may have made up for them",
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{self.name}-parked"}),
            statistic="Maximum",
        )
        yield ScheduleGroup("ScheduleGroup", self.name)

    @property
    def _created_key(self) -> str | None:
        """For what needs its own words in a key's policy: a key that is there already has none for us."""
        return self.key if self.deploy.kms_key == "create" else None

    def _landing_bucket(self, notices: Sequence[Notice], after: Sequence[str]) -> Bucket:
        quarantines = [
            Expiry(f"quarantine-{slug_of(table)}", f"{self.zone(table).home}{QUARANTINE}", QUARANTINE_DAYS)
            for table in self.config.tables
        ]
        probes = Expiry("probes", f"{self.prefix}{OWN_FOLDER}/", PROBE_DAYS)
        return Bucket(
            "Landing",
            self.bucket,
            self.key,
            policies.private_bucket(self.bucket),
            UPLOAD_DAYS,
            (*quarantines, probes),
            tuple(notices),
            tuple(after),
        )

    def _dead_letters(self, loading: Sequence[str]) -> Iterator[Resource]:
        """The bucket for records that Lambda gave up, and the function that describes, retries, keeps and announces."""
        yield from self.function("", self._dead_letter_worker(loading))
        function = "DeadLettersFunction"
        yield QueueMapping("DeadLettersMapping", function, "DeadLetters", 1)
        # S3's notices are asynchronous calls: what fails is parked, as the queue does it for letters.
        yield Retries(f"{function}Retries", function, 2, 6 * HOUR, arn_of("Parked"))
        yield self.alarm(
            f"{function}Errors",
            "dead-letters-errors",
            "What failed for good, or was given up, could not be seen to; see the function's log",
            ("AWS/Lambda", "Errors", {"FunctionName": f"{self.name}-dead-letters"}),
        )
        source = policies.bucket_arn(self.failed_bucket)
        yield Permission("GivenUpPermission", function, "s3.amazonaws.com", source)
        yield Bucket(
            "GivenUp",
            self.failed_bucket,
            self.key,
            policies.private_bucket(self.failed_bucket),
            UPLOAD_DAYS,
            notices=(Notice(function, "", ""),),
            after=("GivenUpPermission",),
        )

    def _dead_letter_worker(self, loading: Sequence[str]) -> _Worker:
        receiving = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        given_up = (f"{policies.bucket_arn(self.failed_bucket)}/*",)
        zones = [self.zone(table) for table in self.config.tables if self.config.by_lambda(table)]
        landed = policies.landing_by_capture(*zones) if zones else ()
        # Only their failures arrive here: a schedule's next call makes up for the last.
        loads = [arn("lambda", f"function:{name}") for name in loading]
        return _Worker(
            "dead-letters",
            "Describes what failed for good, retries it once, keeps it and tells the topic",
            (
                Statement("Receive", receiving, (arn_of("DeadLetters"),)),
                policies.sending("Park", arn_of("Parked")),
                Statement("Tell", ("sns:Publish",), (arn_of("Alarms"),)),
                *([policies.invoking(*loads)] if loads else []),
                Statement("GivenUp", ("s3:GetObject",), given_up, (policies.SAME_ACCOUNT,)),
                *landed,
                *policies.key_use(self.key, (self.bucket, self.failed_bucket)),
                *policies.topic_key_use(self._created_key),
            ),
            {CONFIG: CONFIG_PATH, TOPIC: arn_of("Alarms"), PARKED: id_of("Parked")},
            timeout=DEAD_LETTER_SECONDS,
            memory=DEAD_LETTER_MEMORY,
        )

    def _schedules(self, functions: Sequence[str]) -> Iterator[Resource]:
        groups = arn("scheduler", f"schedule-group/{self.name}")
        called = tuple(arn_of(identifier) for identifier in dict.fromkeys(functions))
        yield Role(
            "SchedulesRole",
            f"{self.name}-schedules",
            "scheduler.amazonaws.com",
            (("StringEquals", "aws:SourceAccount", ACCOUNT), ("StringEquals", "aws:SourceArn", groups)),
            (policies.invoking(*called), policies.sending("Failed", arn_of("DeadLetters"))),
            of="",
            duty="schedules",
        )

    # ---- parts of which there are many

    def function(self, table: str, work: _Worker) -> Iterator[Resource]:
        """A function with its role and its log group."""
        is_capture = work.duty == "capture"
        slug = slug_of(table) if table else ""
        identifier = id_of_slug(f"{slug}-{work.duty}") if table else f"{id_of_slug(work.duty)}Function"
        name = "-".join(part for part in (self.name, slug, work.duty) if part)
        group = f"/aws/lambda/{name}"
        network = self.network if work.loads else None
        statements = (policies.logs(group), *work.statements)
        if network is not None:
            statements += policies.network(name, network.subnets, network.security_groups)
        yield LogGroup(f"{identifier}Logs", group, self.deploy.log_days, self._created_key)
        yield Role(
            f"{identifier}Role", name, "lambda.amazonaws.com", (), statements, of=table, duty=work.duty
        )  # iam:PassRole works within an account only, so no other account's function can be given this role
        yield Function(
            identifier,
            name,
            work.what[:DESCRIPTION_CHARS],
            "capture" if is_capture else "worker",
            HANDLERS[work.duty],
            f"{identifier}Role",
            f"{identifier}Logs",
            work.memory or self.memory,
            work.timeout,
            work.environment,
            work.reserved if self.deploy.reserve_concurrency else None,
            network,
            work.may_loop,
        )

    def alarm(
        self,
        identifier: str,
        name: str,
        what: str,
        metric: tuple[str, str, dict[str, str]],
        *,
        statistic: str = "Sum",
        threshold: int = 1,
        seconds: int = 300,
        comparison: str = "GreaterThanOrEqualToThreshold",
        missing: str = "notBreaching",
    ) -> Alarm:
        namespace, metric_name, dimensions = metric
        return Alarm(
            identifier,
            f"{self.name}-{name}",
            what,
            namespace,
            metric_name,
            dimensions,
            statistic,
            seconds,
            threshold,
            "Alarms",
            comparison=comparison,
            missing=missing,
        )

    def zone(self, table: str) -> policies.Zone:
        return policies.Zone(self.bucket, self.prefix, table, self.key)

    def target_statements(self, table: str, targets: Sequence[str]) -> Iterator[Statement]:
        """What loading a table needs of these targets."""
        for number, name in enumerate(targets, 1):
            target = self.config.targets[name]
            if isinstance(target, RedshiftConfig):
                yield from policies.redshift(_warehouse(f"Redshift{number}", name, target))
            elif (lake := self.lake(f"Lake{number}", table, name)) is not None:
                yield from policies.lake(lake)

    def lakes(self, table: str) -> Iterator[Statement]:
        """What reading a table needs of its lakes."""
        for number, name in enumerate(self.config.targets_of(table), 1):
            if (lake := self.lake(f"Lake{number}", table, name)) is not None:
                yield from policies.lake(lake, writes=False)

    def lake(self, sid: str, table: str, name: str) -> policies.Lake | None:
        match self.config.targets[name]:
            case ParquetConfig() | DeltaConfig() as target:
                return _folder(sid, target, self.config.name_of(table))
            case IcebergConfig() as target:
                return _namespace(sid, target)
        return None

    def reading(self, table: str) -> tuple[Statement, ...]:
        """Its source in every way: the stream, a base by scan or export, single items for a repair."""
        config = self.config
        by_stream = () if config.by_exports(table) else (*policies.polling(table), *policies.scanning(table))
        enables = config.rule(table, "enable_pitr", False)
        exporting = policies.exporting(self.zone(table), enables=enables)
        return (*by_stream, *exporting, *policies.settling(table), policies.table_key())

    def serving(self, table: str, targets: Sequence[str]) -> tuple[Statement, ...]:
        """What `tailrace run` needs for a table, all its jobs and a repair together, and loads into these targets."""
        return (
            *policies.landing(self.zone(table), deletes=True),
            *self.reading(table),
            *self.target_statements(table, targets),
            *policies.key_use(self.key, (self.bucket,)),
        )


def _folder(sid: str, target: ParquetConfig | DeltaConfig, name: str) -> policies.Lake:
    """The table's own folder, and the one in which the store is tried."""
    scheme, bucket, path = split_url(target.url)
    prefix = f"{path}/" if path else ""
    return policies.Lake(sid, bucket if scheme == "s3" else "", (f"{prefix}{name}/", f"{prefix}{OWN_FOLDER}/"))


def _namespace(sid: str, target: IcebergConfig) -> policies.Lake:
    """The warehouse: a namespace's tables may lie anywhere in it. A REST catalog that is not AWS's gives its own rights."""
    place = target.warehouse or ""
    scheme, bucket, path = split_url(place) if place.startswith("s3://") else ("", "", "")
    return policies.Lake(
        sid,
        bucket if scheme == "s3" else "",
        (f"{path}/" if path else "",),
        target.namespace if target.catalog == "glue" or target.signing == "glue" else None,
        target.signing == "glue",
        place if target.signing == "s3tables" else None,
    )


def _warehouse(sid: str, name: str, target: RedshiftConfig) -> policies.Warehouse:
    _, bucket, prefix = split_url(target.staging)
    resource = parameter(_workgroup_parameter(name)) if target.workgroup else None
    held = target.ssm_parameter
    return policies.Warehouse(
        sid=sid,
        by_data_api=target.driver == "data-api",
        resource=arn("redshift", f"cluster:{target.cluster}") if target.cluster else resource,
        cluster=target.cluster,
        database=target.database,
        db_user=target.db_user,
        secret=target.secret_arn,
        parameter=held if held is None or held.startswith("arn:") else arn("ssm", f"parameter/{held.lstrip('/')}"),
        bucket=bucket,
        prefix=f"{prefix}/" if prefix else "",
    )


def _stream_parameter(table: str) -> str:
    return f"{id_of_slug(slug_of(table))}Stream"


def _workgroup_parameter(target: str) -> str:
    return f"{id_of_slug(slug_of(target))}Workgroup"


class _Table:
    """What one table has."""

    def __init__(self, planner: _Planner, table: str) -> None:
        self.planner = planner
        self.config = planner.config
        self.table = table
        self.slug = slug_of(table)
        self.id = id_of_slug(self.slug)
        self.zone = planner.zone(table)
        self.rule = planner.config.load_rule_of(table)
        self.loaded = _loaded_targets(self.config, table)

    def resources(self) -> Iterator[Resource]:
        if self.config.by_lambda(self.table):
            yield from self._capture()
            if self.rule in ("continuous", "on_file"):
                yield from self._load()
        yield from self._tick()
        if self.config.base_of(self.table) == "scan" and self.config.deploy.backfill != "schedule":
            yield from self._backfill()

    # ---- the stream

    def _capture(self) -> Iterator[Resource]:
        planner = self.planner
        statements = (
            *policies.landing_by_capture(self.zone),
            *policies.stream_mapping(self.table, planner.failed_bucket),
            policies.table_key(),
            *policies.key_use(planner.key, (planner.bucket, planner.failed_bucket)),
        )
        what = f"Lands what is new in the stream of {self.table}"
        environment = {LANDING: self.config.landing.url}
        yield from planner.function(
            self.table,
            _Worker("capture", what, statements, environment, timeout=CAPTURE_SECONDS, memory=CAPTURE_MEMORY),
        )
        function, mapping = f"{self.id}Capture", f"{self.id}CaptureMapping"
        yield StreamMapping(
            mapping,
            function,
            parameter(_stream_parameter(self.table)),
            BATCH_RECORDS,
            self._window(),
            ATTEMPTS,
            AGE_SECONDS,
            arn_of("GivenUp"),
            after=("Landing",) if self.config.deploy.bucket == "create" else (),
            start=self.config.rule(self.table, "start", "TRIM_HORIZON"),
        )
        name = f"{planner.name}-{self.slug}-capture"
        for hours, share in AGE_ALARMS:
            yield planner.alarm(
                f"{function}Age{hours}h",
                f"{self.slug}-capture-age-{hours}h",
                f"Changes of {self.table} have waited {hours} h, {share} of what its stream keeps",
                ("AWS/Lambda", "IteratorAge", {"FunctionName": name}),
                statistic="Maximum",
                threshold=hours * HOUR * 1000,
            )
        yield self._errors(function, "capture", f"Capture of {self.table} fails; it is repeated for 20 hours")
        yield planner.alarm(
            f"{function}Throttles",
            f"{self.slug}-capture-throttles",
            f"Lambda refuses to run the capture of {self.table}: raise the account's concurrency",
            ("AWS/Lambda", "Throttles", {"FunctionName": name}),
        )
        yield planner.alarm(
            f"{function}GivenUp",
            f"{self.slug}-capture-given-up",
            f"Lambda gave up changes of {self.table}; they are landed from the bucket {planner.failed_bucket}",
            ("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", {"EventSourceMappingUUID": id_of(mapping)}),
        )
        yield planner.alarm(
            f"{function}Headroom",
            f"{self.slug}-headroom",
            f"What is not proven to have landed of {self.table} will be forgotten by its stream in {HEADROOM_HOURS} hours",
            ("Tailrace", "HeadroomSeconds", {"Table": self.table}),
            statistic="Minimum",
            threshold=HEADROOM_HOURS * HOUR,
            comparison="LessThanThreshold",
        )

    def _window(self) -> int:
        """Seconds that Lambda gathers records: as `flush_seconds` says, which is the same for a poller."""
        seconds: float = self.config.rule(self.table, "flush_seconds", float(WINDOW_SECONDS))
        return min(WINDOW_MAX, math.ceil(seconds))

    # ---- loads

    def _load(self) -> Iterator[Resource]:
        planner = self.planner
        what = f"Publishes and loads what lands of {self.table}, file by file"
        statements = (
            *policies.landing(self.zone, deletes=False),
            *policies.publishing(self.table),
            *planner.target_statements(self.table, self.loaded),
            *policies.key_use(planner.key, (planner.bucket,)),
            policies.sending("Failed", arn_of("DeadLetters")),
        )
        yield from planner.function(self.table, self._worker("load", what, statements))
        function = f"{self.id}Load"
        yield Permission(f"{function}Permission", function, "s3.amazonaws.com", policies.bucket_arn(planner.bucket))
        yield Retries(f"{function}Retries", function, 2, 6 * HOUR, arn_of("DeadLetters"))
        yield self._errors(function, "load", f"Loads of {self.table} fail; see the function's log")

    def _tick(self) -> Iterator[Resource]:
        planner = self.planner
        what = f"Publishes, compacts and loads what is due of {self.table}"
        yield from planner.function(self.table, self._worker("tick", what, planner.serving(self.table, self.loaded)))
        function = f"{self.id}Tick"
        name = f"{planner.name}-{self.slug}-tick"
        yield Retries(f"{function}Retries", function, 0, 300, None)  # a sweep later there is another
        yield self._schedule("Sweep", "sweep", f"Looks after {self.table}, whatever triggers were lost", SWEEP)
        if not isinstance(self.rule, str) and (cron := _cron(self.rule.seconds, self.rule.offset)) is not None:
            yield self._schedule("Due", "due", f"Loads {self.table} when it is time", cron)
        yield self._errors(function, "tick", f"The schedule of {self.table} fails; see the function's log")
        yield planner.alarm(
            f"{function}Silent",
            f"{self.slug}-tick-silent",
            f"Nobody has looked after {self.table} for {SILENT_SECONDS // 60} minutes",
            ("AWS/Lambda", "Invocations", {"FunctionName": name}),
            comparison="LessThanThreshold",
            missing="breaching",
            seconds=SILENT_SECONDS,
        )
        if self.config.by_exports(self.table):
            yield self._behind()
        yield planner.alarm(
            f"{self.id}Quarantine",
            f"{self.slug}-quarantine",
            f"Records of {self.table} were set aside: see `tailrace quarantine list`",
            ("Tailrace", "Quarantined", {"Table": self.table}),
        )

    def _behind(self) -> Alarm:
        """Exports that fail are tried again and raise nothing: only the lag shows it. Before the first one there is none."""
        return self.planner.alarm(
            f"{self.id}Behind",
            f"{self.slug}-behind",
            f"No export of {self.table} is there in time: see `tailrace status`",
            ("Tailrace", "LagSeconds", {"Table": self.table}),
            statistic="Minimum",
            threshold=2 * self.config.windows_of(self.table).width + BEHIND_SECONDS,
            seconds=SILENT_SECONDS,
            missing="breaching",
        )

    def _worker(self, duty: Duty, what: str, statements: tuple[Statement, ...]) -> _Worker:
        environment = {CONFIG: CONFIG_PATH}
        if parameter_name := _password_parameter(self.config, [self.table]):
            environment[PGPASS] = parameter_name
            statements = (*statements, *policies.password(parameter_name))
        return _Worker(duty, what, statements, environment, reserved=1, loads=self.rule != "by_hand")

    def _schedule(self, suffix: str, name: str, what: str, expression: str) -> Schedule:
        return Schedule(
            f"{self.id}{suffix}",
            f"{self.planner.name}-{self.slug}-{name}",
            what,
            "ScheduleGroup",
            expression,
            f"{self.id}Tick",
            {"tables": self.table},
            "SchedulesRole",
            arn_of("DeadLetters"),
            2,
            300,  # the next sweep comes then
        )

    # ---- the base

    def _backfill(self) -> Iterator[Resource]:
        planner = self.planner
        by_table = self.config.deploy.backfill == "chain_table"
        chain = f"{planner.name}-{self.slug}-backfill"
        statements = (
            *policies.landing(self.zone, deletes=False),
            *planner.reading(self.table),
            *policies.key_use(planner.key, (planner.bucket,)),
        )
        environment = {CONFIG: CONFIG_PATH, TABLE: self.table}
        if by_table:
            stream = policies.table_arn(chain, "/stream/*")
            reading = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
            statements += (
                Statement("ChainStream", (*reading, "dynamodb:ListStreams"), (stream,)),
                Statement("ChainNext", ("dynamodb:PutItem",), (policies.table_arn(chain),)),
                policies.sending("Failed", arn_of("DeadLetters")),
            )
            environment[CHAIN] = chain
        what = f"Reads what {self.table} held before, for 14 minutes at a time"
        yield from planner.function(
            self.table, _Worker("backfill", what, statements, environment, reserved=1, may_loop=by_table)
        )
        function = f"{self.id}Backfill"
        yield self._errors(function, "backfill", f"The backfill of {self.table} fails; see the function's log")
        if by_table:
            yield ChainTable(f"{function}Chain", chain, "table", self.table)
            yield StreamMapping(
                f"{function}Mapping",
                function,
                stream_of(f"{function}Chain"),
                1,
                0,
                5,
                HOUR,
                arn_of("DeadLetters"),
                events=("INSERT", "MODIFY"),
            )
            return
        yield self._chain_role(function)
        machine = f"{planner.name}-{self.slug}-backfill"
        yield StateMachine(f"{function}Machine", machine, f"{function}MachineRole", _chain(arn_of(function)))
        yield planner.alarm(
            f"{function}MachineFailed",
            f"{self.slug}-backfill-chain",
            f"The backfill of {self.table} has ended before it was done: start it again, it goes on where it was",
            ("AWS/States", "ExecutionsFailed", {"StateMachineArn": arn_of(f"{function}Machine")}),
        )

    def _chain_role(self, function: str) -> Role:
        machine = f"{self.planner.name}-{self.slug}-backfill"
        source = arn("states", f"stateMachine:{machine}")
        return Role(
            f"{function}MachineRole",
            f"{machine}-chain",
            "states.amazonaws.com",
            (("StringEquals", "aws:SourceAccount", ACCOUNT), ("ArnEquals", "aws:SourceArn", source)),
            (policies.invoking(arn_of(function)),),
            of=self.table,
            duty="chain",
        )

    # ---- alarms

    def _errors(self, function: str, duty: str, what: str) -> Alarm:
        name = f"{self.planner.name}-{self.slug}-{duty}"
        metric = ("AWS/Lambda", "Errors", {"FunctionName": name})
        return self.planner.alarm(f"{function}Errors", f"{self.slug}-{duty}-errors", what, metric)


def _cron(every: int, offset: int) -> str | None:
    """EventBridge's expression for the multiples of `every` seconds in UTC, and `offset` seconds later; None without one."""
    minute, second = divmod(offset, 60)
    if second or every % 60:
        return None
    if every < HOUR and HOUR % every == 0:
        return f"cron({minute}/{every // 60} * * * ? *)"
    hours = every // HOUR
    if every % HOUR or 24 % hours:
        return None
    hour, minute = divmod(minute, 60)
    return f"cron({minute} {'*' if hours == 1 else hour if hours == 24 else f'{hour}/{hours}'} * * ? *)"


def _chain(function: str) -> dict[str, Any]:
    """A state machine that calls the function with what it answered last, until it says that it is done."""
    passing = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"]
    return {
        "Comment": "A backfill in links of 14 minutes",
        "StartAt": "Link",
        "States": {
            "Link": {
                "Type": "Task",
                "Resource": f"arn:{PARTITION}:states:::lambda:invoke",
                "Parameters": {"FunctionName": function, "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "TimeoutSeconds": WORKER_SECONDS + 60,
                "Retry": [
                    {
                        "ErrorEquals": [*passing, "Lambda.TooManyRequestsException"],
                        "IntervalSeconds": 5,
                        "MaxAttempts": 20,
                        "BackoffRate": 2,
                        "MaxDelaySeconds": 300,
                        "JitterStrategy": "FULL",
                    },
                    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "MaxAttempts": 5, "BackoffRate": 2},
                ],
                "Next": "Is it done?",
            },
            "Is it done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Done"}],
                "Default": "Wait",
            },
            "Wait": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Link"},
            "Done": {"Type": "Succeed"},
        },
    }
