"""boto3 in one place: clients from a few settings, and botocore's errors in our words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tailrace.errors import (
    ConfigInvalid,
    IteratorExpired,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StreamTrimmed,
    TailraceError,
    Throttled,
    UserFault,
)

if TYPE_CHECKING:
    import boto3

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
ATTEMPTS: Final = 4  # botocore's own, for throttling and 5xx; what is left comes to us as Transient

# What AWS answers, by error code.
_THROTTLED: Final = frozenset(
    [
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "TransactionInProgressException",
        "ActiveStatementsExceededException",
        "ActiveSessionsExceededException",
        "ActiveWaitingRequestsExceededException",
    ]
)
_DENIED: Final = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AllAccessDisabled",
        "Forbidden",
        "403",
        "OptInRequired",
        "SubscriptionRequiredException",
        "NotSignedUp",
        "AccountProblem",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMS.DisabledException",
        "KMS.NotFoundException",
        "KMS.KMSInvalidStateException",
        "InaccessibleEncryptionCredentialsException",
    ]
)
_BAD_CREDENTIALS: Final = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "MissingSecurityHeader",
    ]
)
_CLOCK: Final = frozenset(["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"])
_ABSENT: Final = frozenset(
    [
        "ResourceNotFoundException",
        "ParameterNotFound",
        "TableNotFoundException",
        "NoSuchKey",
        "NoSuchBucket",
        "NotFound",
        "404",
    ]
)
_ELSEWHERE: Final = frozenset(
    ["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"]
)
_TRANSIENT: Final = frozenset(
    [
        "InternalServerError",
        "InternalError",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
        "OperationAborted",
        "ServiceUnavailable",
        "ConditionalRequestConflict",
        "BadDigest",
        "IncompleteBody",
    ]
)
_ACTIONS: Final = {
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObjects": "s3:DeleteObject and s3:ListBucket",
    "BatchExecuteStatement": "redshift-data:BatchExecuteStatement",
    "ExecuteStatement": "redshift-data:ExecuteStatement",
    "DescribeStatement": "redshift-data:DescribeStatement",
    "GetStatementResult": "redshift-data:GetStatementResult",
    "ListStatements": "redshift-data:ListStatements",
    "GetClusterCredentials": "redshift:GetClusterCredentials",
    "GetClusterCredentialsWithIAM": "redshift:GetClusterCredentialsWithIAM",
    "GetCredentials": "redshift-serverless:GetCredentials",
    "GetSecretValue": "secretsmanager:GetSecretValue",
    "GetParameter": "ssm:GetParameter",
    "GetMetricStatistics": "cloudwatch:GetMetricStatistics",
}  # everything else is DynamoDB's, whose actions are called like its operations


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where and as whom to call; what is None is left to botocore's own chain."""

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            check_endpoint(self.endpoint_url)


def check_endpoint(url: str) -> None:
    """Plain http is for this machine only: credentials and data would travel in the clear. Raises ConfigInvalid."""
    try:
        parts = urlsplit(url)
        is_plain = parts.username is None and parts.password is None and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        raise _endpoint_invalid("The endpoint is no URL") from None
    if not is_plain:
        raise _endpoint_invalid("The endpoint names a user or a password")  # and is not repeated here
    if not url.isprintable() or " " in url:
        raise _endpoint_invalid("The endpoint holds a space or a control character")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return
    raise _endpoint_invalid(f"The endpoint {url!r:.200} is neither https nor on this machine")


def _endpoint_invalid(message: str) -> ConfigInvalid:
    return ConfigInvalid(message, hint="Use https://…, or http://127.0.0.1:4566 for `tailrace local`.")


class Aws:
    """A session that makes clients; boto3 is imported when the first one is asked for."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self._session: boto3.Session | None = None

    def client(
        self, service: str, *, connections: int = 16, attempts: int | None = None, read_seconds: float = READ_SECONDS
    ) -> Any:
        """A client for ``dynamodb``, ``dynamodbstreams`` or ``s3``; safe to share between threads.

        `attempts` counts botocore's own repetitions: few where the caller backs off itself and must not hold its thread.
        `read_seconds`: how long it waits for an answer.
        """
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=connections,
            retries={"mode": "standard", "max_attempts": ATTEMPTS if attempts is None else attempts},
            s3={"addressing_style": "path"} if self.settings.endpoint_url else None,
        )
        try:
            return self._opened().client(service, endpoint_url=self.settings.endpoint_url, config=config)
        except Exception as error:
            raise translate(error, operation=f"client for {service}") from error

    def _opened(self) -> boto3.Session:
        if self._session is None:
            import boto3

            # boto3 knows AWS_DEFAULT_REGION only; every other SDK goes by AWS_REGION, and so do people.
            region = self.settings.region or os.environ.get("AWS_REGION") or None
            session = boto3.Session(region_name=region, profile_name=self.settings.profile)
            self._session = session if self.settings.role_arn is None else self._assume(session, self.settings.role_arn)
        return self._session

    def _assume(self, session: boto3.Session, role_arn: str) -> boto3.Session:
        """A session under a role whose credentials renew themselves."""
        import boto3
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.session import get_session

        extra = {"RoleSessionName": "tailrace"}
        if self.settings.external_id is not None:
            extra["ExternalId"] = self.settings.external_id
        core = session._session
        fetcher = AssumeRoleCredentialFetcher(core.create_client, core.get_credentials(), role_arn, extra_args=extra)
        assumed = get_session()
        assumed._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        return boto3.Session(botocore_session=assumed, region_name=session.region_name)


def is_refused_by_condition(error: Exception) -> bool:
    """S3 answered 412: the If-Match or If-None-Match condition does not hold."""
    return _code(error) in ("PreconditionFailed", "412")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def translate(error: Exception, *, operation: str, **facts: Any) -> TailraceError:
    """An error of botocore in our words. Ours pass unchanged; whether a write happened is for the caller to settle."""
    if isinstance(error, TailraceError):
        return error
    code = _code(error)
    if code:
        return _from_answer(error, code, operation, facts)
    return _from_client(error, operation, facts)


def _from_answer(error: Any, code: str, operation: str, facts: dict[str, Any]) -> TailraceError:
    """The service answered with an error code."""
    message = error.response["Error"].get("Message", "") or code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    facts = {"operation": operation, **facts, "aws_code": code}
    if code in _THROTTLED or status == 429:
        return Throttled(message, hint="Tailrace slows down by itself.", **facts)
    if code in _CLOCK:
        return UserFault(message, hint="Set this machine's clock; AWS refuses requests that are minutes off.", **facts)
    if code in _BAD_CREDENTIALS:
        hint = "Renew the credentials (`aws sts get-caller-identity` shows whose they are)."
        return PermissionMissing(message, hint=hint, **facts)
    if code == "ExpiredIteratorException":
        return IteratorExpired(message, hint="A new iterator is taken after the mark.", **facts)
    if code == "TrimmedDataAccessException":
        hint = "The stream keeps 24 hours; what is gone needs a repair or a new base."
        return StreamTrimmed(message, hint=hint, **facts)
    if code in _ABSENT:
        return NotFound(message, hint="Check the name, the region and the account.", **facts)
    if code in _ELSEWHERE:
        hint = "The bucket is in another region: set `region` in [source] to it, or use a bucket of the table's region."
        return ConfigInvalid(message, hint=hint, **facts)
    if code == "InvalidObjectState":
        hint = "A lifecycle rule moved the object to an archive: restore it, and exempt the landing prefix."
        return UserFault(message, hint=hint, **facts)
    if code in _DENIED or status == 403:
        action = _ACTIONS.get(operation, f"dynamodb:{operation}")
        hint = f"Allow {action} in the role's policy, and the use of the key where one encrypts the data."
        return PermissionMissing(message, hint=hint, **facts)
    if code in _TRANSIENT or status >= 500 or status == 409:
        return ServiceUnavailable(message, hint="Tailrace looks and repeats the call by itself.", **facts)
    return UserFault(message, hint="AWS refused the call; see its message.", **facts)


def _from_client(error: Exception, operation: str, facts: dict[str, Any]) -> TailraceError:
    """No answer arrived, or the call was never sent."""
    from botocore import exceptions as boto

    name = type(error).__name__
    facts = {"operation": operation, **facts}
    if any(word in name for word in ("Credential", "SSO", "Login", "Token", "MFA", "MetadataRetrieval")):
        return PermissionMissing(
            f"No usable AWS credentials: {error}",
            hint="Set AWS_PROFILE or a role, as for the AWS CLI. For `tailrace local` any values will do.",
            **facts,
        )
    if name == "NoRegionError":
        return ConfigInvalid(
            "No AWS region is set", hint='Set region = "eu-west-1" in [source], or AWS_REGION.', **facts
        )
    if name == "ProfileNotFound":
        return ConfigInvalid(str(error), hint="Check `profile` in [source] and ~/.aws/config.", **facts)
    if name == "SSLError":
        hint = "Check the endpoint, and AWS_CA_BUNDLE where a proxy has a certificate of its own."
        return UserFault(f"The endpoint's certificate is not trusted: {error}", hint=hint, **facts)
    is_network = isinstance(error, boto.HTTPClientError | boto.ConnectionError | OSError) or type(
        error
    ).__module__.startswith("urllib3")
    if is_network or name in ("IncompleteReadError", "ChecksumError", "FlexibleChecksumError"):
        hint = "Check the network and the endpoint; Tailrace repeats the call by itself."
        return ServiceUnavailable(f"No answer: {error}", hint=hint, **facts)
    if isinstance(error, boto.BotoCoreError):
        return ConfigInvalid(str(error), hint="Check [source], the AWS_ variables and ~/.aws/config.", **facts)
    return TailraceError(f"Unexpected {name}: {error}", hint="This is a defect of Tailrace: please report it.", **facts)
