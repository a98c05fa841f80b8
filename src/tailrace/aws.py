"""AWS's client library in one place: clients from a few settings, and its errors in our words."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
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
from tailrace.model.facts import Identity, Unknown

if TYPE_CHECKING:
    from botocore.session import Session

Answer = TypeVar("Answer")

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
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
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
    "Invoke": "lambda:InvokeFunction",
    "SendMessage": "sqs:SendMessage",
    "GetQueueUrl": "sqs:GetQueueUrl",
    "ReceiveMessage": "sqs:ReceiveMessage",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessage": "sqs:DeleteMessage",
    "Publish": "sns:Publish",
    "GetMetricStatistics": "cloudwatch:GetMetricStatistics",
    "HeadBucket": "s3:ListBucket",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "SimulatePrincipalPolicy": "iam:SimulatePrincipalPolicy",
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


@dataclass(frozen=True, slots=True)
class Login:
    """What requests are signed with at this moment, for libraries that make them themselves: it may change."""

    access_key: str
    secret_key: str
    token: str | None
    region: str | None
    endpoint: str | None = None  # of S3, where it is not AWS's own


class Aws:
    """A session that makes clients, imported when the first one is asked for.

    botocore's own: what boto3 puts on top of its clients we do not need, and a function would wait for it at each cold start.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self._session: Session | None = None

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
            return self._opened().create_client(service, endpoint_url=self.settings.endpoint_url, config=config)
        except Exception as error:
            raise translate(error, operation=f"client for {service}") from error

    def login(self) -> Login:
        """Credentials that hold now. Raises PermissionMissing where there are none."""
        from botocore.exceptions import NoCredentialsError

        client = self.client("s3")
        try:
            credentials = self._opened().get_credentials()
            if credentials is None:
                raise NoCredentialsError
            frozen = credentials.get_frozen_credentials()
        except Exception as error:
            raise translate(error, operation="credentials") from error
        endpoint = client.meta.endpoint_url
        is_own = urlsplit(endpoint).netloc.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        region = client.meta.region_name
        return Login(frozen.access_key, frozen.secret_key, frozen.token, region, None if is_own else endpoint)

    def _opened(self) -> Session:
        if self._session is None:
            session = self._begun(self.settings.profile)
            self._session = session if self.settings.role_arn is None else self._assume(session, self.settings.role_arn)
        return self._session

    def _begun(self, profile: str | None) -> Session:
        from botocore.session import Session

        session = Session(profile=profile)
        # botocore knows AWS_DEFAULT_REGION only; every other SDK goes by AWS_REGION, and so do people.
        region = self.settings.region or os.environ.get("AWS_REGION")
        if region:
            session.set_config_variable("region", region)
        return session

    def _assume(self, session: Session, role_arn: str) -> Session:
        """A session under a role whose credentials renew themselves."""
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.session import Session

        extra = {"RoleSessionName": "tailrace"}
        if self.settings.external_id is not None:
            extra["ExternalId"] = self.settings.external_id
        fetcher = AssumeRoleCredentialFetcher(
            session.create_client, session.get_credentials(), role_arn, extra_args=extra
        )
        assumed = Session()
        assumed._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        region = session.get_config_variable("region")
        if region:
            assumed.set_config_variable("region", region)
        return assumed


def identify(aws: Aws) -> Identity | Unknown:
    """Who we are to AWS, and how far our clock is ahead of the one in its answer, to the second."""
    answer = found("GetCallerIdentity", lambda: aws.client("sts").get_caller_identity())
    if isinstance(answer, Unknown):
        return answer
    then = _moment_of(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
    ahead = None if then is None else (datetime.now(UTC) - then).total_seconds()
    return Identity(answer["Account"], answer["Arn"], ahead)


def _moment_of(date: str) -> datetime | None:
    """A Date header; None where it is in another form than HTTP's, which a proxy may bring about."""
    try:
        moment = parsedate_to_datetime(date)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def simulate(aws: Aws, principal: str, action: str, resource: str) -> bool | Unknown:
    """Whether a user's or a role's policies allow an action that cannot be tried without doing it."""
    answer = found(
        "SimulatePrincipalPolicy",
        lambda: aws.client("iam").simulate_principal_policy(
            PolicySourceArn=principal, ActionNames=[action], ResourceArns=[resource]
        ),
    )
    if isinstance(answer, Unknown):
        return answer
    return all(result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"])


def called(operation: str, call: Callable[[], Answer], **facts: Any) -> Answer:
    """What a call gives. Raises what AWS answers in our words, with `facts`."""
    try:
        return call()
    except Exception as error:
        raise translate(error, operation=operation, **facts) from error


def found(operation: str, call: Callable[[], Answer], **facts: Any) -> Answer | Unknown:
    """What a call gives, or why it gave nothing."""
    try:
        return call()
    except Exception as error:
        ours = translate(error, operation=operation, **facts)
        return Unknown(ours.message, ours.hint, isinstance(ours, PermissionMissing))


def tried(operation: str, call: Callable[[], Any], **facts: Any) -> Unknown | None:
    """None where a call works, else why it does not."""
    answer = found(operation, call, **facts)
    return answer if isinstance(answer, Unknown) else None


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
