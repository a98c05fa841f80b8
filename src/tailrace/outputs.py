"""Files and folders that somebody names to be written: what the system says about them, in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tailrace.errors import PermissionMissing, ServiceUnavailable, TailraceError, UsageInvalid

FULL_OR_FAILING: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a disk

_REFUSED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNSUITABLE: Final = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EXDEV, errno.ENAMETOOLONG, errno.ELOOP, errno.ETXTBSY,
}  # fmt: skip


def unwritable(what: str, error: OSError, **facts: Any) -> TailraceError:
    """`what` with the system's reason: a UserFault where another name or right is needed, else ServiceUnavailable."""
    sentence = f"{what}: {error.strerror or error}"
    if error.errno in _REFUSED:
        return PermissionMissing(sentence, hint="Give this user write access, or name another place.", **facts)
    if error.errno in _UNSUITABLE:
        return UsageInvalid(
            sentence, hint="Check the name: a folder in it does not exist, or something is in its way.", **facts
        )
    return ServiceUnavailable(sentence, hint="Look at the disk, and at the space that is left on it.", **facts)


@contextmanager
def output_errors(path: Path | None) -> Iterator[None]:
    """What goes wrong with a file that is replaced when it is whole, or with standard output; a broken pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if path is None:
            raise unwritable("Standard output cannot be written", error) from error
        raise unwritable("The output cannot be written, and nothing was replaced", error, path=path) from error


def part_of(path: Path) -> Path:
    """The name under which a file is written until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
