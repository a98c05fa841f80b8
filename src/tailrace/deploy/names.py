"""Names of what is deployed: the same for the same table, whatever else is in the configuration."""

from __future__ import annotations

import hashlib
import re
from typing import Final

SLUG_MAX: Final = (
    28  # so that a deployment's name (20), a table and a duty (14) fit in the 64 characters of a role's name
)
_PLAIN: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")


def slug_of(table: str) -> str:
    """The table's name where it is in small letters, digits and hyphens, else what is left of it and eight hex digits.

    In small letters, because AWS does not tell names of roles apart by case; and a hyphen is followed by a letter, so that it
    can be seen in `id_of_slug`.
    """
    if len(table) <= SLUG_MAX and _PLAIN.fullmatch(table):
        return table
    short = re.sub(r"[^a-z0-9]+", "-", table.lower()).strip("-")[: SLUG_MAX - 9].strip("-")
    return f"{short}-{hashlib.sha256(table.encode()).hexdigest()[:8]}".lstrip("-")


def id_of_slug(slug: str) -> str:
    """In the words of a template: ``prod-users`` is ``ProdUsers``. Terraform's names begin with no digit, so neither do these."""
    joined = "".join(part[:1].upper() + part[1:] for part in slug.split("-"))
    return f"N{joined}" if joined[:1].isdigit() else joined
