"""PostgreSQL's passwords for a function: the lines of a ``.pgpass`` file, from an SSM SecureString to where libpq reads them.

They stand in no template, no variable of the environment and no message.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from tailrace.aws import Aws, called
from tailrace.deploy.entry import PGPASS
from tailrace.errors import UserFault

_FILE: Final = "PGPASSFILE"  # libpq's own


def put_passwords(aws: Aws) -> None:
    """Fetch them and write them where libpq looks; nothing where no parameter is named.

    Called for each invocation, because passwords are changed. Raises PermissionMissing, NotFound, Transient or UserFault.
    """
    name = os.environ.get(PGPASS)
    if not name:
        return
    ssm = aws.client("ssm")
    answer = called("GetParameter", lambda: ssm.get_parameter(Name=name, WithDecryption=True), parameter=name)
    found = answer["Parameter"]
    if found.get("Type") != "SecureString":
        hint = "Store it anew with --type SecureString; what was stored in the clear is to be changed."
        raise UserFault("The parameter that holds the passwords is not encrypted", hint=hint, parameter=name)
    path = Path(tempfile.gettempdir()) / f"tailrace-pgpass-{os.getpid()}"
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # libpq refuses other modes
    with os.fdopen(descriptor, "w") as file:
        file.write(found["Value"])
    part.replace(path)
    os.environ[_FILE] = str(path)
