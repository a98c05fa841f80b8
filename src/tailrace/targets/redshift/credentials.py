"""User and password of a database session, fetched when they are needed and kept no longer than they hold.

They stand in no file of ours, and in no message, log or repr: an error says where they were looked for, never what was there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tailrace.aws import translate
from tailrace.clock import Clock
from tailrace.errors import UserFault

EARLY_SECONDS: Final = 60  # before they expire they are fetched anew
LIFE_SECONDS: Final = 900  # asked of IAM: a session outlives its login


@dataclass(frozen=True, slots=True)
class Login:
    """`expires_ms`: Unix milliseconds; None: nobody said."""

    user: str
    password: str = field(repr=False)
    expires_ms: int | None = None


class Credentials:
    """Keeps one login until it expires or is refused. Safe to share between threads."""

    def __init__(self, fetch: Callable[[], Login], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._login: Login | None = None
        self._lock = threading.Lock()

    def login(self) -> Login:
        """Raises PermissionMissing, NotFound, Transient or UserFault."""
        with self._lock:
            known = self._login
            soon = self._clock.now_ms() + EARLY_SECONDS * 1000
            if known is None or (known.expires_ms is not None and known.expires_ms <= soon):
                known = self._login = self._fetch()
            return known

    def refused(self, login: Login) -> None:
        """The database did not take it: the next one is fetched, for secrets are rotated."""
        with self._lock:
            if self._login is login:
                self._login = None


def login_from(
    client: Callable[[str], Any],
    database: str,
    *,
    workgroup: str | None,
    cluster: str | None,
    db_user: str | None,
    secret: str | None,
    parameter: str | None,
) -> Callable[[], Login]:
    """The way to a login: a secret or a parameter where one is named, else IAM. `client` makes boto3 clients by service."""
    if secret is not None:
        return secret_login(client("secretsmanager"), secret)
    if parameter is not None:
        return parameter_login(client("ssm"), parameter, db_user)
    if cluster is not None:
        return cluster_login(client("redshift"), cluster, database, db_user)
    if workgroup is not None:
        return workgroup_login(client("redshift-serverless"), workgroup, database)
    raise ValueError("nothing gives a login")


def cluster_login(redshift: Any, cluster: str, database: str, db_user: str | None = None) -> Callable[[], Login]:
    """By IAM: as a user of the database, or as the caller's own role where none is named. `redshift`: a boto3 client."""

    def fetch() -> Login:
        request: dict[str, Any] = {"ClusterIdentifier": cluster, "DbName": database, "DurationSeconds": LIFE_SECONDS}
        operation = "GetClusterCredentialsWithIAM"
        try:
            if db_user is None:
                answer = redshift.get_cluster_credentials_with_iam(**request)
            else:
                operation = "GetClusterCredentials"
                answer = redshift.get_cluster_credentials(DbUser=db_user, **request)
        except Exception as error:
            raise translate(error, operation=operation, cluster=cluster) from error
        return Login(answer["DbUser"], answer["DbPassword"], _ms(answer.get("Expiration")))

    return fetch


def workgroup_login(serverless: Any, workgroup: str, database: str) -> Callable[[], Login]:
    """By IAM, as the caller's own role. `serverless`: a boto3 client of ``redshift-serverless``."""

    def fetch() -> Login:
        try:
            answer = serverless.get_credentials(workgroupName=workgroup, dbName=database, durationSeconds=LIFE_SECONDS)
        except Exception as error:
            raise translate(error, operation="GetCredentials", workgroup=workgroup) from error
        return Login(answer["dbUser"], answer["dbPassword"], _ms(answer.get("expiration")))

    return fetch


def secret_login(secrets: Any, secret: str) -> Callable[[], Login]:
    """From Secrets Manager: JSON with ``username`` and ``password``, as Redshift's own secrets are."""

    def fetch() -> Login:
        try:
            text = secrets.get_secret_value(SecretId=secret)["SecretString"]
        except Exception as error:
            raise translate(error, operation="GetSecretValue", secret=secret) from error
        return _of_json(text, None, f"secret {secret}")

    return fetch


def parameter_login(ssm: Any, parameter: str, user: str | None = None) -> Callable[[], Login]:
    """From SSM Parameter Store, a SecureString: JSON as in Secrets Manager, or with `user` the password alone."""

    def fetch() -> Login:
        try:
            found = ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
        except Exception as error:
            raise translate(error, operation="GetParameter", parameter=parameter) from error
        if found.get("Type") != "SecureString":
            hint = "Store it anew with --type SecureString; what was stored in the clear is to be changed."
            raise UserFault("The parameter that holds the password is not encrypted", hint=hint, parameter=parameter)
        return _of_json(found["Value"], user, f"parameter {parameter}")

    return fetch


def _of_json(text: str, user: str | None, where: str) -> Login:
    if user is not None and not text.lstrip().startswith("{"):
        return Login(user, text)
    try:
        found = json.loads(text)
        return Login(user or str(found["username"]), str(found["password"]))
    except (ValueError, KeyError, TypeError):
        pass  # and is not named as the cause, because it would quote the text
    hint = 'It is to be {"username": "…", "password": "…"}.'
    raise UserFault(f"The {where} does not hold a user and a password", hint=hint)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
