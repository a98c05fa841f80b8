"""An HTTP proxy on this machine that a test tells what goes wrong on the way: answers that are lost, requests that come twice."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

HOP = ("connection", "keep-alive", "transfer-encoding", "expect")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


Send = Callable[[Request], Answer]
Rule = Callable[[Request, Send], Answer | None]
"""Gets a request and what sends it on. None: nobody answers, and the connection is closed."""


@dataclass
class Edge:
    """`uri`: where it listens. `rule`: what it does with each request; unless a test says so, it sends them on."""

    uri: str
    rule: Rule = lambda request, send: send(request)
    seen: list[Request] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away is what these tests are about."""


@contextmanager
def edge_before(upstream: str) -> Iterator[Edge]:
    """A proxy before this address."""
    host = urlsplit(upstream).netloc

    def send(request: Request) -> Answer:
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            request = Request(self.command, self.path, headers, self.body())
            edge.seen.append(request)
            answer = edge.rule(request, send)
            self.close_connection = True
            if answer is None:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in (*HOP, "content-length", "date", "server"):
                    self.send_header(name, value)
            told = {name.lower(): value for name, value in answer.headers.items()}
            length = told.get("content-length", "0") if self.command == "HEAD" else str(len(answer.body))
            self.send_header("Content-Length", length)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  # as http.server finds them

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    edge = Edge(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield edge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
