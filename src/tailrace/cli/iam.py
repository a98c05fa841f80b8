"""``tailrace iam``"""

from __future__ import annotations

import re
from typing import get_args

import click

from tailrace.cli.output import Context, print_json
from tailrace.deploy.entry import Duty
from tailrace.errors import UsageInvalid


@click.command(epilog="Example: tailrace iam --account 111122223333 --table orders --role capture > policy.json")
@click.option("--account", metavar="ID", required=True, help="The account's number, which stands in every ARN.")
@click.option("--table", help="Only roles of this table.")
@click.option(
    "--role",
    type=click.Choice(get_args(Duty)),
    help="Only this role: then the policy alone. `run`: of `tailrace run`. `read`: of who queries lakes.",
)
@click.option("--set", "values", metavar="NAME=VALUE", multiple=True, help="What only AWS knows; an error names it.")
@click.pass_obj
def command(context: Context, account: str, table: str | None, role: str | None, values: tuple[str, ...]) -> None:
    """Print what each role of a deployment may do, as JSON that IAM takes. Calls nothing.

    Roles are those that `tailrace deploy render` writes; `--role run` is the one of a server on which `tailrace run` works,
    `--role read` that of whoever queries a lake.
    """
    from tailrace.config import find_config, load_config
    from tailrace.deploy.iam import documents
    from tailrace.deploy.plan import plan, plan_for_readers, plan_for_server

    if not re.fullmatch(r"[0-9]{12}", account):
        raise UsageInvalid(
            f"{account!r:.40} is no account", hint="Twelve digits, as `aws sts get-caller-identity` says."
        )
    config = load_config(find_config(context.config))
    made = {"run": plan_for_server, "read": plan_for_readers}.get(role or "", plan)
    deployment = made(config, "")
    if table is not None and table not in config.tables:
        raise UsageInvalid(
            f"There is no table {table!r:.80} in the configuration", hint=f"Configured are: {', '.join(config.tables)}."
        )
    found = tuple(r for r in deployment.roles if role in (None, r.duty) and (table is None or r.of == table))
    if not found:
        raise UsageInvalid(
            f"This deployment has no role {role}" + (f" for {table}" if table else ""),
            hint="See `tailrace iam` without --role and --table.",
        )
    given = dict(_named(value) for value in values)
    result = documents(deployment, found, account, given)
    if role is not None and len(found) == 1:
        result = next(iter(result.values()))["policy"]
    print_json(result)


def _named(value: str) -> tuple[str, str]:
    name, equals, rest = value.partition("=")
    if not equals or not rest:
        raise UsageInvalid(f"--set {value!r:.80} is not NAME=VALUE", hint='For example --set Key="arn:aws:kms:…".')
    return name, rest
