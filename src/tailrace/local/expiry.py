"""Time to live by the movable clock: expired items are deleted as the service does it, with its identity in the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from tailrace.local.emulator import Emulator, Owner, ServiceError
from tailrace.local.streams import StreamService

OLDEST_SECONDS: Final = 5 * 365 * 24 * 3600  # DynamoDB ignores older expiry times


class Expiry:
    """The TTL settings of all tables. The emulator's own would delete by the machine's clock and without a stream record."""

    def __init__(self, emulator: Emulator, streams: StreamService, now: Callable[[], float]) -> None:
        self._emulator = emulator
        self._streams = streams
        self._now = now
        self._attributes: dict[tuple[Owner, str], str] = {}
        self._lock = asyncio.Lock()

    async def describe(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        """DescribeTimeToLive."""
        attribute = self._attributes.get((owner, await self._table(request, owner)))
        if attribute is None:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}}

    async def update(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        """UpdateTimeToLive."""
        table = await self._table(request, owner)
        specification = request.get("TimeToLiveSpecification") or {}
        enable, attribute = specification.get("Enabled"), specification.get("AttributeName")
        if not isinstance(enable, bool) or not isinstance(attribute, str) or not attribute:
            raise ServiceError("ValidationException", "TimeToLiveSpecification needs Enabled and AttributeName")
        current = self._attributes.get((owner, table))
        if enable == (current is not None):
            raise ServiceError("ValidationException", f"TimeToLive is already {'enabled' if enable else 'disabled'}")
        if enable:
            self._attributes[owner, table] = attribute
        elif attribute != current:
            raise ServiceError("ValidationException", "TimeToLive is active on a different AttributeName")
        else:
            del self._attributes[owner, table]
        return {"TimeToLiveSpecification": {"Enabled": enable, "AttributeName": attribute}}

    def forget(self, table: str, owner: Owner) -> None:
        """The table is deleted."""
        self._attributes.pop((owner, table), None)

    async def expire(self) -> None:
        """Delete everything that has expired by now."""
        async with self._lock:
            for (owner, table), attribute in list(self._attributes.items()):
                try:
                    await self._expire_table(table, owner, attribute)
                except ServiceError as error:
                    if error.code != "ResourceNotFoundException":
                        raise
                    self.forget(table, owner)

    def to_json(self) -> list[list[str]]:
        return [[owner.account, owner.region, table, name] for (owner, table), name in self._attributes.items()]

    def resume(self, kept: list[list[str]]) -> None:
        self._attributes = {(Owner(account, region), table): name for account, region, table, name in kept}

    # ---- inside

    async def _table(self, request: Mapping[str, Any], owner: Owner) -> str:
        """The name, of a table that exists."""
        described = await self._emulator.call("DescribeTable", {"TableName": request.get("TableName")}, owner)
        return str(described["Table"]["TableName"])

    async def _expire_table(self, table: str, owner: Owner, attribute: str) -> None:
        stream = await self._streams.register(table, owner)
        schema = (await self._emulator.call("DescribeTable", {"TableName": table}, owner))["Table"]["KeySchema"]
        now = int(self._now())
        scan: dict[str, Any] = {
            "TableName": table,
            "FilterExpression": "#t < :now AND #t > :oldest",
            "ExpressionAttributeNames": {"#t": attribute},
            "ExpressionAttributeValues": {":now": {"N": str(now)}, ":oldest": {"N": str(now - OLDEST_SECONDS)}},
        }
        while True:
            page = await self._emulator.call("Scan", scan, owner)
            for item in page["Items"]:
                key = {name["AttributeName"]: item[name["AttributeName"]] for name in schema}
                if stream is not None:
                    self._streams.take_changes_of(stream)  # what came before is not ours
                await self._delete(table, owner, key, attribute, item[attribute])
                if stream is not None:
                    self._streams.take_changes_of(stream, expired=key)
            if "LastEvaluatedKey" not in page:
                return
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            await asyncio.sleep(0)  # others have their turn between pages

    async def _delete(
        self, table: str, owner: Owner, key: Mapping[str, Any], attribute: str, expiry: Mapping[str, Any]
    ) -> None:
        """Unless the item was written again in between."""
        request = {
            "TableName": table,
            "Key": key,
            "ConditionExpression": "#t = :expiry",
            "ExpressionAttributeNames": {"#t": attribute},
            "ExpressionAttributeValues": {":expiry": expiry},
        }
        try:
            await self._emulator.call("DeleteItem", request, owner)
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
