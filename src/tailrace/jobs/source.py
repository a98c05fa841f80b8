"""Whether the table that answers is the one that a landing zone holds the changes of."""

from __future__ import annotations

from tailrace.errors import ConfigInvalid, SourceChanged
from tailrace.model.manifest import Incarnation, Manifest


def check_place(account: str, region: str, known: Incarnation) -> None:
    """Raises ConfigInvalid where another account or region answers: no table is made anew there, the caller was led astray.

    So nothing of it is recorded, and with the right credentials everything goes on.
    """
    if (account, region) == (known.account, known.region):
        return
    raise ConfigInvalid(
        "The table that answers lies in another account or region than the one that was captured into this landing zone",
        hint="Check region, profile, role_arn and endpoint_url in [source], and AWS's variables in the environment. To "
        "replicate that other table, give it a landing prefix and a target table of its own.",
        table=known.table,
        captured=f"{known.account} in {known.region}",
        found=f"{account} in {region}",
    )


def check_source(table_id: str, manifest: Manifest) -> None:
    """Raises SourceChanged unless the table that answers is the one that is captured."""
    known = manifest.incarnation
    if table_id != known.table_id or manifest.state == "SOURCE_CHANGED":
        raise SourceChanged(
            "The table is not the one that is captured, so its items are not read",
            hint="`tailrace status` says more; `tailrace repair` begins anew with this table.",
            table=known.table,
        )
