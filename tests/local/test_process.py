"""The endpoint as a process: starting, stopping, keeping its state, and the sentences it says when it cannot."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stream_reader import Account, keys

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

STOP_SECONDS = 5


@contextmanager
def tailrace_local(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tailrace", "local", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_says_how_to_use_it_and_stops_at_once_on_ctrl_c() -> None:
    with tailrace_local("--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        url = lines[0].split()[3].rstrip(",")
        assert url.startswith("http://127.0.0.1:")
        assert f"export AWS_ENDPOINT_URL={url} " in lines[2]
        assert "docs/local.md" in lines[4]
        aws = LocalAws()
        aws.endpoint_url = url
        account = Account(aws)  # with connections that stay open
        account.put(account.table(), "a")
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < STOP_SECONDS
        assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with tailrace_local("--port", str(port)) as process:
            _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"Port {port} cannot be used" in err
    assert "--port" in err
    assert "Traceback" not in err


def test_a_folder_that_is_a_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with tailrace_local("--port", "0", "--dir", str(tmp_path / "file")) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "--dir" in err
    assert "Traceback" not in err


def test_a_missing_emulator_is_told_with_the_command_that_installs_it() -> None:
    code = "import sys; sys.modules['ministack'] = None; from tailrace.cli import main; main(['local', '--port', '0'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'tailrace[local]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_this_machine_is_served() -> None:
    with LocalAws() as aws:
        port = int(aws.endpoint_url.rpartition(":")[2])
        process = aws._process
        assert process is not None
        found = subprocess.run(
            [sys.executable, "-c", _LISTENERS, str(process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
    assert found == [f"127.0.0.1:{port}"]


# Every TCP socket that a process listens on, from /proc.
_LISTENERS = """
import os, sys
inodes = set()
for fd in os.listdir(f"/proc/{sys.argv[1]}/fd"):
    try:
        inodes.add(os.readlink(f"/proc/{sys.argv[1]}/fd/{fd}"))
    except OSError:
        pass
for family in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{family}").readlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == "0A" and f"socket:[{rest[5]}]" in inodes:
            address, port = local.split(":")
            number = ".".join(str(b) for b in bytes.fromhex(address)[::-1])
            print(f"{number}:{int(port, 16)}")
"""


def test_the_same_seed_gives_the_same_numbers() -> None:
    def found(seed: int) -> list[str]:
        with LocalAws(seed=seed) as aws:
            account = Account(aws)
            table = account.table()
            account.put_many(table, 5)
            return [record["dynamodb"]["SequenceNumber"] for record in account.read(table)]

    assert found(1) == found(1) != found(2)


def test_everything_is_kept_across_a_restart(tmp_path: Path) -> None:
    with LocalAws(directory=tmp_path) as aws:
        account = Account(aws)
        table, closed = account.table(), account.table()
        arn = account.arn(table)
        account.put_many(table, 20, prefix="first")
        children = aws.split(table)
        account.put_many(table, 20, prefix="second", ttl={"N": str(int(aws.clock()) + 7200)})
        account.dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        )
        old = account.arn(closed)
        account.put(closed, "c")
        account.dynamodb.update_table(TableName=closed, StreamSpecification={"StreamEnabled": False})
        account.s3.create_bucket(Bucket="lake")
        account.s3.put_object(Bucket="lake", Key="dir/a", Body=b"content")
        aws.advance(3600)
        now = aws.clock()
        shards, records = account.shards(arn), account.read(table)
        iterator = account.iterator(arn, children[0])

    with LocalAws(directory=tmp_path) as aws:
        account = Account(aws)
        assert now <= aws.clock() < now + 60
        assert account.arn(table) == arn
        assert account.shards(arn) == shards
        assert account.read(table) == records
        assert account.streams.get_records(ShardIterator=iterator)["Records"]
        assert account.s3.get_object(Bucket="lake", Key="dir/a")["Body"].read() == b"content"
        (shard,) = account.shards(old)
        assert keys(account.read_shard(old, shard["ShardId"])) == ["c"]

        account.put(table, "third")
        aws.advance(3700)
        after = account.read(table)
        assert after[: len(records)] != after
        assert sum("userIdentity" in record for record in after) == 20, "the TTL setting was kept"
        numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in after]
        assert len(set(numbers)) == len(numbers) == 61
        third = next(r for r in after if r["dynamodb"]["Keys"]["pk"]["S"] == "third")
        assert int(third["dynamodb"]["SequenceNumber"]) > max(
            int(record["dynamodb"]["SequenceNumber"]) for record in records
        )


def test_closing_the_terminal_keeps_the_state(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests under nohup hands on that it is ignored
        os.execv(sys.executable, [sys.executable, "-m", "tailrace", "--json", "local", "--port=0", f"--dir={tmp_path}"])
    said = b""
    while b"}" not in said:
        said += os.read(terminal, 1024)
    aws = LocalAws()
    aws.endpoint_url = json.loads(said)["endpoint_url"]
    account = Account(aws)
    table = account.table()
    account.put(table, "kept")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with LocalAws(directory=tmp_path) as aws:
        assert keys(Account(aws).read(table)) == ["kept"]


def test_under_nohup_the_end_of_the_terminal_is_still_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from tailrace.cli import main; main()"
    command = [sys.executable, "-c", code, "--json", "local", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "}" not in process.stdout.readline():
            pass
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert ignored >> (signal.SIGHUP - 1) & 1


def test_a_folder_serves_one_endpoint_at_a_time(tmp_path: Path) -> None:
    with LocalAws(directory=tmp_path) as aws:
        account = Account(aws)
        table = account.table()
        account.put(table, "kept")
        with tailrace_local("--port", "0", "--dir", str(tmp_path)) as process:
            _, err = process.communicate(timeout=30)
        assert process.returncode == 2
        assert "Another endpoint keeps its state in this folder" in err
        assert f"folder: {tmp_path}" in err
    with LocalAws(directory=tmp_path) as aws:
        assert keys(Account(aws).read(table)) == ["kept"]


def test_a_kill_keeps_what_the_last_stop_kept(tmp_path: Path) -> None:
    with LocalAws(directory=tmp_path) as aws:
        account = Account(aws)
        table = account.table()
        account.put(table, "kept")
    aws = LocalAws(directory=tmp_path)
    aws.start()
    account = Account(aws)
    account.put(table, "lost")
    account.dynamodb.delete_table(TableName=table)
    process = aws._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    aws.stop()
    with LocalAws(directory=tmp_path) as aws:
        assert keys(Account(aws).read(table)) == ["kept"]


def test_a_state_that_another_release_wrote_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tailrace.json").write_text(json.dumps({"format": 2}))
    with tailrace_local("--port", "0", "--dir", str(tmp_path)) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "tailrace.json" in err
    assert "Traceback" not in err


def test_it_ends_with_whoever_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", _STARTER], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while is_running(child):
        assert time.monotonic() < deadline, "the endpoint goes on alone"
        time.sleep(0.05)


_STARTER = """
import time
from tailrace.local.client import LocalAws
aws = LocalAws()
aws.start()
print(aws._process.pid, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """Not gone, and no zombie that nobody has fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
