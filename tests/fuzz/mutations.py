"""Damage to bytes, lines and tokens. Knows what JSON and TOML are made of, and nothing of what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tailrace.testing.strategies import AWKWARD_NUMBERS, HOSTILE_NAMES

BYTES_MAX: Final = 1 << 16

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[-+.\w]+|[{}\[\],:=\n]|[^\S\n]+|.', re.DOTALL)
LITERALS: Final = (b"true", b"false", b"null")
CLOSING: Final = {b"{": b"}", b"[": b"]"}
NESTS: Final = (  # the first of them keep JSON whole
    *((b"[", b"]"), (b'{"a":', b"}"), (b'{"M":{"a":', b"}}"), (b'{"L":[', b"]}"), (b'{"L":[{"S":"x"},', b"]}")),
    *((b"{a=", b"}"), (b"a.", b""), (b"- ", b""), (b"", b"}"), (b"[", b"")),
)
WHOLE_NESTS: Final = 5
DEPTHS: Final = (1, 2, 31, 32, 33, 62, 63, 64, 65, 127, 128, 254, 255, 256, 257, 400, 900, 990, 1100, 3000, 20_000)


def _quoted(text: str) -> bytes:
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' else c for c in text)
    return f'"{escaped}"'.encode()


VALUES: Final = (
    *(b"null", b"true", b"false", b"{}", b"[]", b'""', b"0", b"-0", b"1", b"-1", b"1.0", b"1.5", b"1e400", b"1E5"),
    *(str(2**n + d).encode() for n in (31, 53, 63, 64, 70) for d in (-1, 0, 1)),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83e\\udd80"', b'"\\u0000"', b'"\\u00e9"', b"9" * 4000, b"9" * 5000),
    *(b'"0001-01-01T00:00:00+23:00"', b'"9999-12-31T23:59:59.999-23:59"', b'"2026-02-30"', b'"1969-01-01T00:00:00Z"'),
    *(b'"S"', b'"N"', b'"B"', b'"BOOL"', b'"NULL"', b'"SS"', b'"NS"', b'"BS"', b'"M"', b'"L"', b'"AA=="', b'"AB=="'),
    *(b'{"S":"x"}', b'{"N":"1"}', b'{"NS":["1","1.0"]}', b'{"NULL":true}'),
    *(b'{"S":"x","N":"1"}', b'{"M":{}}', b'{"L":[]}', b'"../x"', b'"a/../../b"', b'"/etc/passwd"'),
    *(b'"${HOME}"', b'"$$"', b'"~nobody-at-all/x"', b'"s3://b"', b'"x\\u0000y"'),
    *(_quoted(text) for text in (*HOSTILE_NAMES, *AWKWARD_NUMBERS, "y" * 5000)),
)
WORDS: Final = (
    *VALUES,
    *(b"NaN", b"-Infinity", b"inf", b"''", b'"""', b"[[", b"]]", b"#", b"012", b"0x10", b"1_000", b"08:30", b"e", b"."),
    *(b'"\\"', b'"\\x"', b'"\xff"', b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"\x00", b"\x85", b"\v", b"\f", b"\xc2\xa0"),
    *(b"\r\n", b"\n\n", b" \t", b"2026-11-24T00:00:00Z", b"2026-11-24"),
)


@dataclass(frozen=True)
class Mutator:
    """Draws inputs from a corpus. What it draws depends on the corpus and the given randomness alone."""

    corpus: Sequence[bytes]
    values: Sequence[bytes] = VALUES
    words: Sequence[bytes] = WORDS
    joined_max: int = 1  # entries of the corpus that one input may consist of, line by line

    def draw(self, random: Random) -> bytes:
        data = b"\n".join(random.choice(self.corpus) for _ in range(random.randint(1, self.joined_max)))
        weights = (0, 1, 0, 12) if random.random() < 0.6 else (1, 1, 4, 1)  # most should get past the parser
        for _ in range(random.choice((0, 1, 1, 1, 1, 2, 2, 3, 5))):
            change = random.choices((self._bytes, self._lines, self._tokens, self._values), weights)[0]
            data = change(random, data)[:BYTES_MAX]
        return data

    def _bytes(self, random: Random, data: bytes) -> bytes:
        at, length = _place(random, data), random.choice((1, 1, 2, 4, 16, 100))
        head, piece, tail = data[:at], data[at : at + length], data[at + length :]
        match random.randrange(8):
            case 0 if piece:  # flip a bit
                return head + bytes([piece[0] ^ 1 << random.randrange(8)]) + piece[1:] + tail
            case 1:
                return head + random.randbytes(length) + tail
            case 2:
                return head + random.randbytes(length) + piece + tail
            case 3:
                return head + tail
            case 4:
                return head + piece * random.choice((2, 3, 100)) + tail
            case 5:
                return head
            case 6:  # how this one begins and another ends
                other = random.choice(self.corpus)
                return head + other[_place(random, other) :]
        return head + random.choice(self.words) + piece + tail

    def _lines(self, random: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = random.randrange(len(lines))
        match random.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, random.choice(lines))
            case 2:
                lines.insert(at, random.choice(random.choice(self.corpus).split(b"\n")))
            case 3:
                other = random.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 4:
                lines[at] += random.choice((b" ", b"\r", b"\v", b"\f", b"}", b",", b"\t" * 300, lines[at]))
        return b"\n".join(lines)

    def _tokens(self, random: Random, data: bytes) -> bytes:
        tokens = TOKEN.findall(data)
        if not tokens:
            return random.choice(self.words)
        start = random.randrange(len(tokens))
        end = _end_of_value(tokens, start)
        span = tokens[start:end]
        match random.randrange(9):
            case 0 | 1:
                span = [random.choice(self.words)]
            case 2 | 3:  # another value of this input or of another one
                others = tokens if random.random() < 0.5 else TOKEN.findall(random.choice(self.corpus)) or tokens
                other = random.randrange(len(others))
                span = others[other : _end_of_value(others, other)]
            case 4:
                span = []
            case 5:  # the member that begins here stands twice
                end = _end_of_member(tokens, start)
                span = [*tokens[start:end], b",", *tokens[start:end]]
            case 6:
                before, behind = random.choice(NESTS)
                depth = random.choice(DEPTHS)
                span = [before * depth, *span, behind * depth]
            case 7:  # its text is other text
                span = [_other_text(random, b"".join(span))]
            case 8:
                span = [*span, random.choice((b",", b":", b"=", b"]", b"}", b"\n")), *span]
        return b"".join([*tokens[:start], *span, *tokens[end:]])

    def _values(self, random: Random, data: bytes) -> bytes:
        """Another value for one, or a member more or less: JSON stays JSON, and often TOML TOML."""
        tokens = TOKEN.findall(data)
        is_toml = b"=" in tokens
        starts = [at for at in _values_in(tokens) if not is_toml or tokens[max(at - 2, 0) : at] == [b"=", b" "]]
        if not starts or (is_toml and random.random() < 0.3):
            return self._lines(random, data)
        start = random.choice(starts)
        end = _end_of_value(tokens, start)
        is_name = tokens[end : end + 1] == [b":"]
        span = tokens[start:end]
        match random.choice((0, 1, 2, 5) if is_toml else range(6)):
            case 0 | 1:
                span = [random.choice(self.values)]
            case 2:
                others = tokens if random.random() < 0.5 else TOKEN.findall(random.choice(self.corpus)) or tokens
                other = random.choice(_values_in(others) or [0])
                span = others[other : _end_of_value(others, other)]
            case 3 | 4 as change:
                if start > 1 and tokens[start - 1] == b":":
                    start -= 2
                end = _end_of_member(tokens, start)
                if change == 3:  # once more
                    return b"".join([*tokens[:end], b",", *tokens[start:]])
                if tokens[end : end + 1] == [b","]:
                    end += 1
                elif start and tokens[start - 1] == b",":
                    start -= 1
                return b"".join([*tokens[:start], *tokens[end:]])
            case 5:
                before, behind = random.choice(NESTS[:WHOLE_NESTS])
                depth = random.choice(DEPTHS)
                span = [before * depth, *span, behind * depth]
        if is_name and not b"".join(span).startswith(b'"'):
            span = [b'"' + b"".join(span).replace(b'"', b"'") + b'"']
        return b"".join([*tokens[:start], *span, *tokens[end:]])


def _values_in(tokens: Sequence[bytes]) -> list[int]:
    return [at for at, token in enumerate(tokens) if token[:1] in b'"{[-0123456789' or token in LITERALS]


def _place(random: Random, data: bytes) -> int:
    return random.randint(0, len(data))


def _end_of_value(tokens: Sequence[bytes], start: int) -> int:
    """Behind the bracket that closes the one at `start`; behind the token, where it is none."""
    closing = CLOSING.get(tokens[start])
    depth = 0
    for at in range(start, len(tokens)) if closing else ():
        depth += (tokens[at] == tokens[start]) - (tokens[at] == closing)
        if depth == 0:
            return at + 1
    return start + 1


def _end_of_member(tokens: Sequence[bytes], start: int) -> int:
    """Behind the value, where `start` is a name."""
    if start + 2 < len(tokens) and tokens[start + 1] in (b":", b"="):
        return _end_of_value(tokens, start + 2)
    return _end_of_value(tokens, start)


def _other_text(random: Random, text: bytes) -> bytes:
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: text.upper(),
        lambda: b'"' + text + b'"',
        lambda: text.strip(b'"'),
        lambda: text[:-1] + b"0" * random.choice((1, 40, 400)) + text[-1:],
        lambda: b"-" + text,
        lambda: text.replace(b"e", "é".encode()),
        lambda: text.replace(b"a", b"\\u0061"),
        lambda: text[:1] + random.choice(("\u202e", "\u2028", "\u0085", "\ufeff", "e\u0301", "🦀")).encode() + text[1:],
    )
    return random.choice(changes)()
