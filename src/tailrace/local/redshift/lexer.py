"""Redshift's SQL as tokens. Its rules, not PostgreSQL's: a backslash escapes in every string, and quoted names fold, too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

STATEMENT_BYTES: Final = 16 * 1024 * 1024
NAME_BYTES: Final = 127
POSTGRES_NAME_BYTES: Final = 63

TokenKind: TypeAlias = Literal["space", "string", "name", "word", "number", "parameter", "symbol"]


class RedshiftError(Exception):
    """What Redshift answers to a statement: `sqlstate`, message, detail."""

    def __init__(self, message: str, *, detail: str = "", sqlstate: str = "XX000") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        return f"ERROR: {self.message}" + (f"\n  Detail: {self.detail}" if self.detail else "")


def syntax_error(near: str) -> RedshiftError:
    return RedshiftError(f'syntax error at or near "{near}"', sqlstate="42601")


def not_here(what: str) -> RedshiftError:
    """Redshift may know it; the stand-in does not, and says so rather than guess."""
    return RedshiftError(f"{what} is not in the Redshift stand-in", sqlstate="0A000")


@dataclass(frozen=True, slots=True)
class Token:
    """`value`: of a name the folded name, of a word the word in capitals, of a string its content; else the text."""

    kind: TokenKind
    text: str
    value: str

    @property
    def is_name(self) -> bool:
        return self.kind in ("name", "word")

    @property
    def name(self) -> str:
        """As an identifier, folded."""
        return self.value if self.kind == "name" else self.text.translate(_FOLD)


_FOLD: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<string>[eE]?'(?:[^'\\]|''|\\.)*')
  | (?P<name>"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*)
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<cast>::)
  | (?P<parameter>:[A-Za-z_]\w*)
  | (?P<arrow>->)
  | (?P<symbol>\|\||<>|!=|<=|>=|[-+*/%=<>(),.;])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"''|\\(.)", re.DOTALL)


def tokens_of(sql: str) -> list[Token]:
    """All of them, blanks and comments as one blank each. Raises RedshiftError for what is no token."""
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        raise RedshiftError("a statement is not UTF-8", sqlstate="22021") from error
    if size > STATEMENT_BYTES:
        raise RedshiftError(
            f"Statement is too large. Statement Size: {size} bytes. Maximum Allowed: {STATEMENT_BYTES} bytes",
            sqlstate="54000",
        )
    if "\0" in sql:
        raise RedshiftError("a statement holds no NUL", sqlstate="22021")
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None or found.lastgroup == "arrow":
            raise syntax_error(sql[at : at + 20].split()[0])
        text, at = found.group(), found.end()
        match found.lastgroup:
            case "space":
                yield Token("space", " ", " ")
            case "comment":
                at = _end_of_comment(sql, at)
                yield Token("space", " ", " ")
            case "string":
                content = text.lstrip("eE")[1:-1]
                yield Token("string", text, _ESCAPE.sub(lambda escape: escape.group(1) or "'", content))
            case "name":
                yield Token("name", text, _checked_name(text[1:-1].replace('""', '"')))
            case "word":
                _checked_name(text)
                yield Token("word", text, text.upper())
            case "number":
                yield Token("number", text, text)
            case "parameter":
                yield Token("parameter", text, text[1:])
            case _:
                yield Token("symbol", text, text)


def _end_of_comment(sql: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    for found in re.finditer(r"/\*|\*/", sql[at:]):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return at + found.end()
    raise RedshiftError("unterminated /* comment", sqlstate="42601")


def _checked_name(name: str) -> str:
    size = len(name.encode())
    if size == 0:
        raise RedshiftError('zero-length delimited identifier at or near """"', sqlstate="42601")
    if size > NAME_BYTES:
        raise RedshiftError(f'identifier "{name}" has {size} bytes; the most are {NAME_BYTES}', sqlstate="42622")
    return name.translate(_FOLD)


def postgres_name(name: str) -> str:
    """A folded name as PostgreSQL, which keeps 63 bytes, can hold it. Different names stay different."""
    data = name.encode()
    if len(data) <= POSTGRES_NAME_BYTES:
        return name
    digest = hashlib.sha256(data).hexdigest()[:20]
    return data[: POSTGRES_NAME_BYTES - 21].decode(errors="ignore") + "~" + digest


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def words_at(tokens: Sequence[Token], at: int, *words: str) -> bool:
    """Whether these words stand there, one after the other; `tokens` hold no blanks."""
    return [token.value if token.kind in ("word", "symbol") else None for token in tokens[at : at + len(words)]] == [
        *words
    ]


def end_of_group(tokens: Sequence[Token], at: int) -> int:
    """Just behind the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].kind == "symbol":
            depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth == 0:
            return index + 1
    raise syntax_error("end of input")


def split_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """The parts between the commas that no bracket holds."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
            if token.text == "," and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts
