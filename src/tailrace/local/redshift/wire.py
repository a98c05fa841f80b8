"""What drivers speak: PostgreSQL's protocol of old, as far as Redshift's own driver uses it. Text and binary results."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeAlias

from tailrace.local.redshift.lexer import RedshiftError, not_here
from tailrace.local.redshift.session import ConnectionLost, Result, Session

Connect: TypeAlias = Callable[[str], Awaitable[Session]]
"""A database's name to a session in it. Raises RedshiftError."""

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_OIDS: Final = {
    "bool": 16, "char": 18, "int8": 20, "int2": 21, "int4": 23, "float4": 700, "float8": 701, "bpchar": 1042, "varchar": 1043,
    "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "timetz": 1266, "numeric": 1700, "super": 4000,
    "varbyte": 6551,
}  # fmt: skip
_PACKED: Final = {"int2": "!h", "int4": "!i", "int8": "!q", "float4": "!f", "float8": "!d"}
_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001


class _Gone(Exception):
    """The driver has hung up."""


class Driver:
    """One connection of a driver, from its first byte to its last."""

    def __init__(self, connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connect = connect
        self._reader = reader
        self._writer = writer
        self._statements: dict[bytes, str] = {}
        self._portal: tuple[str, list[int]] = ("", [])  # the statement that is bound, and the formats of its columns
        self._failed = False

    async def serve(self) -> None:
        session: Session | None = None
        try:
            database = await self._begin()
            try:
                session = await self._connect(database)
            except RedshiftError as error:
                self._refuse(error)
                await self._writer.drain()
                return
            self._greet(session)
            while True:
                await self._writer.drain()
                kind, body = await self._message()
                await self._answer(session, kind, body)
        except (_Gone, ConnectionLost, ConnectionError):
            pass
        finally:
            if session is not None:
                await session.close()
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()

    # ---- the beginning

    async def _begin(self) -> str:
        """The database that is asked for. TLS is refused; any password is taken."""
        while True:
            (size,) = struct.unpack("!i", await self._read(4))
            body = await self._read(size - 4)
            (code,) = struct.unpack_from("!i", body)
            if code == _CANCEL:
                raise _Gone
            if code not in (_SSL, _GSS):
                break
            self._writer.write(b"N")
        words = body[4:].split(b"\0")
        named = dict(zip(words[::2], words[1::2], strict=False))
        self._send(b"R", struct.pack("!i", 3))
        await self._writer.drain()
        await self._message()
        return named.get(b"database", b"").decode()

    def _greet(self, session: Session) -> None:
        self._send(b"R", struct.pack("!i", 0))
        for name, value in (("server_version", "8.0.2"), ("client_encoding", "UTF8")):
            self._send(b"S", f"{name}\0{value}\0".encode())
        self._send(b"K", struct.pack("!ii", session.pid, 0))
        self._ready(session)

    # ---- messages

    async def _answer(self, session: Session, kind: bytes, body: bytes) -> None:
        if kind == b"X":
            raise _Gone
        if kind == b"S":
            self._failed = False
            self._ready(session)
        elif not self._failed and kind != b"H":
            try:
                await self._carry_out(session, kind, body)
            except ConnectionLost:
                raise
            except RedshiftError as error:
                self._refuse(error)
                self._failed = kind != b"Q"
            if kind == b"Q":
                self._ready(session)

    async def _carry_out(self, session: Session, kind: bytes, body: bytes) -> None:
        match kind:
            case b"P":
                name, sql, rest = body.split(b"\0", 2)
                if struct.unpack_from("!h", rest)[0]:
                    raise not_here("a parameter by the wire")
                self._statements[name] = sql.decode()
                self._send(b"1")
            case b"D":
                columns = await session.describe(self._statements[body[1:].rstrip(b"\0")])
                self._send(b"t", struct.pack("!h", 0))
                self._describe(columns)
            case b"B":
                _, name, rest = body.split(b"\0", 2)
                formats = struct.unpack_from(f"!{(len(rest) - 4) // 2 - 1}h", rest, 6)
                self._portal = self._statements[name], list(formats)
                self._send(b"2")
            case b"E":
                bound, wanted = self._portal
                self._rows(await session.execute(bound), wanted, bound)
            case b"C":
                self._statements.pop(body[1:].rstrip(b"\0"), None)
                self._send(b"3")
            case b"Q":
                simple = body.rstrip(b"\0").decode()
                result = await session.execute(simple)
                if result.columns is not None:
                    self._describe(result.columns)
                self._rows(result, [], simple)
            case _:
                raise not_here(f"the message {kind!r}")

    def _describe(self, columns: Sequence[tuple[str, str]] | None) -> None:
        if columns is None:
            self._send(b"n")
            return
        body = struct.pack("!h", len(columns))
        for name, kind in columns:
            body += name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, _OIDS.get(kind, 1043), -1, -1, 0)
        self._send(b"T", body)

    def _rows(self, result: Result, formats: Sequence[int], sql: str) -> None:
        kinds = [kind for _, kind in result.columns or ()]
        for row in result.rows:
            body = struct.pack("!h", len(row))
            for at, (value, kind) in enumerate(zip(row, kinds, strict=True)):
                data = None if value is None else _encoded(value, kind, at < len(formats) and formats[at] == 1)
                body += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
            self._send(b"D", body)
        verb = sql.split(None, 1)[0].upper().strip(";(")
        counts = {"INSERT": f" 0 {result.count}", "UPDATE": f" {result.count}", "DELETE": f" {result.count}"}
        self._send(b"C", f"{'SELECT' if verb == 'WITH' else verb}{counts.get(verb, '')}\0".encode())

    def _refuse(self, error: RedshiftError) -> None:
        fields = {"S": "ERROR", "C": error.sqlstate, "M": error.message, "D": error.detail}
        self._send(b"E", b"".join(f"{name}{text}\0".encode() for name, text in fields.items() if text) + b"\0")

    def _ready(self, session: Session) -> None:
        self._send(b"Z", b"T" if session.in_transaction else b"I")

    # ---- bytes

    def _send(self, kind: bytes, body: bytes = b"") -> None:
        self._writer.write(kind + struct.pack("!i", len(body) + 4) + body)

    async def _message(self) -> tuple[bytes, bytes]:
        kind, size = struct.unpack("!ci", await self._read(5))
        return kind, await self._read(size - 4)

    async def _read(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _Gone from error


def _encoded(value: str, kind: str, binary: bool) -> bytes:
    if not binary or kind not in (*_PACKED, "bool", "timestamp"):
        return value.encode()
    if kind == "bool":
        return b"\1" if value == "t" else b"\0"
    if kind == "timestamp":
        since = datetime.fromisoformat(value) - _EPOCH
        return struct.pack("!q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    return struct.pack(_PACKED[kind], float(value) if kind.startswith("float") else int(value))
