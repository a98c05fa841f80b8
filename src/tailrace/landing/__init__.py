"""The landing zone: immutable segments and one compare-and-swap manifest per table, on local disk or S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tailrace.errors import ConfigInvalid
from tailrace.landing.landing import Landing, Published, QuarantineFile, WrittenSegment
from tailrace.landing.local import LocalStore
from tailrace.landing.s3 import S3Store
from tailrace.landing.segments import SegmentDraft
from tailrace.landing.store import Listed, Store, Stored

__all__ = [
    "Landing",
    "Listed",
    "LocalStore",
    "Published",
    "QuarantineFile",
    "S3Store",
    "SegmentDraft",
    "Store",
    "Stored",
    "WrittenSegment",
    "open_store",
    "split_url",
]


def split_url(url: str) -> tuple[str, str, str]:
    """``s3://bucket/prefix`` to ("s3", bucket, prefix), ``file:…`` or a plain path to ("file", "", path)."""
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc and not parts.query and not parts.fragment:
        return "s3", parts.netloc, parts.path.strip("/")
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return "file", "", unquote(parts.path)
    if not parts.scheme and url and "\0" not in url:
        return "file", "", url
    raise ConfigInvalid(
        f"The landing url {url!r:.200} is neither s3://bucket/prefix nor file:folder",
        hint='For example url = "s3://acme-lake/tailrace" or url = "file:./landing".',
    )


def open_store(url: str, s3_client: Any = None, base: Path | None = None) -> Store:
    """The store behind a landing url. `s3_client` is needed for s3 urls; relative folders are relative to `base`."""
    scheme, bucket, path = split_url(url)
    if scheme == "s3":
        return S3Store(s3_client, bucket, path)
    return LocalStore((base or Path()) / Path(path).expanduser())
