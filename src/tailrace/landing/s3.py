"""A store under a prefix of an S3 bucket, kept by conditional writes (If-None-Match, If-Match)."""

from __future__ import annotations

import io
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
    Transient,
)
from tailrace.landing.names import OWN_FOLDER, check_name, is_own
from tailrace.landing.store import Listed, Stored

CREATE_TRIES: Final = 3  # a create with an unknown outcome is looked at and, where nothing is there, repeated
BUFFER_BYTES: Final = 1 << 18
STALE_ETAG: Final = '"d41d8cd98f00b204e9800998ecf8427e"'  # of nothing, so never of a probe


class S3Store:
    """Keeps `tailrace.landing.store.Store`. `client` is a boto3 S3 client; a version is an ETag.

    botocore repeats a PutObject whose answer was lost, so a refusal may be the echo of our own first attempt,
    and a harmless error (a throttled second attempt) may hide a first one that was applied. So `create`
    compares contents after every refusal, and `replace` calls every passing failure unknown; whoever replaces
    must also look for its own content after StateContended, as `Landing.save` does.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "", *, expected_owner: str | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{check_name(prefix)}/" if prefix else ""
        self._owner = {} if expected_owner is None else {"ExpectedBucketOwner": expected_owner}

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> Stored:
        answer = self._get(name)
        with _Body(self, name, answer["Body"]) as body:
            return Stored(body.readall(), answer["ETag"])

    def open(self, name: str) -> BinaryIO:
        return io.BufferedReader(_Body(self, name, self._get(name)["Body"]), BUFFER_BYTES)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        try:
            body = self._get(name, Range=f"bytes={offset}-{offset + size - 1}")["Body"]
        except TailraceError as error:
            if error.facts.get("aws_code") == "InvalidRange":  # it begins behind the object's end
                return b""
            raise
        with _Body(self, name, body) as stream:
            return stream.readall()

    def create(self, name: str, data: bytes) -> None:
        unsettled: TailraceError | None = None
        for _ in range(CREATE_TRIES):
            try:
                self._put(name, data, IfNoneMatch="*")
                return
            except (StateContended, OutcomeUnknown) as error:
                if self._holds(name, data):
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
        """Lazy: one request for each thousand objects."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix, **self._owner
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    name = found["Key"].removeprefix(self._prefix)
                    if not is_own(name):
                        modified_ms = int(found["LastModified"].timestamp() * 1000)
                        yield Listed(name, found["Size"], modified_ms, found.get("ETag", "").strip('"'))
        except Exception as error:
            raise self.translated(error, "ListObjectsV2", prefix) from error

    def delete(self, name: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name), **self._owner)
        except Exception as error:
            raise self.translated(error, "DeleteObject", name) from error

    def probe(self) -> None:
        """A second create and a stale replace must be refused, a rightful replace accepted: five requests."""
        name = f"{OWN_FOLDER}/probe-{secrets.token_hex(8)}"
        # Where this gets no answer, deleting would get none either.
        version = self._replace_uncontended(name, b"probe 1\n", None)
        try:
            if not (self._refuses(name, None) and self._refuses(name, STALE_ETAG)):
                raise _unsupported(self.url, "ignores conditional writes")
            self._replace_uncontended(name, b"probe 2\n", version)
        finally:
            self.delete(name)

    def translated(self, error: Exception, operation: str, name: str) -> TailraceError:
        """An error of botocore in our words."""
        return translate(error, operation=operation, name=name, store=self.url)

    def _replace_uncontended(self, name: str, data: bytes, expected: str | None) -> str:
        """A replace of what only we know of: a refusal is the echo of our own first attempt, whose answer was lost."""
        try:
            return self.replace(name, data, expected)
        except StateContended:
            found = self.read(name)
            if found.data != data:
                raise
            return found.version

    def _refuses(self, name: str, expected: str | None) -> bool:
        try:
            self.replace(name, b"must be refused\n", expected)
        except StateContended:
            return True
        return False

    def _holds(self, name: str, data: bytes) -> bool:
        """After an unclear create: True for our bytes, False for nothing, AlreadyExists for other bytes."""
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

    def _get(self, name: str, **options: str) -> Any:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._key(name), **options, **self._owner)
        except Exception as error:
            raise self.translated(error, "GetObject", name) from error

    def _put(self, name: str, data: bytes, **condition: str) -> str:
        """One conditional PutObject. StateContended after a 412, OutcomeUnknown after 409, 5xx or silence."""
        try:
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(name),
                Body=data,
                ChecksumAlgorithm="CRC32",  # S3 refuses a body that was cut or changed on its way
                **condition,
                **self._owner,
            )
        except Exception as error:
            raise self._put_failed(error, name, condition) from error
        etag: str = answer["ETag"]
        return etag

    def _put_failed(self, error: Exception, name: str, condition: dict[str, str]) -> TailraceError:
        facts = {"name": name, "store": self.url}
        if is_refused_by_condition(error):
            return StateContended("Another worker published first", hint="Read it again and go on.", **facts)
        ours = self.translated(error, "PutObject", name)
        if ours.facts.get("aws_code") == "NotImplemented":
            return _unsupported(self.url, "has no conditional writes")
        if ours.facts.get("aws_code") == "NoSuchKey" and "IfMatch" in condition:
            return StateContended("What was to be replaced is gone", hint="Read it again and go on.", **facts)
        if isinstance(ours, Transient):
            return OutcomeUnknown(
                f"S3 did not say whether it wrote: {ours.message}", hint="Look before repeating.", **facts
            )
        return ours

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)


class _Body(io.RawIOBase):
    """The body of an answer as a file; a cut connection is our ServiceUnavailable, never a short file."""

    def __init__(self, store: S3Store, name: str, body: Any) -> None:
        self._store = store
        self._object = name
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._body.read(len(buffer))
        except Exception as error:
            raise self._store.translated(error, "GetObject", self._object) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()


def _unsupported(url: str, what: str) -> StoreUnsupported:
    return StoreUnsupported(
        f"The landing store {what}, so two writers could overwrite one another",
        hint="Use Amazon S3, or another store that honours If-None-Match and If-Match.",
        store=url,
    )
