"""Clients, and a real HTTP proxy before an S3 endpoint that loses, repeats and delays requests as asked."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

BUCKET = "acme-lake"

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "date", "server"}


class S3Proxy(ThreadingHTTPServer):
    """Each request of `method` takes the next word of `faults[method]`; without a word it passes through.

    ``lost_request``: it closes and nothing was forwarded. ``lost_answer``: forwarded, then it closes.
    ``500`` and other codes: answered without forwarding; ``500_after``: forwarded, then answered so.
    ``held``: it closes, and the request is forwarded when the test calls `release`.
    ``half_body``: the answer breaks off in the middle. ``no_conditions``: forwarded without its conditions.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(endpoint).netloc
        self.faults: dict[str, deque[str]] = {}
        self.seen: list[tuple[str, str]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.held: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def plan(self, method: str, *faults: str) -> None:
        self.faults[method] = deque(faults)

    def next_fault(self, method: str) -> str:
        faults = self.faults.get(method)
        return faults.popleft() if faults else ""

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def release(self) -> list[int]:
        """Forward what was held; the statuses."""
        held, self.held = self.held, []
        return [self.forward(*request)[0] for request in held]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Proxy

    def _serve(self) -> None:
        method = self.command
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fault = self.server.next_fault(method)
        self.server.seen.append((method, fault))
        self.server.headers_seen.append({name.lower(): value for name, value in headers.items()})
        if fault == "no_conditions":
            headers = {n: v for n, v in headers.items() if n.lower() not in ("if-match", "if-none-match")}
        if fault == "held":
            self.server.held.append((method, self.path, headers, body))
        if fault in ("held", "lost_request"):
            self.close_connection = True
            return
        if fault in CODES:
            self._answer(int(fault), [("Content-Type", "application/xml")], _error(CODES[fault]))
            return
        status, answer_headers, answer = self.server.forward(method, self.path, headers, body)
        if fault == "lost_answer":
            self.close_connection = True
        elif fault == "500_after":
            self._answer(500, [("Content-Type", "application/xml")], _error("InternalError"))
        else:
            self._answer(status, answer_headers, answer, half=fault == "half_body")

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _serve  # noqa: N815

    def _answer(self, status: int, headers: Any, body: bytes, *, half: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {*HOP, "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = self.close_connection or half

    def log_message(self, *_: Any) -> None:
        """Quiet."""


CODES = {
    "404": "NoSuchKey",
    "503": "SlowDown",
    "500": "InternalError",
    "409": "ConditionalRequestConflict",
    "501": "NotImplemented",
}


def _error(code: str) -> bytes:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>planned {code}</Message></Error>'
    return text.encode()


@contextmanager
def running(endpoint: str) -> Iterator[S3Proxy]:
    proxy = S3Proxy(endpoint)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def make_client(url: str, attempts: int = 1) -> Any:
    """A client that tries so often by itself before an error comes out."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=10,
        max_pool_connections=32,
    )
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )
