"""What only a folder can do: processes that race or die, full and read-only disks, leftovers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tailrace.errors import (
    ConfigInvalid,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StoreUnsupported,
)
from tailrace.landing import LocalStore, local, open_store, split_url

SOURCE = str(Path(local.__file__).parents[2])
NOBODY = 65534


def python(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
    )


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "landing")


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- processes


@pytest.mark.processes
def test_processes_that_count_with_compare_and_swap_lose_no_step(store: LocalStore) -> None:
    code = """
        import sys
        from pathlib import Path
        from tailrace.errors import NotFound, StateContended
        from tailrace.landing.local import LocalStore

        store, left = LocalStore(Path(sys.argv[1])), int(sys.argv[2])
        while left:
            try:
                found = store.read("counter")
                version, count = found.version, int(found.data)
            except NotFound:
                version, count = None, 0
            try:
                store.replace("counter", str(count + 1).encode(), version)
                left -= 1
            except StateContended:
                pass
    """
    counters = [python(code, str(store.root), "25") for _ in range(8)]
    for counter in counters:
        counter.communicate(timeout=60)
        assert counter.returncode == 0
    assert store.read("counter").data == b"200"


@pytest.mark.processes
def test_of_16_processes_that_create_exactly_one_wins(store: LocalStore) -> None:
    code = """
        import sys
        from pathlib import Path
        from tailrace.errors import AlreadyExists
        from tailrace.landing.local import LocalStore

        store, won = LocalStore(Path(sys.argv[1])), []
        for number in range(20):
            try:
                store.create(f"race/{number}", sys.argv[2].encode())
                won.append(number)
            except AlreadyExists:
                pass
        print(*won)
    """
    writers = [python(code, str(store.root), f"writer {number}") for number in range(16)]
    won = {number: writer.communicate(timeout=60)[0].split() for number, writer in enumerate(writers)}
    assert sorted(int(race) for races in won.values() for race in races) == list(range(20))
    for number, races in won.items():
        for race in races:
            assert store.read(f"race/{race.decode()}").data == f"writer {number}".encode()


@pytest.mark.processes
def test_a_writer_killed_at_any_moment_leaves_only_whole_objects(store: LocalStore) -> None:
    code = """
        import hashlib, itertools, os, sys
        from pathlib import Path
        from tailrace.landing.local import LocalStore

        store, seed = LocalStore(Path(sys.argv[1])), sys.argv[2].encode()
        version = store.read("document").version
        for number in itertools.count():
            data = hashlib.shake_128(seed + str(number).encode()).digest(200_000)
            name = hashlib.sha256(data).hexdigest()
            store.create(f"objects/{name}", data)
            version = store.replace("document", name.encode() + data, version)
            os.write(1, f"{name}\\n".encode())  # acknowledged
    """
    store.replace("document", hashlib.sha256(b"").hexdigest().encode(), None)
    dice = random.Random(20261122)
    acknowledged: set[str] = set()
    for round_number in range(25):
        writer = python(code, str(store.root), str(round_number))
        assert writer.stdout is not None
        acknowledged.update(writer.stdout.readline().decode().split())
        time.sleep(dice.uniform(0, 0.02))  # any moment is a good one to die at
        writer.kill()
        acknowledged.update(line.decode() for line in writer.stdout.read().split(b"\n")[:-1])
        writer.wait(20)
        writer.stdout.close()
        document = store.read("document").data
        assert hashlib.sha256(document[64:]).hexdigest().encode() == document[:64]
    listed = {entry.name.removeprefix("objects/") for entry in store.list("objects/")}
    assert acknowledged <= listed
    for name in listed:
        assert hashlib.sha256(store.read(f"objects/{name}").data).hexdigest() == name


@pytest.mark.processes
def test_a_lock_dies_with_its_holder(store: LocalStore) -> None:
    store.replace("m", b"one", None)
    code = """
        import fcntl, os, sys, time
        lock = open(sys.argv[1], "ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(1, b"held\\n")
        time.sleep(600)
    """
    holder = python(code, str(store.root / ".tailrace" / "lock-m"))
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.communicate()
    store.replace("m", b"two", store.read("m").version)


def test_a_lock_that_is_never_released_is_an_error_and_no_hang(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "LOCK_SECONDS", 0.05)
    version = store.replace("m", b"one", None)
    with (store.root / ".tailrace" / "lock-m").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServiceUnavailable, match="held the lock"):
            store.replace("m", b"two", version)
    assert store.replace("m", b"two", version)


# ---- leftovers


def test_leftovers_of_killed_writers_are_not_listed_and_go_when_they_are_old(store: LocalStore) -> None:
    store.create("t/a", b"one")
    own = store.root / ".tailrace"
    for name, age in (("tmp-old", local.LEFTOVER_SECONDS + 5), ("probe-old", 1e6), ("tmp-young", 5)):
        (own / name).write_bytes(b"half")
        os.utime(own / name, (time.time() - age,) * 2)
    assert [entry.name for entry in store.list("")] == ["t/a"]
    store.probe()
    assert everything_below(own) == ["lock-probe", "tmp-young"]


def test_nothing_temporary_stays_after_any_write(store: LocalStore) -> None:
    store.create("t/a", b"one")
    store.create("t/a", b"one")
    version = store.replace("t/m", b"one", None)
    store.replace("t/m", b"two", version)
    store.probe()
    store.probe()
    assert everything_below(store.root) == [".tailrace/lock-probe", ".tailrace/lock-t%2Fm", "t/a", "t/m"]


def test_a_file_system_that_ignores_locks_is_refused(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with pytest.raises(StoreUnsupported):
        store.probe()


# ---- a disk that does not want to


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KiB: a write fails in the middle, as on a full disk.

    It holds for the whole process, so for the file that this run's own report may go to: around single writes only.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_in_the_middle_leaves_nothing_and_can_be_repeated(store: LocalStore) -> None:
    version = store.replace("m", b"one", None)
    with small_files(), pytest.raises(ServiceUnavailable, match="no room"):
        store.create("a", b"x" * 10_000)
    with small_files(), pytest.raises(ServiceUnavailable, match="no room"):
        store.replace("m", b"x" * 10_000, version)
    assert everything_below(store.root) == [".tailrace/lock-m", "m"]
    assert store.read("m").data == b"one"
    store.create("a", b"x")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("at", [1, 2])
def test_a_failing_fsync_is_never_taken_for_success(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int, at: int
) -> None:
    store.create("t/b", b"")
    fsync, calls = os.fsync, []

    def failing(handle: int) -> None:
        calls.append(handle)
        if len(calls) == at:
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(ServiceUnavailable):
        store.create("t/a", b"one")
    store.create("t/a", b"one")  # repeats until it is durable
    assert store.read("t/a").data == b"one"
    assert [n for n in everything_below(store.root) if "tmp-" in n] == []


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root may write anywhere, so root steps down."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(was)


def test_a_folder_we_may_not_write_is_named_with_a_remedy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = Path(os.path.abspath(os.sep), "tmp", f"tailrace-read-only-{os.getpid()}")
    root.mkdir(mode=0o555)
    try:
        request.getfixturevalue("as_nobody")
        for write in (
            lambda: LocalStore(root).create("a", b""),
            lambda: LocalStore(root).replace("a", b"", None),
            LocalStore(root).probe,
            LocalStore(root / "new").probe,
        ):
            with pytest.raises(PermissionMissing) as caught:
                write()
            assert "write access" in caught.value.hint
            assert str(root) in caught.value.facts["store"]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        root.rmdir()


def test_a_file_in_the_way_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigInvalid, match="usable folder"):
            LocalStore(root).probe()
    with pytest.raises(ConfigInvalid, match="usable folder"):
        LocalStore(tmp_path / "file").read("a")


def test_reading_does_not_create_the_folder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "absent")
    with pytest.raises(NotFound):
        store.read("a")
    assert list(store.list("")) == []
    store.delete("a")
    assert not store.root.exists()


# ---- urls


@pytest.mark.parametrize(
    ("url", "split"),
    [
        ("file:./landing", ("file", "", "./landing")),
        ("file:///var/lib/tail%20race", ("file", "", "/var/lib/tail race")),
        ("landing", ("file", "", "landing")),
        ("./landing #1?", ("file", "", "./landing #1?")),
        ("s3://acme-lake", ("s3", "acme-lake", "")),
        ("s3://acme-lake/", ("s3", "acme-lake", "")),
        ("s3://acme-lake/a/b/", ("s3", "acme-lake", "a/b")),
    ],
)
def test_a_landing_url_is_taken_apart(url: str, split: tuple[str, str, str]) -> None:
    assert split_url(url) == split


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3:",
        "s3://",
        "s3://Acme",
        "s3://a_b/c",
        "s3:///prefix",
        "https://acme-lake.s3.amazonaws.com",
        "gs://acme",
        "file:",
        "file://host/landing",
        "file:./a#b",
        "file:./a?b",
        "a\0b",
        "s3://acme?x=1",
    ],
)
def test_a_landing_url_that_means_nothing_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        split_url(url)
    assert "s3://acme-lake/tailrace" in caught.value.hint


@pytest.mark.parametrize("url", ["s3://acme-lake/../other", "s3://acme-lake/a//b", "s3://acme-lake//a"])
def test_a_prefix_that_could_leave_its_place_is_refused(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="prefix"):
        split_url(url)


def test_a_relative_folder_is_relative_to_where_the_configuration_lies(tmp_path: Path) -> None:
    store = open_store("file:./landing", base=tmp_path)
    store.create("a", b"one")
    assert (tmp_path / "landing" / "a").read_bytes() == b"one"
    assert json.dumps(store.url) == f'"{(tmp_path / "landing").as_uri()}"'
