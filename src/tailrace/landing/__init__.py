"""The landing zone: immutable segments and one compare-and-swap manifest per table, on local disk or S3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tailrace.errors import ConfigInvalid, UsageInvalid
from tailrace.landing.landing import Landing, Leased, Published
from tailrace.landing.local import LocalStore
from tailrace.landing.names import check_name
from tailrace.landing.quarantine import QuarantineFile
from tailrace.landing.s3 import S3Store
from tailrace.landing.segments import LandedFile, SegmentDraft, WrittenSegment
from tailrace.landing.store import Listed, Store, Stored

__all__ = [
    "LandedFile",
    "Landing",
    "Leased",
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

_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*", re.ASCII)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


def split_url(url: str) -> tuple[str, str, str]:
    """``s3://bucket/prefix`` to ("s3", bucket, prefix), ``file:…`` or a plain path to ("file", "", path)."""
    scheme, colon, rest = url.partition(":")
    if colon and (scheme != "file" or rest.startswith("//")) and "@" in rest.removeprefix("//").partition("/")[0]:
        raise _invalid("…", "names a user, or a host")  # and may hold a secret: it is not repeated here
    if "\0" in url or not url:
        raise _invalid(url, "is no url")
    if scheme == "s3":
        return _split_s3(url)
    if scheme == "file":
        parts = urlsplit(url)
        if parts.netloc or not parts.path or parts.query or parts.fragment:
            raise _invalid(url, "names a host, or holds an unescaped ? or #")
        return "file", "", unquote(parts.path)
    if colon and _SCHEME.fullmatch(scheme):
        raise _invalid(url, f"begins with {scheme}:")
    return "file", "", url


def _split_s3(url: str) -> tuple[str, str, str]:
    bucket, _, prefix = url.removeprefix("s3:").removeprefix("//").partition("/")
    prefix = prefix.rstrip("/")
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket or bucket.replace(".", "").isdigit():
        raise _invalid(url, f"has no valid bucket name: {bucket!r:.80}")
    if prefix:
        try:
            check_name(prefix)
        except UsageInvalid:
            raise _invalid(url, "has a prefix with empty parts, dots or control characters") from None
    return "s3", bucket, prefix


def _invalid(url: str, what: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"The url {url!r:.200} {what}",
        hint='For example url = "s3://acme-lake/tailrace" or url = "file:./landing".',
    )


def open_store(
    url: str, s3_client: Any = None, base: Path | None = None, *, expected_owner: str | None = None
) -> Store:
    """The store behind a landing url. Does no I/O; `probe` it once before relying on it.

    `s3_client` is needed for s3 urls. A relative folder is relative to `base`, or to the working directory.
    """
    scheme, bucket, path = split_url(url)
    if scheme == "s3":
        return S3Store(s3_client, bucket, path, expected_owner=expected_owner)
    return LocalStore((base or Path()) / Path(path).expanduser())
