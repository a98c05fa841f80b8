"""S3 as the landing zone needs it, with boto3's own defaults (checksums and all)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stream_reader import Account

pytestmark = pytest.mark.embedded

BUCKET = "lake"


@pytest.fixture(scope="module")
def s3(account: Account) -> Any:
    account.s3.create_bucket(Bucket=BUCKET)
    return account.s3


def status_of(error: pytest.ExceptionInfo[Any]) -> int:
    status: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def test_create_only(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"second", IfNoneMatch="*")
    assert status_of(error) == 412
    assert error.value.response["Error"]["Code"] == "PreconditionFailed"
    assert s3.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"first"


def test_compare_and_swap(s3: Any) -> None:
    first = s3.put_object(Bucket=BUCKET, Key="swap", Body=b"1")["ETag"]
    second = s3.put_object(Bucket=BUCKET, Key="swap", Body=b"2", IfMatch=first)["ETag"]
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.put_object(Bucket=BUCKET, Key="swap", Body=b"3", IfMatch=first)
    assert status_of(error) == 412
    answer = s3.get_object(Bucket=BUCKET, Key="swap")
    assert (answer["Body"].read(), answer["ETag"]) == (b"2", second)
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.put_object(Bucket=BUCKET, Key="absent", Body=b"", IfMatch=first)
    assert status_of(error) == 404


def test_of_many_swaps_at_once_one_wins(s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="race", Body=b"0")["ETag"]

    def swap(writer: int) -> bool:
        try:
            s3.put_object(Bucket=BUCKET, Key="race", Body=f"writer {writer}".encode(), IfMatch=etag)
        except s3.exceptions.ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(swap, range(8))) == 1


def test_a_listing_in_pages(s3: Any) -> None:
    names = [f"list/{n:04d}-é" for n in range(45)]
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"x")
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 10})
    )
    assert [len(page["Contents"]) for page in pages] == [10, 10, 10, 10, 5]
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == names
    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter=names[41])["Contents"]
    assert [entry["Key"] for entry in after] == names[42:]
    folders = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/", Prefix="li")["CommonPrefixes"]
    assert folders == [{"Prefix": "list/"}]


def test_ranges(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="range", Body=b"0123456789")
    answer = s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=2-4")
    assert (answer["Body"].read(), answer["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=-3")["Body"].read() == b"789"
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=20-30")
    assert status_of(error) == 416


def test_large_bodies_streams_and_checksums(s3: Any, tmp_path: Any) -> None:
    content = bytes(range(256)) * 40_000
    path = tmp_path / "large"
    path.write_bytes(content)
    with path.open("rb") as body:
        s3.put_object(Bucket=BUCKET, Key="large", Body=body, ChecksumAlgorithm="SHA256")
    s3.upload_file(str(path), BUCKET, "multipart")
    for key in ("large", "multipart"):
        answer = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        assert answer["Body"].read() == content
    assert s3.head_object(Bucket=BUCKET, Key="large")["ContentLength"] == len(content)


def test_what_is_absent(s3: Any) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key="absent")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="absent-bucket")
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.head_object(Bucket=BUCKET, Key="absent")
    assert status_of(error) == 404
    s3.delete_object(Bucket=BUCKET, Key="absent")
