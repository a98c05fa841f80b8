"""botocore's errors in our words: the branch is the instruction, the facts say which call on what, the hint what to do."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("botocore")

import botocore.exceptions
import urllib3.exceptions
from botocore.exceptions import ClientError

from tailrace import errors
from tailrace.aws import Aws, AwsSettings, translate
from tailrace.errors import (
    ConfigInvalid,
    IteratorExpired,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StreamTrimmed,
    TailraceError,
    Throttled,
    Transient,
    UserFault,
)


def answer(code: str, status: int = 400, message: str = "a message of AWS") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
    }
    return ClientError(response, "GetRecords")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ProvisionedThroughputExceededException", 400, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("LimitExceededException", 400, Throttled),
        ("RequestLimitExceeded", 400, Throttled),
        ("SlowDown", 503, Throttled),
        ("SomethingNew", 429, Throttled),
        ("AccessDeniedException", 400, PermissionMissing),
        ("AccessDenied", 403, PermissionMissing),
        ("SomethingNew", 403, PermissionMissing),
        ("KMSDisabledException", 400, PermissionMissing),
        ("ExpiredTokenException", 400, PermissionMissing),
        ("UnrecognizedClientException", 400, PermissionMissing),
        ("SignatureDoesNotMatch", 403, PermissionMissing),
        ("RequestTimeTooSkewed", 403, UserFault),
        ("ResourceNotFoundException", 400, NotFound),
        ("NoSuchBucket", 404, NotFound),
        ("NoSuchKey", 404, NotFound),
        ("404", 404, NotFound),
        ("ExpiredIteratorException", 400, IteratorExpired),
        ("TrimmedDataAccessException", 400, StreamTrimmed),
        ("PermanentRedirect", 301, ConfigInvalid),
        ("AuthorizationHeaderMalformed", 400, ConfigInvalid),
        ("InvalidObjectState", 403, UserFault),
        ("InternalServerError", 500, ServiceUnavailable),
        ("InternalError", 500, ServiceUnavailable),
        ("RequestTimeout", 400, ServiceUnavailable),
        ("ConditionalRequestConflict", 409, ServiceUnavailable),
        ("BadDigest", 400, ServiceUnavailable),
        ("SomethingNew", 503, ServiceUnavailable),
        ("ValidationException", 400, UserFault),
        ("SomethingNew", 400, UserFault),
    ],
)
def test_every_answer_has_its_branch_its_place_and_a_next_step(
    code: str, status: int, kind: type[TailraceError]
) -> None:
    error = translate(answer(code, status), operation="GetRecords", table="orders", shard="s-1")
    assert type(error) is kind
    assert error.message == "a message of AWS"
    assert error.facts == {"operation": "GetRecords", "table": "orders", "shard": "s-1", "aws_code": code}
    assert error.hint.endswith((".", ")."))


@pytest.mark.parametrize(
    ("operation", "action"),
    [("GetRecords", "dynamodb:GetRecords"), ("PutObject", "s3:PutObject"), ("ListObjectsV2", "s3:ListBucket")],
)
def test_a_refusal_names_the_action_to_allow(operation: str, action: str) -> None:
    assert f"Allow {action} " in translate(answer("AccessDenied", 403), operation=operation).hint


def test_an_answer_without_a_message_is_shown_by_its_code() -> None:
    assert translate(answer("Odd", message=""), operation="Scan").message == "Odd"


def test_our_own_errors_pass_unchanged() -> None:
    ours = Throttled("slowly")
    assert translate(ours, operation="Scan") is ours


def botocore_errors() -> Iterator[type[Exception]]:
    """Every error that botocore can raise before, or instead of, an answer."""
    for _, kind in inspect.getmembers(botocore.exceptions, inspect.isclass):
        if issubclass(kind, Exception) and not issubclass(kind, Warning | ClientError):
            yield kind


def made(kind: type[Exception]) -> Exception:
    """An instance, whatever its message wants to be told."""

    class Anything(dict[str, Any]):
        def __missing__(self, name: str) -> str:
            return f"<{name}>"

    error = kind.__new__(kind)
    Exception.__init__(error, str(getattr(kind, "fmt", kind.__name__)).format_map(Anything()))
    return error


TRANSIENT = [
    "ConnectionError",
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "HTTPClientError",
    "ProxyConnectionError",
    "ResponseStreamingError",
    "IncompleteReadError",
    "ChecksumError",
    "FlexibleChecksumError",
]
CREDENTIALS = [
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "UnknownCredentialError",
    "SSOError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "TokenRetrievalError",
    "NoAuthTokenError",
    "RefreshWithMFAUnsupportedError",
    "MetadataRetrievalError",
]


@pytest.mark.parametrize("kind", list(botocore_errors()), ids=lambda kind: kind.__name__)
def test_every_error_of_botocore_is_one_of_ours(kind: type[Exception]) -> None:
    error = translate(made(kind), operation="Scan", table="orders")
    assert error.facts["table"] == "orders"
    assert error.hint
    assert isinstance(error, Transient) == (kind.__name__ in TRANSIENT), "only what may pass by itself is repeated"
    if kind.__name__ in CREDENTIALS:
        assert isinstance(error, PermissionMissing)
    if not issubclass(kind, botocore.exceptions.BotoCoreError):
        return
    assert type(error) is not TailraceError, "no error of botocore is a defect of ours"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        TimeoutError("slow"),
        urllib3.exceptions.ProtocolError("broken"),
        urllib3.exceptions.DecodeError("zipped badly"),
        socket.gaierror("no such host"),
    ],
)
def test_a_broken_connection_below_botocore_may_pass_by_itself(error: Exception) -> None:
    assert type(translate(error, operation="GetObject")) is ServiceUnavailable


def test_a_defect_of_ours_is_not_taken_for_the_network() -> None:
    error = translate(KeyError("Records"), operation="GetRecords")
    assert type(error) is TailraceError
    assert "please report" in error.hint


# ---- clients


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which AWS was never set up."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (AwsSettings(), "No AWS region is set"),
        (AwsSettings(profile="nobody"), "The config profile (nobody) could not be found"),
        (AwsSettings(region="not a region"), "not a region"),
    ],
)
def test_a_client_that_cannot_be_made_says_what_to_set(settings: AwsSettings, said: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        Aws(settings).client("dynamodb")
    assert said in caught.value.message
    assert "[source]" in caught.value.hint


@pytest.mark.usefixtures("no_aws")
def test_a_call_without_credentials_says_so() -> None:
    client = Aws(AwsSettings(region="eu-west-1", endpoint_url="http://127.0.0.1:9")).client("dynamodb")
    with pytest.raises(botocore.exceptions.NoCredentialsError) as caught:
        client.list_tables()
    error = translate(caught.value, operation="ListTables")
    assert type(error) is PermissionMissing
    assert "AWS_PROFILE" in error.hint


def test_an_endpoint_is_checked_wherever_settings_come_from() -> None:
    with pytest.raises(ConfigInvalid, match="neither https nor on this machine"):
        AwsSettings(endpoint_url="http://example.com")


def test_boto3_is_imported_when_the_first_client_is_asked_for() -> None:
    code = "import sys, tailrace.pipeline; print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


# ---- the tree of errors


def kinds(kind: type[TailraceError] = TailraceError) -> Iterator[type[TailraceError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


def test_codes_are_unique_and_their_hundreds_are_the_branch() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)
    for kind in kinds():
        for branch, hundred in [(UserFault, "1"), (Transient, "2"), (errors.GapFound, "3"), (errors.DataInvalid, "4")]:
            assert issubclass(kind, branch) == (kind.code.startswith(f"TAILRACE-{hundred}")), kind


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    for kind in kinds():
        assert kind.__name__ in errors.__doc__, f"{kind.__name__} is missing from the docstring of errors.py"


def test_an_error_shows_its_facts_in_order_and_leaves_out_what_is_not_known() -> None:
    error = NotFound("gone", hint="look", table="orders", shard=None, position=7)
    assert str(error) == "gone (table=orders, position=7)"
    assert str(NotFound("gone")) == "gone"


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_the_region_may_come_from_either_variable(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Aws(AwsSettings()).client("dynamodb").meta.region_name == region
    assert Aws(AwsSettings(region="sa-east-1")).client("dynamodb").meta.region_name == "sa-east-1"
