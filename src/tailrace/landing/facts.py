"""What can be said of a landing zone before anything lands in it. Reads, and `Store.probe`, which leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tailrace.aws import found, tried
from tailrace.errors import TailraceError
from tailrace.landing.local import LocalStore
from tailrace.landing.names import OWN_FOLDER, may_expire
from tailrace.landing.s3 import S3Store
from tailrace.model.facts import BucketFacts, FolderFacts, LifecycleRule, Unknown

ARCHIVES: Final = ("GLACIER", "DEEP_ARCHIVE")  # what is there has to be restored before it can be read
NOT_SET: Final = (
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def describe_bucket(s3: Any, bucket: str, prefix: str) -> BucketFacts:
    """A bucket's settings, and whether objects under a prefix can be listed, read, written on condition and deleted."""
    store = S3Store(s3, bucket, prefix)
    inside = f"{prefix}/" if prefix else ""
    region = found("HeadBucket", lambda: _region(s3, bucket), bucket=bucket)
    if isinstance(region, Unknown):
        return BucketFacts(bucket, inside, region)

    def setting(operation: str, call: Callable[[], Any]) -> Any:
        return found(operation, lambda: _or_none(call), bucket=bucket)

    rules = setting(
        "GetBucketLifecycleConfiguration", lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    )
    versioning = found(
        "GetBucketVersioning",
        lambda: s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled",
        bucket=bucket,
    )
    absent = f"{inside}{OWN_FOLDER}/there-is-no-such-object"
    return BucketFacts(
        bucket,
        inside,
        region,
        encryption=setting("GetBucketEncryption", lambda: _encryption(s3, bucket)),
        ownership=setting("GetBucketOwnershipControls", lambda: _ownership(s3, bucket)),
        versioning=versioning,
        lifecycle=rules
        if isinstance(rules, Unknown)
        else tuple(rule for r in rules or () for rule in _rule(r, inside)),
        blocks_public=setting("GetPublicAccessBlock", lambda: _blocks_public(s3, bucket)),
        conditional_writes=_probed(store),
        access={
            "ListObjectsV2": tried(
                "ListObjectsV2", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=inside, MaxKeys=1), bucket=bucket
            ),
            "GetObject": tried("GetObject", lambda: _read_absent(s3, bucket, absent), bucket=bucket),
        },
    )


def describe_folder(path: Path) -> FolderFacts:
    """A landing folder; one that does not exist yet is not made."""
    if path.exists():
        return FolderFacts(str(path), True, True, _probed(LocalStore(path)))
    return FolderFacts(str(path), False, can_be_made(path))


def can_be_made(path: Path) -> bool:
    """Whether what does not exist may be made there, with the folders above it."""
    above = next(parent for parent in path.absolute().parents if parent.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _probed(store: S3Store | LocalStore) -> Unknown | None:
    try:
        store.probe()
    except TailraceError as error:
        return Unknown(error.message, error.hint)
    return None


def _region(s3: Any, bucket: str) -> str:
    answer = s3.head_bucket(Bucket=bucket)
    region: str = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "")
    return region


def _or_none(call: Callable[[], Any]) -> Any:
    """None where AWS answers that nothing was set."""
    try:
        return call()
    except Exception as error:
        response = getattr(error, "response", {})
        if response.get("Error", {}).get("Code") in NOT_SET:
            return None
        raise


def _encryption(s3: Any, bucket: str) -> str | None:
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    found_rules = [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules]
    return found_rules[0] if found_rules else None


def _ownership(s3: Any, bucket: str) -> str | None:
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    return rules[0]["ObjectOwnership"] if rules else None


def _blocks_public(s3: Any, bucket: str) -> bool:
    settings = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return all(settings.get(name) for name in names)


def _rule(rule: Any, inside: str) -> list[LifecycleRule]:
    """A rule as far as it can meet objects of ours, which carry no tags. `inside`: the landing prefix, with its slash."""
    scope = rule.get("Filter", {})
    if rule.get("Status") != "Enabled" or "Tag" in scope or scope.get("And", {}).get("Tags"):
        return []
    expiration = rule.get("Expiration", {})
    prefix = rule.get("Prefix") or scope.get("Prefix") or scope.get("And", {}).get("Prefix") or ""
    return [
        LifecycleRule(
            prefix=prefix,
            deletes="Days" in expiration or "Date" in expiration,
            archives=any(t.get("StorageClass") in ARCHIVES for t in rule.get("Transitions", ())),
            aborts_uploads="AbortIncompleteMultipartUpload" in rule,
            deletes_old_versions="NoncurrentVersionExpiration" in rule,
            spares_landed=prefix.startswith(inside) and may_expire(prefix.removeprefix(inside)),
        )
    ]


def _read_absent(s3: Any, bucket: str, key: str) -> None:
    """Reading what is not there is answered 404 to whoever may read and list, 403 to whoever may not."""
    try:
        s3.get_object(Bucket=bucket, Key=key)
    except Exception as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") != "NoSuchKey":
            raise
