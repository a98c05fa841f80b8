"""Iceberg's own REST catalog as the catalog, across a network that loses and repeats. Skipped where it is not installed.

The whole contract: ``make lake-rest``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from http_edge import Answer, Edge, Request, Send, edge_before
from iceberg_place import catalog_of, elsewhere, open_target, orders
from rest_server import rest_server

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.config import IcebergConfig
from tailrace.errors import OutcomeUnknown, PermissionMissing, ServiceUnavailable, UserFault
from tailrace.opening import open_target as open_configured
from tailrace.targets.iceberg import clients, loading
from tailrace.testing.target_contract import HISTORY, MODES, Replica, delete, put

pytestmark = pytest.mark.embedded
SECRET = "s3cr3t-of-the-catalog"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with rest_server() as uri:
        yield uri


@pytest.fixture
def edge(server: str) -> Iterator[Edge]:
    """Lakes' catalog is the server, behind this."""
    with edge_before(server) as edge, elsewhere(type="rest", uri=edge.uri):
        yield edge


def is_commit(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/tables/orders")


def loaded(place: Path, mode: str = "current") -> Replica:
    replica = Replica(open_target(place), mode)  # type: ignore[arg-type]
    replica.apply((1, [put(1), put(2, "b", x={"N": "1"})]))
    return replica


SECOND = (2, [put(3, "b", x={"N": "2.5"}), delete(4), put(5, "c")])


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_holds_the_history(edge: Edge, tmp_path: Path, mode: str) -> None:
    replica = Replica(open_target(tmp_path), mode)  # type: ignore[arg-type]
    for load in HISTORY:
        replica.apply(load)
    replica.check()
    assert any(is_commit(request) for request in edge.seen)


def test_a_load_that_meets_another_one_is_made_anew(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, other = loaded(tmp_path), open_target(tmp_path)
    load, first = replica.load(SECOND), [True]

    def rule(request: Request, send: Send) -> Answer:
        if is_commit(request) and first:
            first.clear()
            monkeypatch.setattr(loading, "_locks", {})  # as another process: not behind this one's locks
            replica.target = other
            replica.apply((3, [put(6, "d"), delete(7, "b")]))
        return send(request)

    edge.rule = rule
    assert open_target(tmp_path).apply(load).segments == 1
    assert sum(is_commit(request) for request in edge.seen) == 4, "three loads, and one of them twice"
    replica.applied[2] = SECOND[1]
    replica.check()


def test_a_configured_target_gives_the_catalog_its_warehouse_by_name(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings = {"kind": "iceberg", "catalog": "rest", "uri": edge.uri, "warehouse": "sales", "namespace": "by_name"}
    config, aws = IcebergConfig.model_validate(settings), Aws(AwsSettings(region="eu-west-1"))
    replica = Replica(open_configured("ice", config, aws, tmp_path, SystemClock()))
    replica.apply((1, [put(1)]))
    replica.check()
    assert any(request.path.endswith("/config?warehouse=sales") for request in edge.seen)
    assert not list(tmp_path.iterdir())


def twice(request: Request, send: Send) -> Answer | None:
    """As a gateway does that gets no answer in time: the second one is told of a conflict, which is with the first."""
    answer = send(request)
    return send(request) if is_commit(request) else answer


def lost(request: Request, send: Send) -> Answer | None:
    answer = send(request)
    return None if is_commit(request) else answer


def unclear(request: Request, send: Send) -> Answer | None:
    answer = send(request)
    return Answer(504, JSON, b"") if is_commit(request) else answer


@pytest.mark.parametrize("rule", [twice, lost, unclear])
def test_a_commit_whose_answer_is_lost_is_found(
    edge: Edge, tmp_path: Path, rule: Callable[[Request, Send], Answer | None]
) -> None:
    replica = loaded(tmp_path)
    edge.rule = rule
    assert replica.target.apply(replica.load(SECOND)).segments == 1
    replica.applied[2] = SECOND[1]
    replica.check()
    assert orders(tmp_path).scan().to_arrow().num_rows == len(replica.expected())


@pytest.mark.parametrize("arrives", [True, False])
def test_a_network_that_goes_for_longer_leaves_the_old_state_or_the_new(
    edge: Edge, tmp_path: Path, arrives: bool
) -> None:
    replica, gone = loaded(tmp_path), [False]

    def rule(request: Request, send: Send) -> Answer | None:
        gone[0] = gone[0] or is_commit(request)
        if not gone[0]:
            return send(request)
        if is_commit(request) and arrives:
            send(request)
        return None

    edge.rule = rule
    with pytest.raises(OutcomeUnknown) as raised:
        replica.target.apply(replica.load(SECOND))
    assert raised.value.hint
    edge.rule = lambda request, send: send(request)
    assert replica.ledger.applied_through == (2 if arrives else 1)
    replica.apply(SECOND)
    replica.check()


def test_a_server_that_never_answers_holds_nobody_for_ever(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.5)
    replica, over = loaded(tmp_path), threading.Event()

    def rule(request: Request, send: Send) -> None:
        over.wait(60)

    edge.rule = rule
    try:
        with pytest.raises(ServiceUnavailable, match="timed out") as raised:
            replica.target.ledger(replica.spec)
    finally:
        over.set()
    assert raised.value.hint


def test_a_catalog_that_keeps_no_branch_is_refused_before_a_deleted_row_can_come_back(
    edge: Edge, tmp_path: Path
) -> None:
    def rule(request: Request, send: Send) -> Answer:
        if is_commit(request):
            body = json.loads(request.body)
            body["updates"] = [u for u in body["updates"] if u.get("ref-name") in (None, "main")]
            text = json.dumps(body).encode()
            request = Request(request.method, request.path, {**request.headers, "Content-Length": str(len(text))}, text)
        return send(request)

    edge.rule = rule
    replica = loaded(tmp_path)
    replica.target.apply(replica.load(SECOND))
    for use in (lambda: replica.ledger, lambda: replica.target.apply(replica.load((3, [put(9)])))):
        with pytest.raises(UserFault, match="no longer has its branch 'tailrace_deletes'") as raised:
            use()
        assert "keeps no branch" in raised.value.hint


# ---- logins


def guarded(token: str) -> Callable[[Request, Send], Answer]:
    """A catalog that asks for a token, and gives it for a credential."""

    def rule(request: Request, send: Send) -> Answer:
        if request.path.endswith("/oauth/tokens"):
            asked = parse_qs(request.body.decode())
            if asked.get("client_secret") != [SECRET]:
                refused = {"error": "invalid_client", "error_description": "who are you?"}
                return Answer(401, JSON, json.dumps(refused).encode())
            given = {"access_token": token, "token_type": "bearer", "expires_in": 3600}
            return Answer(200, JSON, json.dumps(given).encode())
        if request.headers.get("Authorization") != f"Bearer {token}":
            error = {"message": "Not authorized", "type": "NotAuthorizedException", "code": 401}
            return Answer(401, JSON, json.dumps({"error": error}).encode())
        return send(request)

    return rule


ENVIRONMENT = "PYICEBERG_CATALOG__DEFAULT__"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """pyiceberg reads its environment when it is imported, so a later change has to be made known to it."""

    def tell(name: str, value: str) -> None:
        from pyiceberg import catalog
        from pyiceberg.utils.config import Config

        monkeypatch.setenv(f"{ENVIRONMENT}{name}", value)
        monkeypatch.setattr(catalog, "_ENV_CONFIG", Config())

    return tell


@pytest.mark.filterwarnings("ignore:Deprecated")
@pytest.mark.parametrize(("setting", "value"), [("TOKEN", SECRET), ("CREDENTIAL", f"tailrace:{SECRET}")])
def test_a_login_is_taken_from_the_environment(
    edge: Edge, tmp_path: Path, told: Callable[..., None], setting: str, value: str
) -> None:
    edge.rule = guarded(SECRET if setting == "TOKEN" else "given-for-it")
    told(setting, value)
    replica = loaded(tmp_path)
    replica.apply(SECOND)
    replica.check()
    assert catalog_of(tmp_path).properties[setting.lower()] == value


@pytest.mark.filterwarnings("ignore:Deprecated")
@pytest.mark.parametrize(("setting", "value"), [("TOKEN", "wr0ng"), ("CREDENTIAL", "tailrace:wr0ng"), ("", "")])
def test_a_login_that_is_refused_is_said_and_not_shown(
    edge: Edge,
    tmp_path: Path,
    told: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    setting: str,
    value: str,
) -> None:
    edge.rule = guarded(SECRET)
    if setting:
        told(setting, value)
    replica = Replica(open_target(tmp_path))
    caplog.set_level("DEBUG")
    with pytest.raises(PermissionMissing) as raised:
        replica.target.apply(replica.load((1, [put(1)])))
    assert raised.value.hint
    for text in (str(raised.value), raised.value.hint, caplog.text):
        assert "wr0ng" not in text
        assert SECRET not in text
