"""What a deployment and the handlers agree on: entry points, and variables of the environment."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Duty: TypeAlias = Literal["capture", "load", "tick", "backfill", "dead-letters", "schedules", "chain", "run", "read"]
"""What a role is for: a function, EventBridge Scheduler, Step Functions, `tailrace run` on a server, or who queries lakes."""

HANDLERS: Final = {
    "capture": "tailrace.runtimes.aws_lambda.capture",  # a batch of a DynamoDB stream
    "load": "tailrace.runtimes.aws_lambda.on_object",  # an S3 event: publish, load
    "tick": "tailrace.runtimes.aws_lambda.on_schedule",  # a schedule: everything that is due of a table
    "backfill": "tailrace.runtimes.aws_lambda.backfill",  # one link of a chain
    "dead-letters": "tailrace.runtimes.aws_lambda.dead_letters",  # what failed for good
}

LANDING: Final = "TAILRACE_LANDING"  # the landing url; all that the slim capture function knows
CONFIG: Final = "TAILRACE_CONFIG"  # the configuration file inside the image
TABLE: Final = "TAILRACE_TABLE"  # whose backfill a link goes on with
CHAIN: Final = "TAILRACE_CHAIN_TABLE"  # where a link of a backfill leaves its position for the next one
PGPASS: Final = "TAILRACE_PGPASS_PARAMETER"  # an SSM SecureString that holds lines of a .pgpass file
TOPIC: Final = "TAILRACE_TOPIC"  # whom the dead-letter function tells
PARKED: Final = "TAILRACE_PARKED_QUEUE"  # where it keeps what cannot be retried
CONFIG_PATH: Final = "tailrace.toml"  # in the folder of the function's code
