"""A store under a prefix of an S3 bucket, kept by conditional writes (If-None-Match, If-Match)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from tailrace.aws import is_refused_by_condition, translate
from tailrace.errors import (
    AlreadyExists,
    NotFound,
    OutcomeUnknown,
    ServiceUnavailable,
    StateContended,
    StoreUnsupported,
    TailraceError,
)
from tailrace.landing.names import check_name
from tailrace.landing.store import Listed, Stored

CREATE_TRIES: Final = 4  # a create with an unknown outcome is looked at and, where nothing is there, repeated


class S3Store:
    """Keeps `tailrace.landing.store.Store`. `client` is a boto3 S3 client; botocore's own retries may stay on.

    botocore repeats a PutObject whose answer was lost, so a 412 may be the echo of our own first attempt. A create
    therefore compares contents after a 412, and whoever replaces must look for its own signature after StateContended.
    """

    def __init__(
        self, client: Any, bucket: str, prefix: str = "", *, expected_owner: str | None = None
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._owner = {"ExpectedBucketOwner": expected_owner} if expected_owner else {}

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> Stored:
        answer = self._get(name)
        try:
            return Stored(answer["Body"].read(), answer["ETag"])
        except Exception as error:
            raise self._error(error, "GetObject", name) from error

    def open(self, name: str) -> BinaryIO:
        body: BinaryIO = self._get(name)["Body"]
        return body

    def create(self, name: str, data: bytes) -> None:
        for _ in range(CREATE_TRIES):
            try:
                self._put(name, data, IfNoneMatch="*")
                return
            except (StateContended, OutcomeUnknown) as error:
                if self._settle_create(name, data):
                    return
                unsettled = error
        raise ServiceUnavailable(
            "S3 did not confirm a write",
            hint="Nothing was lost; the write is repeated.",
            name=name,
            store=self.url,
        ) from unsettled

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        return self._put(name, data, **condition)

    def list(self, prefix: str) -> Iterator[Listed]:
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix, **self._owner
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    modified_ms = int(found["LastModified"].timestamp() * 1000)
                    yield Listed(found["Key"].removeprefix(self._prefix), found["Size"], modified_ms)
        except Exception as error:
            raise self._error(error, "ListObjectsV2", prefix) from error

    def delete(self, name: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name), **self._owner)
        except Exception as error:
            raise self._error(error, "DeleteObject", name) from error

    def probe(self) -> None:
        name = f".tailrace/probe-{secrets.token_hex(8)}"
        version = self.replace(name, b"probe 1\n", None)
        try:
            honoured = self._refuses(name, None) and self._refuses(name, f'"{hashlib.md5(b"").hexdigest()}"')
            self.replace(name, b"probe 2\n", version)
        finally:
            self.delete(name)
        if not honoured:
            raise StoreUnsupported(
                "The landing store ignores conditional writes, so two writers could overwrite one another",
                hint="Use Amazon S3 or another store that honours If-None-Match and If-Match.",
                store=self.url,
            )

    def _refuses(self, name: str, expected: str | None) -> bool:
        try:
            self.replace(name, b"must be refused\n", expected)
        except StateContended:
            return True
        return False

    def _settle_create(self, name: str, data: bytes) -> bool:
        """After an unclear create: True if our bytes are there, False if nothing is; other bytes are an error."""
        try:
            if self.read(name).data == data:
                return True
        except NotFound:
            return False
        raise AlreadyExists(
            "Another object stands under this name",
            hint="Nothing was overwritten.",
            name=name,
            store=self.url,
        )

    def _get(self, name: str) -> Any:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._key(name), **self._owner)
        except Exception as error:
            raise self._error(error, "GetObject", name) from error

    def _put(self, name: str, data: bytes, **condition: str) -> str:
        """One conditional PutObject: the new ETag, or StateContended (412), or OutcomeUnknown (409, 5xx, no answer)."""
        try:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._key(name), Body=data, **condition, **self._owner
            )
        except Exception as error:
            if is_refused_by_condition(error):
                raise StateContended(
                    "Another worker published first", hint="Read it again and go on.", name=name
                ) from error
            ours = self._error(error, "PutObject", name)
            if isinstance(ours, NotFound) and condition.get("IfMatch"):
                raise StateContended(
                    "The object to replace is gone", hint="Read it again and go on.", name=name
                ) from error
            if isinstance(ours, ServiceUnavailable):
                raise OutcomeUnknown(
                    "S3 did not say whether it wrote",
                    hint="Look before repeating.",
                    name=name,
                    store=self.url,
                ) from error
            raise ours from error
        etag: str = answer["ETag"]
        return etag

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)

    def _error(self, error: Exception, operation: str, name: str) -> TailraceError:
        return translate(error, operation=operation, name=name, store=self.url)
