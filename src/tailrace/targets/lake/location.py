"""Where a lake lies, for libraries that open files by themselves: pyarrow's file systems, deltalake's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs

from tailrace.aws import Login


@dataclass(frozen=True, slots=True)
class Location:
    """A folder on this machine, or (`bucket` set) a prefix of a bucket. `login` is asked each time something is opened."""

    path: str
    bucket: str = ""
    login: Callable[[], Login] | None = None

    @classmethod
    def local(cls, folder: Path) -> Location:
        return cls(str(folder))

    @property
    def url(self) -> str:
        if self.bucket:
            return f"s3://{self.bucket}/{self.path}".rstrip("/")
        return self.path

    def below(self, *names: str) -> str:
        """The path of something inside, as `filesystem` takes it."""
        return "/".join(part for part in (self.bucket, self.path, *names) if part)

    def filesystem(self) -> pyarrow.fs.FileSystem:
        """One that is C++ all through: one in Python would be called by threads that outlive the interpreter."""
        if self.login is None:
            return pyarrow.fs.LocalFileSystem()
        login = self.login()
        endpoint = urlsplit(login.endpoint or "")
        return pyarrow.fs.S3FileSystem(
            access_key=login.access_key,
            secret_key=login.secret_key,
            session_token=login.token,
            region=login.region,
            endpoint_override=endpoint.netloc or None,
            scheme=endpoint.scheme or "https",
            background_writes=False,
        )

    def storage_options(self) -> dict[str, str]:
        """The same for object_store, which deltalake uses: writes are conditional, so two writers cannot both win."""
        if self.login is None:
            return {}
        login = self.login()
        options = {
            "aws_access_key_id": login.access_key,
            "aws_secret_access_key": login.secret_key,
            "aws_session_token": login.token,
            "aws_region": login.region,
            "aws_endpoint_url": login.endpoint,
            "aws_allow_http": "true" if (login.endpoint or "").startswith("http:") else None,
            "aws_conditional_put": "etag",
        }
        return {name: value for name, value in options.items() if value is not None}
