"""`dlq` at the embedded AWS: see what failed for good, send it again, take it away; nothing leaves by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_site import AwsSite, enter, table_for
from click.testing import CliRunner
from functions import Lambda, until
from stream_reader import Account

from tailrace.cli import main
from tailrace.landing import Landing, LocalStore
from tailrace.local.client import LocalAws
from tailrace.runtimes.aws_lambda import dead_letters
from tailrace.runtimes.aws_lambda.failures import RETRIED

pytestmark = pytest.mark.embedded
EVENT = {"tables": "orders"}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def functions(aws: LocalAws) -> Lambda:
    return Lambda(Account(aws))


@pytest.fixture(scope="module")
def function(functions: Lambda) -> str:
    return functions.function()


class Site(AwsSite):
    """A project whose `dlq` looks at a queue of its own."""

    def __init__(self, folder: Path, aws: LocalAws, table: str, functions: Lambda) -> None:
        super().__init__(folder, aws, table)
        self.functions = functions
        self.url, _ = functions.queue()

    def keep(self, letter: object) -> str:
        """Its id."""
        body = letter if isinstance(letter, str) else json.dumps(letter)
        return str(self.functions.sqs.send_message(QueueUrl=self.url, MessageBody=body)["MessageId"])

    def list(self) -> list[dict[str, Any]]:
        result = CliRunner().invoke(main, ["dlq", "list", "--json"])
        found: list[dict[str, Any]] = json.loads(result.stdout)
        assert result.exit_code == (3 if found else 0), result.output
        return found


@pytest.fixture
def site(
    aws: LocalAws, functions: Lambda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Site]:
    site = Site(tmp_path, aws, table_for(request), functions)
    enter(aws, tmp_path, monkeypatch, TAILRACE_PARKED_QUEUE=site.url)
    monkeypatch.setattr("tailrace.aws.ATTEMPTS", 0)  # a planned fault is not repeated away
    monkeypatch.setattr("tailrace.runtimes.aws_lambda.parked.WAIT_SECONDS", 0)  # here is one server, which knows all
    ours = logging.getLogger("tailrace")
    before = ours.handlers[:], ours.propagate, ours.level
    yield site
    ours.handlers[:], ours.propagate, ours.level = before  # a handler that is called here sets up logging for Lambda
    aws.clear_faults()


def failed(function: str, event: object = EVENT, error: str = "No configured table matches") -> dict[str, Any]:
    """As Lambda tells of a call that it gave up."""
    return {
        "requestContext": {
            "functionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
        "responsePayload": {"errorType": "ConfigInvalid", "errorMessage": error},
    }


POSITIONS = {**failed("capture"), "DDBStreamBatchInfo": {"streamArn": "arn:aws:dynamodb:x"}, "requestPayload": None}


def given_up(site: Site, key: str = "a", body: str | None = None) -> str:
    """An object with three records that a mapping gave up; its place."""
    stream = f"arn:aws:dynamodb:us-east-1:000000000000:table/{site.table}/stream/2026-11-22T05:00:00.000"
    records = [
        {
            "eventName": "INSERT",
            "eventSourceARN": stream,
            "dynamodb": {
                "ApproximateCreationDateTime": 1_790_000_000,
                "SequenceNumber": f"{10**20 + number}",
                "Keys": {"pk": {"S": f"k{number}"}},
                "NewImage": {"pk": {"S": f"k{number}"}},
            },
        }
        for number in range(3)
    ]
    s3, bucket = site.functions.account.s3, f"{site.table}-given-up"
    s3.create_bucket(Bucket=bucket)
    payload = json.dumps({"payload": json.dumps({"Records": records})})
    s3.put_object(Bucket=bucket, Key=key, Body=payload if body is None else body)
    return f"s3://{bucket}/{key}"


def landed(site: Site) -> list[str]:
    landing = Landing(LocalStore(site.folder / "landing"), site.table)
    return list(landing.changes_between(1_789_990_000_000, 1_790_010_000_000))


# ---- list and show


def test_an_empty_queue_is_exit_0_and_an_empty_list(site: Site) -> None:
    assert site.list() == []
    assert site.run("dlq", "list").stdout == ""


def test_a_queue_that_is_not_there_is_told_with_what_to_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILRACE_PARKED_QUEUE")
    error = site.json("dlq", "list", code=2)["error"]
    assert error["message"] == "There is no queue tailrace-parked", "the one that `deploy` makes"
    assert "--queue" in error["hint"]


def test_the_queue_of_the_deployment_is_found_by_its_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILRACE_PARKED_QUEUE")
    name = site.url.rpartition("/")[2]
    site.file.write_text(site.file.read_text() + f'\n[deploy]\nname = "{name}"\n')
    site.functions.sqs.create_queue(QueueName=f"{name}-parked")
    assert site.list() == []
    assert site.run("dlq", "list", "--queue", name).stdout == ""


def test_the_list_tells_why_and_looking_takes_nothing_away(site: Site) -> None:
    ids = [site.keep(failed("orders-load")), site.keep({"object": "s3://b/k", "errorMessage": "no payload"})]
    for _ in range(2):
        first, second = site.list()
        assert [first["id"], second["id"]] == ids
        assert (first["function"].rpartition(":")[2], first["attempts"], first["replayable"]) == (
            "orders-load",
            3,
            True,
        )
        assert (first["error_type"], first["error"]) == ("ConfigInvalid", "No configured table matches")
        assert (second["object"], second["error"], second["replayable"]) == ("s3://b/k", "no payload", True)
    lines = site.run("dlq", "list", code=3).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids
    assert "orders-load gave up an event after 3 attempts (RetriesExhausted)" in lines[0]
    assert "s3://b/k" in lines[1]


def test_many_letters_are_listed_once_each(site: Site) -> None:
    ids = [site.keep(failed("f", {"n": number})) for number in range(25)]
    assert sorted(entry["id"] for entry in site.list()) == sorted(ids)


def test_show_gives_the_reason_and_the_event_and_obeys_no_control_characters(site: Site) -> None:
    name = site.keep(failed("orders-load", {"tables": "x" * 5000}, error="bad\n\x1b[2J"))
    text = site.run("dlq", "show", name[:12]).stdout
    assert r"ConfigInvalid: bad\n\x1b[2J" in text
    assert "\x1b" not in text
    assert text.endswith("x…\n")
    assert site.json("dlq", "show", name)["event"] == {"tables": "x" * 5000}


def test_what_is_no_letter_of_lambda_is_shown_as_it_came(site: Site) -> None:
    name = site.keep("no json \u202e")
    assert r"no json \u202e" in site.run("dlq", "show", name).stdout
    assert site.json("dlq", "show", name)["letter"] == "no json \u202e"


def test_an_id_that_is_not_there_or_not_one_is_refused(site: Site) -> None:
    for number in range(2):
        site.keep(failed("f", {"n": number}))
    assert "somebody else" in site.json("dlq", "show", "nothing", code=2)["error"]["hint"]
    assert site.json("dlq", "show", "-", code=2)["error"]["message"] == "2 calls match '-'"
    assert len(site.list()) == 2


# ---- replay


def test_replay_sends_the_event_as_it_was_at_first_and_takes_the_letter_away(site: Site, function: str) -> None:
    event = {"tables": "orders", "of": site.table}
    name = site.keep(failed(function, {**event, RETRIED: True}))
    other = site.keep(failed(function, {"of": "another"}))
    answer = site.json("dlq", "replay", name[:13])
    assert [done["id"] for done in answer["replayed"]] == [name]
    until(lambda: event in site.functions.seen(function))
    assert [entry["id"] for entry in site.list()] == [other]


def test_replay_of_all_keeps_what_cannot_be_sent_with_the_reason(site: Site, function: str) -> None:
    event = {"of": site.table}
    site.keep(failed(function, event))
    kept = {
        site.keep(failed("gone")): "There is no function",
        site.keep(POSITIONS): "the publisher reads those from the stream",
        site.keep("odd"): "does not say which function",
        site.keep({"object": "s3://nowhere/a"}): "s3://nowhere/a cannot land",
        site.keep({"object": given_up(site, body="{}")}): "no payload of a stream",
    }
    result = site.run("dlq", "replay", "--all", code=3)
    assert result.stdout == "1 replayed, 5 kept\n"
    answer = site.json("dlq", "replay", "--all", code=3)
    assert answer["replayed"] == []
    assert {entry["id"]: kept[entry["id"]] in entry["told"] for entry in answer["kept"]} == dict.fromkeys(kept, True)
    until(lambda: event in site.functions.seen(function))
    assert {entry["id"] for entry in site.list()} == set(kept)


def test_replay_says_which_or_all(site: Site) -> None:
    assert "Say which" in site.json("dlq", "replay", code=2)["error"]["message"]
    assert "Say which" in site.json("dlq", "replay", "--all", "x", code=2)["error"]["message"]


@pytest.mark.parametrize(
    ("operation", "kind", "sent"),
    [
        ("Invoke", "error", 1),
        ("Invoke", "lost_answer", 2),
        ("DeleteMessage", "error", 2),
        ("DeleteMessage", "lost_answer", 1),
        ("ReceiveMessage", "error", 1),
        ("ChangeMessageVisibilityBatch", "error", 1),
    ],
)
def test_a_replay_that_fails_anywhere_is_repeated_until_the_letter_is_gone(
    site: Site, functions: Lambda, operation: str, kind: str, sent: int
) -> None:
    """`sent`: how often the function is called at least and at most: its answer may be lost, its letter never."""
    function = functions.function()
    name = site.keep(failed(function))
    site.aws.fault(kind, operation=operation, count=1)
    result = CliRunner().invoke(main, ["dlq", "replay", name])
    if operation != "ChangeMessageVisibilityBatch":
        assert result.exit_code == 1, result.output
        if (operation, kind) != ("DeleteMessage", "lost_answer"):
            assert [entry["id"] for entry in site.list()] == [name]
            site.run("dlq", "replay", name)
    until(lambda: len(functions.seen(function)) == sent)
    assert site.list() == []


def test_a_deletion_whose_answer_is_lost_is_repeated_and_is_no_failure(
    site: Site, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailrace.aws.ATTEMPTS", 2)
    name = site.keep(failed(function))
    site.aws.fault("lost_answer", operation="DeleteMessage", count=1)
    assert site.run("dlq", "replay", name).stdout == "1 replayed, 0 kept\n"
    assert site.list() == []


def test_records_that_could_not_land_are_kept_with_the_reason_and_land_once_the_object_is_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = given_up(site, body="{}")
    bucket, _, key = place.removeprefix("s3://").partition("/")
    topic = site.functions.account.client("sns").create_topic(Name=site.table)["TopicArn"]
    monkeypatch.setenv("TAILRACE_TOPIC", topic)
    monkeypatch.setenv("TAILRACE_CONFIG", str(site.file))
    created = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
    assert dead_letters({"Records": [created]}, None) == {"retried": 0, "kept": 1, "landed": 0}
    (entry,) = site.list()
    assert (entry["object"], entry["error"]) == (place, "it holds no payload of a stream")
    given_up(site)
    site.aws.fault("error", operation="DeleteMessage", count=1)
    site.run("dlq", "replay", entry["id"], code=1)
    (once,) = landed(site)
    answer = site.json("dlq", "replay", entry["id"])
    assert answer["replayed"][0]["told"] == f"landed 3 records of {site.table}"
    assert landed(site) == [once], "landed again under the same name"
    assert site.list() == []


# ---- drop


def test_drop_asks_and_takes_one_letter_away(site: Site) -> None:
    name, other = site.keep(failed("f")), site.keep("odd")
    assert "Say --yes" in site.json("dlq", "drop", name, code=2)["error"]["hint"], "nobody is there to ask"
    said = CliRunner().invoke(main, ["dlq", "drop", name], input="n\n")
    assert (said.exit_code, "nothing was dropped" in said.stderr) == (1, True)
    assert len(site.list()) == 2
    assert site.json("dlq", "drop", name, "--yes") == {"id": name, "dropped": 1}
    assert [entry["id"] for entry in site.list()] == [other]
