"""S3 answers late, twice or never: nothing is lost, nothing is written twice, nobody is overwritten."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from s3_proxy import BUCKET, S3Proxy, make_client, running

from tailrace.errors import (
    AlreadyExists,
    NotFound,
    OutcomeUnknown,
    PermissionMissing,
    ServiceUnavailable,
    StateContended,
    StoreUnsupported,
    TailraceError,
)
from tailrace.landing import Landing, S3Store
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest

pytestmark = pytest.mark.embedded

INCARNATION = Incarnation(
    "111122223333", "eu-west-1", "orders", "id-1", "arn:s", "NEW_IMAGE", KeySchema(KeyAttribute("pk", "S"))
)


@pytest.fixture(scope="module")
def proxy(s3_endpoint: str) -> Iterator[S3Proxy]:
    with running(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def once(proxy: S3Proxy) -> Any:
    """A client that tries once, through the proxy."""
    return make_client(proxy.url)


@pytest.fixture(scope="module")
def twice(proxy: S3Proxy) -> Any:
    """A client whose own retry repeats a request that got no good answer."""
    return make_client(proxy.url, attempts=2)


@pytest.fixture(autouse=True)
def _no_faults_left(proxy: S3Proxy) -> None:
    proxy.faults, proxy.seen, proxy.headers_seen, proxy.held = {}, [], [], []


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"faults/{tmp_path.name}"


@pytest.fixture
def honest(s3: Any, prefix: str) -> S3Store:
    """The same place without the proxy: what is really there."""
    return S3Store(s3, BUCKET, prefix)


@pytest.fixture
def store(once: Any, prefix: str) -> S3Store:
    return S3Store(once, BUCKET, prefix)


# ---- create

UNCLEAR = ["lost_request", "lost_answer", "500", "500_after", "409", "503"]


@pytest.mark.parametrize("fault", UNCLEAR)
@pytest.mark.parametrize("answers", ["once", "twice"])
def test_a_create_without_a_clear_answer_is_settled(
    request: pytest.FixtureRequest, proxy: S3Proxy, prefix: str, honest: S3Store, fault: str, answers: str
) -> None:
    proxy.plan("PUT", fault)
    S3Store(request.getfixturevalue(answers), BUCKET, prefix).create("a", b"one")
    assert honest.read("a").data == b"one"


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_create_without_a_clear_answer_never_overwrites(
    proxy: S3Proxy, store: S3Store, honest: S3Store, fault: str
) -> None:
    honest.create("a", b"other")
    proxy.plan("PUT", fault)
    with pytest.raises(AlreadyExists):
        store.create("a", b"one")
    assert honest.read("a").data == b"other"


@pytest.mark.parametrize("fault", ["lost_request", "409", "503", "500"])
def test_a_create_that_never_gets_through_says_so(proxy: S3Proxy, store: S3Store, honest: S3Store, fault: str) -> None:
    proxy.plan("PUT", *[fault] * 10)
    with pytest.raises(ServiceUnavailable):
        store.create("a", b"one")
    with pytest.raises(NotFound):
        honest.read("a")


def test_an_object_that_vanished_after_a_refusal_is_created_again(
    proxy: S3Proxy, store: S3Store, honest: S3Store
) -> None:
    proxy.plan("PUT", "lost_answer")
    proxy.plan("GET", "404")
    store.create("a", b"one")
    assert honest.read("a").data == b"one"


def test_the_body_travels_with_a_checksum(proxy: S3Proxy, store: S3Store) -> None:
    store.create("a", b"one")
    expected = b64encode(zlib.crc32(b"one").to_bytes(4, "big")).decode()
    assert proxy.headers_seen[0]["x-amz-checksum-crc32"] == expected


# ---- replace


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_replace_without_a_clear_answer_is_called_unknown(proxy: S3Proxy, store: S3Store, fault: str) -> None:
    proxy.plan("PUT", fault)
    with pytest.raises(OutcomeUnknown):
        store.replace("m", b"one", None)


def manifest_of(landing: Landing) -> Manifest:
    published = landing.load()
    assert published is not None
    return published.manifest


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize(
    ("faults", "applied"),
    [
        (["lost_answer"], True),
        (["500_after"], True),
        (["lost_request"], False),
        (["500"], False),
        (["503"], False),
        (["409"], False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_a_publish_without_a_clear_answer_is_settled_by_looking(
    proxy: S3Proxy, store: S3Store, honest: S3Store, faults: list[str], applied: bool, first: bool
) -> None:
    landing, manifest, published = Landing(store, "orders"), Manifest(INCARNATION), None
    if not first:
        published = landing.save(manifest, None, "w1")
        manifest = replace(published.manifest, fence=7)
    proxy.plan("PUT", *faults)
    if not applied:
        with pytest.raises(ServiceUnavailable):
            landing.save(manifest, published, "w1")
    saved = landing.save(manifest, published, "w1")
    assert manifest_of(Landing(honest, "orders")) == saved.manifest
    assert saved.version == honest.read("orders/manifest.json").version
    landing.save(saved.manifest, saved, "w1")  # and its version serves for the next one


@pytest.mark.parametrize("faults", [["lost_answer"], ["lost_answer", "503"], ["500_after", "409"]])
def test_the_refusal_or_error_of_a_repeated_request_does_not_hide_that_the_first_was_applied(
    proxy: S3Proxy, twice: Any, prefix: str, honest: S3Store, faults: list[str]
) -> None:
    landing = Landing(S3Store(twice, BUCKET, prefix), "orders")
    first = landing.save(Manifest(INCARNATION), None, "w1")
    proxy.plan("PUT", *faults)
    proxy.seen.clear()
    saved = landing.save(replace(first.manifest, fence=7), first, "w1")
    assert [method for method, _ in proxy.seen] == ["PUT", "PUT", "GET"]
    assert manifest_of(Landing(honest, "orders")) == saved.manifest


@pytest.mark.parametrize("fault", [*UNCLEAR, ""])
def test_whoever_loses_a_publish_knows_it_whatever_the_answer(
    proxy: S3Proxy, store: S3Store, honest: S3Store, fault: str
) -> None:
    landing, rival = Landing(store, "orders"), Landing(honest, "orders")
    start = landing.save(Manifest(INCARNATION), None, "w1")
    won = rival.save(replace(start.manifest, fence=8), start, "w2")
    proxy.plan("PUT", fault)
    with pytest.raises(StateContended):
        landing.save(replace(start.manifest, fence=7), start, "w1")
    assert manifest_of(rival) == won.manifest


def test_a_late_first_attempt_is_not_taken_for_the_second_one(proxy: S3Proxy, store: S3Store, honest: S3Store) -> None:
    landing = Landing(store, "orders")
    start = landing.save(Manifest(INCARNATION), None, "w1")
    proxy.plan("PUT", "held")
    with pytest.raises(ServiceUnavailable):
        landing.save(replace(start.manifest, fence=1), start, "w1")
    assert proxy.release() == [200]  # only now it arrives
    with pytest.raises(StateContended):
        landing.save(replace(start.manifest, fence=2), start, "w1")
    assert manifest_of(Landing(honest, "orders")).fence == 1


def test_a_publish_that_cannot_be_settled_yet_is_an_error_and_the_next_look_settles_it(
    proxy: S3Proxy, store: S3Store
) -> None:
    landing = Landing(store, "orders")
    start = landing.save(Manifest(INCARNATION), None, "w1")
    proxy.plan("PUT", "lost_answer")
    proxy.plan("GET", "500")
    with pytest.raises(ServiceUnavailable):
        landing.save(replace(start.manifest, fence=1), start, "w1")
    assert manifest_of(landing).fence == 1


# ---- read


@pytest.mark.parametrize("read", ["read", "open"])
def test_a_body_that_breaks_off_is_an_error_and_no_short_object(proxy: S3Proxy, store: S3Store, read: str) -> None:
    data = b"0123456789" * 100_000
    store.create("a", data)
    proxy.plan("GET", "half_body")
    with pytest.raises(ServiceUnavailable):
        store.read("a") if read == "read" else drain(store.open("a"))
    assert store.read("a").data == data


def drain(stream: BinaryIO) -> None:
    with stream:
        while stream.read(65536):
            pass


@pytest.mark.parametrize("fault", ["lost_answer", "500", "503"])
def test_a_failing_read_or_listing_is_one_of_our_errors(proxy: S3Proxy, store: S3Store, fault: str) -> None:
    for call in (lambda: store.read("a"), lambda: store.open("a"), lambda: list(store.list(""))):
        proxy.plan("GET", fault)
        with pytest.raises(TailraceError):
            call()


def test_a_failing_delete_is_one_of_our_errors(proxy: S3Proxy, store: S3Store) -> None:
    proxy.plan("DELETE", "500")
    with pytest.raises(ServiceUnavailable):
        store.delete("a")


def test_a_bucket_that_does_not_exist_is_named(s3: Any) -> None:
    store = S3Store(s3, "no-such-bucket-here", "p")
    for call in (lambda: store.read("a"), lambda: store.create("a", b""), store.probe):
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.facts["store"] == "s3://no-such-bucket-here/p"


def test_the_expected_owner_is_named_in_every_call(s3_endpoint: str, prefix: str) -> None:
    client = make_client(s3_endpoint)
    owners: list[Any] = []
    client.meta.events.register(
        "before-parameter-build.s3", lambda params, **_: owners.append(params.get("ExpectedBucketOwner"))
    )
    store = S3Store(client, BUCKET, prefix, expected_owner="111122223333")
    calls = (
        lambda: store.create("a", b""),
        lambda: store.replace("m", b"", None),
        lambda: store.read("a"),
        lambda: store.open("a").close(),
        lambda: list(store.list("")),
        lambda: store.delete("a"),
    )
    for call in calls:
        try:
            call()
        except (PermissionMissing, NotFound):
            continue  # an endpoint that checks owners
    assert owners == ["111122223333"] * len(calls)


# ---- a store that is not fit


@pytest.mark.parametrize("ignored", [1, 2], ids=["second-create", "stale-replace"])
def test_a_store_that_ignores_conditions_is_refused(
    proxy: S3Proxy, store: S3Store, honest: S3Store, ignored: int
) -> None:
    proxy.plan("PUT", *[""] * ignored, "no_conditions")
    with pytest.raises(StoreUnsupported, match="ignores"):
        store.probe()
    assert list(honest.list("")) == []


def test_a_store_without_conditional_writes_is_refused(proxy: S3Proxy, store: S3Store) -> None:
    proxy.plan("PUT", "501")
    with pytest.raises(StoreUnsupported, match="no conditional writes"):
        store.probe()


def test_the_probe_costs_five_small_requests(proxy: S3Proxy, store: S3Store) -> None:
    store.probe()
    assert [method for method, _ in proxy.seen] == ["PUT", "PUT", "PUT", "PUT", "DELETE"]


@pytest.mark.parametrize("passed", [0, 3], ids=["first-create", "rightful-replace"])
@pytest.mark.parametrize("fault", ["lost_answer", "500_after"])
def test_a_probe_whose_answer_was_lost_is_not_taken_for_a_rival(
    proxy: S3Proxy, twice: Any, prefix: str, passed: int, fault: str
) -> None:
    """The client tries again by itself, and what refuses it is its own first attempt."""
    proxy.plan("PUT", *[""] * passed, fault)
    S3Store(twice, BUCKET, prefix).probe()
    assert probes_left(twice, prefix) == []


def probes_left(client: Any, prefix: str) -> list[str]:
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/.tailrace/")
    return [entry["Key"] for entry in found.get("Contents", ())]
