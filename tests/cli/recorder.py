"""A real HTTP proxy before the embedded endpoint that writes down every request as AWS would bill or log it."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}


class Recorder(ThreadingHTTPServer):
    """`seen`: operation and resource of each request, in order. Use its `url` as an endpoint within the ``with`` block.

    The stand-in allows everything; `refuse` an operation to see what becomes of a missing permission.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(endpoint).netloc
        self.seen: list[tuple[str, str]] = []
        self.date: str | None = None  # what the answers' Date says, instead of the truth
        self._refused: set[str] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def counts(self) -> Counter[str]:
        return Counter(operation for operation, _ in self.seen)

    def refuse(self, *operations: str) -> None:
        """Answer these as AWS does where the policy lacks them."""
        self._refused.update(operations)

    def refusal_of(self, operation: str, headers: Any) -> tuple[str, bytes] | None:
        """Content type and body in the form of the protocol that was spoken."""
        if operation not in self._refused:
            return None
        message = f"User: arn:aws:iam::000000000000:user/test is not authorized to perform: {operation}"
        if headers.get("X-Amz-Target") or headers.get("Smithy-Protocol"):
            return "application/x-amz-json-1.0", json.dumps(
                {"__type": "AccessDeniedException", "message": message}
            ).encode()
        inner = f"<Code>AccessDenied</Code><Message>{message}</Message>"
        if headers.get("X-Amz-Content-Sha256"):
            return "application/xml", f"<Error>{inner}</Error>".encode()
        return "text/xml", f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>".encode()

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        operation, resource = _named(self.command, self.path, headers.get("X-Amz-Target", ""), body)
        self.server.seen.append((operation, resource))
        refusal = self.server.refusal_of(operation, self.headers)
        if refusal is not None:
            self._answer(403, [("Content-Type", refusal[0])], refusal[1])
            return
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body, headers)
            found = connection.getresponse()
            self._answer(found.status, found.getheaders(), found.read())
        finally:
            connection.close()

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _serve  # noqa: N815

    def _answer(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP and not (name.lower() == "date" and self.server.date):
                self.send_header(name, value)
        if self.server.date:
            self.send_header("Date", self.server.date)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def _named(method: str, path: str, target: str, body: bytes) -> tuple[str, str]:
    """``("PutItem", "")`` from the target header, ``("GetCallerIdentity", "")`` from a form, else the S3 call and its path."""
    if target:
        return target.rpartition(".")[2], body.decode("utf-8", "replace")
    if method == "POST" and path == "/":
        return parse_qs(body.decode())["Action"][0], ""
    place, _, query = path.partition("?")
    words = [word.partition("=")[0] for word in query.split("&")]
    config = next((word for word in words if word in _CONFIGS), None)
    if config is not None:
        return f"{method.title()}{_CONFIGS[config]}", place
    is_bucket = place.strip("/").count("/") == 0
    names = {"GET": "ListObjectsV2", "PUT": "CreateBucket", "HEAD": "HeadBucket", "POST": "DeleteObjects"}
    return names.get(method, "DeleteBucket") if is_bucket else f"{method.title()}Object", place


_CONFIGS = {
    "encryption": "BucketEncryption",
    "ownershipControls": "BucketOwnershipControls",
    "versioning": "BucketVersioning",
    "lifecycle": "BucketLifecycleConfiguration",
    "publicAccessBlock": "PublicAccessBlock",
    "location": "BucketLocation",
}
