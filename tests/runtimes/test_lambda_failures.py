"""What Lambda gave up: told in a sentence, sent once more only where it may pass, and never an error of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailrace.runtimes.aws_lambda.failures import RETRIED, failure_of, given_up_records, unlanded

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:orders-load"


def letter(error_type: str = "ServiceUnavailable", **more: Any) -> str:
    document = {
        "version": "1.0",
        "requestContext": {
            "functionArn": f"{FUNCTION}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"Records": []},
        "responsePayload": {"errorType": error_type, "errorMessage": "TAILRACE-204 orders: No answer"},
        **more,
    }
    return json.dumps(document)


@pytest.mark.parametrize(
    ("error_type", "remedy"),
    [
        ("ServiceUnavailable", "retry"),
        ("StateContended", "retry"),
        ("Throttled", "retry"),
        ("TargetBusy", "retry"),
        ("Sandbox.Timedout", "retry"),
        ("ConfigInvalid", "keep"),
        ("SegmentCorrupt", "keep"),
        ("KeyError", "keep"),
        ("", "keep"),
    ],
)
def test_only_what_may_pass_is_sent_again(error_type: str, remedy: str) -> None:
    assert failure_of(letter(error_type)).remedy == remedy


def test_it_is_sent_again_once() -> None:
    failure = failure_of(letter())
    assert failure.function == FUNCTION, "without its version, which a role may not call"
    again = failure.again()
    assert again == {"Records": [], RETRIED: True}
    assert failure_of(letter(requestPayload=again)).remedy == "keep"


def test_it_is_told_in_one_sentence_with_the_next_step() -> None:
    told = failure_of(letter("ConfigInvalid")).told()
    assert "orders-load gave up an event after 3 attempts (RetriesExhausted): ConfigInvalid: TAILRACE-204" in told
    assert "see the function's log" in told


def test_a_batch_of_a_stream_is_named_and_kept() -> None:
    document = json.loads(letter(DDBStreamBatchInfo={"streamArn": "arn:aws:dynamodb:x"}))
    del document["requestPayload"]
    failure = failure_of(json.dumps(document))
    assert (failure.remedy, failure.stream) == ("keep", "arn:aws:dynamodb:x")
    assert "records of arn:aws:dynamodb:x" in failure.told()


@pytest.mark.parametrize("text", ["", "no json", "[]", "null", '{"tables": "orders"}', '{"requestContext": 7}'])
def test_whatever_else_it_is_it_is_kept_as_it_came(text: str) -> None:
    failure = failure_of(text)
    assert failure.remedy == "keep"
    assert text in failure.told()


def test_given_up_records_are_an_event() -> None:
    event = {"Records": [{"eventName": "INSERT"}]}
    assert given_up_records(json.dumps({"payload": json.dumps(event)}).encode()) == event
    for odd in (b"{}", b"[]", b"x", b'{"payload": 1}'):
        with pytest.raises(ValueError):  # noqa: PT011  (json's own, too)
            given_up_records(odd)


def test_records_that_cannot_land_are_a_letter_of_their_own() -> None:
    failure = failure_of(unlanded("s3://b/k", ValueError("it holds nothing")))
    assert (failure.object, failure.error_type, failure.error) == ("s3://b/k", "ValueError", "it holds nothing")
    assert failure.remedy == "keep"
    assert failure.why_not_replayed is None
    assert (
        failure.told()
        == "Records that a function gave up lie in s3://b/k and cannot land: ValueError: it holds nothing"
    )


def test_by_hand_it_is_sent_as_it_was_at_first() -> None:
    failure = failure_of(letter(requestPayload={"tables": "orders", RETRIED: True}))
    assert failure.why_not_replayed is None
    assert failure.anew() == {"tables": "orders"}
