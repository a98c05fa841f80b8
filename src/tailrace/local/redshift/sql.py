"""One statement of Redshift's SQL, checked against what Redshift takes and turned into PostgreSQL's.

What Redshift refuses is refused here, too, although PostgreSQL would do it. What Redshift may do and the stand-in does not
know is refused as such, never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tailrace.local.redshift.lexer import (
    POSTGRES_NAME_BYTES,
    RedshiftError,
    Token,
    end_of_group,
    not_here,
    postgres_name,
    quoted,
    split_at_commas,
    syntax_error,
    tokens_of,
    words_at,
)
from tailrace.local.redshift.types import SqlType, cast_type, type_at


@dataclass(slots=True)
class Copy:
    """COPY from S3. `columns` as PostgreSQL names them; None: all of the table, in their order."""

    table: str  # quoted, with its schema where the statement names one
    columns: tuple[str, ...] | None
    url: str
    form: str  # PARQUET or JSON
    json_option: str = "auto"
    gzip: bool = False
    serialize_to_json: bool = False
    truncate_columns: bool = False


@dataclass(slots=True)
class Unload:
    """UNLOAD to S3 as Parquet. `query` in PostgreSQL's words."""

    query: str
    url: str
    manifest: bool
    overwrite: bool


@dataclass(slots=True)
class Statement:
    """What to do in PostgreSQL. `text` is empty where nothing is to be done.

    `verb`: its first word. `domains`: types that must exist first. `names`: PostgreSQL's shorter names to those meant.
    `parameters`: of $1, $2 …
    """

    verb: str
    text: str = ""
    copy: Copy | None = None
    unload: Unload | None = None
    domains: set[SqlType] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)


def read_statement(sql: str, *, in_transaction: bool = False) -> Statement:
    """Raises RedshiftError."""
    tokens = [token for token in tokens_of(sql) if token.kind != "space"]
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise RedshiftError("the statement is empty", sqlstate="42601")
    if any(token.text == ";" for token in tokens):
        raise RedshiftError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
    return _Reader(tokens, in_transaction).read()


# Sequences of words that PostgreSQL knows and Redshift does not.
_UNKNOWN: Final = (
    ("RETURNING",), ("ON", "CONFLICT"), ("DISTINCT", "ON"), ("FOR", "UPDATE"), ("FOR", "SHARE"), ("LATERAL",),
    ("TABLESAMPLE",), ("FILTER", "("), ("WITH", "ORDINALITY"), ("MATERIALIZED",),
)  # fmt: skip
# What Redshift knows and PostgreSQL does not.
_MISSING: Final = (("QUALIFY",), ("PIVOT",), ("UNPIVOT",), ("REMOVE", "DUPLICATES"), ("SYSDATE",), ("TOP",))
# Reserved there, and a name like any other in PostgreSQL; none of them is part of a statement that the stand-in knows.
_RESERVED: Final = frozenset(
    """
    AES128 AES256 BLANKSASNULL BYTEDICT BZIP2 CREDENTIALS DEFLATE DEFRAG DELTA DELTA32K DISABLE EMPTYASNULL
    ENABLE ENCRYPT ENCRYPTION EXPLICIT GLOBALDICT256 GLOBALDICT64K LUN LUNS LZO LZOP MINUS MOSTLY16 MOSTLY32
    MOSTLY8 NEW OFFLINE OID OLD OPEN PERMISSIONS RAW READRATIO RECOVER REJECTLOG RESORT RESTORE SYSTEM TAG TDES
    TEXT255 TEXT32K WALLET
    """.split()  # noqa: SIM905
)
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")
_KEYWORDS_THERE: Final = ("JSON_SERIALIZE",)  # functions whose names PostgreSQL has taken for syntax
_SETTINGS: Final = ("STATEMENT_TIMEOUT", "SEARCH_PATH", "TIMEZONE", "DATESTYLE")
_LABELS: Final = ("QUERY_GROUP", "ENABLE_RESULT_CACHE_FOR_SESSION")
_COPY_FLAGS: Final = ("MANIFEST", "GZIP", "SERIALIZETOJSON", "TRUNCATECOLUMNS")
_COPY_VALUES: Final = ("IAM_ROLE", "STATUPDATE", "COMPUPDATE", "MAXERROR", "TIMEFORMAT")
_COPY_PARQUET: Final = ("MANIFEST", "SERIALIZETOJSON", "IAM_ROLE", "STATUPDATE")


class _Reader:
    """Of one statement's tokens, without blanks."""

    def __init__(self, tokens: Sequence[Token], in_transaction: bool) -> None:
        self._tokens = tokens
        self._in_transaction = in_transaction
        self._statement = Statement(tokens[0].value if tokens[0].kind == "word" else tokens[0].text)

    def read(self) -> Statement:
        tokens, done = self._tokens, self._statement
        match done.verb:
            case (
                "SELECT"
                | "WITH"
                | "INSERT"
                | "UPDATE"
                | "DELETE"
                | "EXPLAIN"
                | "GRANT"
                | "REVOKE"
                | "COMMENT"
                | "SHOW"
                | "("
            ):
                done.text = self._rewritten(tokens)
            case "MERGE":
                self._check_merge()
                done.text = self._rewritten(tokens)
            case "COPY":
                done.copy = self._copy()
            case "UNLOAD":
                done.unload = self._unload()
            case "CREATE":
                done.text = self._create()
            case "ALTER":
                done.text = self._alter()
            case "DROP":
                if len(tokens) < 3 or tokens[1].value not in ("TABLE", "VIEW", "SCHEMA"):
                    raise not_here(f"DROP {tokens[1].text if len(tokens) > 1 else ''}".strip())
                done.text = self._rewritten(tokens)
            case "LOCK":
                done.text = self._lock()
            case "TRUNCATE":
                names = tokens[2:] if words_at(tokens, 1, "TABLE") else tokens[1:]
                if "," in [token.text for token in names]:
                    raise syntax_error(",")
                done.text = "TRUNCATE TABLE " + self._rewritten(names)
            case "ANALYZE" | "VACUUM":
                done.text = self._maintenance()
            case "SET":
                done.text = self._set()
            case "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT":
                done.verb = {"START": "BEGIN", "END": "COMMIT", "ABORT": "ROLLBACK"}.get(done.verb, done.verb)
                if any(token.value not in _TRANSACTION_WORDS for token in tokens[1:]):
                    raise syntax_error(tokens[1].text)
                done.text = done.verb
            case "SAVEPOINT" | "RELEASE" | "DO" | "LISTEN" | "NOTIFY" | "CLUSTER" | "REINDEX":
                raise syntax_error(tokens[0].text)
            case _:
                raise not_here(tokens[0].text)
        return done

    # ---- any text

    def _rewritten(self, tokens: Sequence[Token]) -> str:
        """The same in PostgreSQL's words."""
        self._check_words(tokens)
        parts: list[str] = []
        casts: list[int] = []  # how deep in brackets an open CAST( began
        depth = at = 0
        while at < len(tokens):
            token = tokens[at]
            if token.text == "(":
                depth += 1
                if at and words_at(tokens, at - 1, "CAST"):
                    casts.append(depth)
            elif token.text == ")":
                if casts and casts[-1] == depth:
                    casts.pop()
                depth -= 1
            is_cast = token.kind == "symbol" and token.text == "::"
            if is_cast or (casts and casts[-1] == depth and words_at(tokens, at, "AS")):
                found, end = type_at(tokens, at + 1)
                of_null = at > 0 and words_at(tokens, at - 1, "NULL")
                parts.append(f"{token.text} {cast_type(found, of_null=of_null)}")
                at = end
                continue
            parts.append(self._token(token))
            at += 1
        return " ".join(parts)

    def _token(self, token: Token) -> str:
        if token.kind == "parameter":
            if token.value not in self._statement.parameters:
                self._statement.parameters.append(token.value)
            return f"${self._statement.parameters.index(token.value) + 1}"
        is_long = token.kind == "word" and len(token.text.encode()) > POSTGRES_NAME_BYTES
        if token.kind == "name" or is_long or token.value in _KEYWORDS_THERE:
            return self._quoted(token)
        return token.text

    def _quoted(self, token: Token) -> str:
        """As PostgreSQL holds the name."""
        if token.kind == "word" and token.value in _RESERVED:
            raise syntax_error(token.text)
        name = token.name
        short = postgres_name(name)
        if short != name:
            self._statement.names[short] = name
        return quoted(short)

    def _check_words(self, tokens: Sequence[Token]) -> None:
        for at, token in enumerate(tokens):
            if (
                token.kind == "string"
                and at
                and tokens[at - 1].kind == "word"
                and tokens[at - 1].value in ("X", "B", "U")
            ):
                raise syntax_error(token.text)
            if token.kind != "word":
                continue
            before = tokens[at - 1] if at else None
            if token.value in _RESERVED and (before is None or (before.value != "AS" and before.text != ".")):
                raise syntax_error(token.text)
            if token.value in _CHANGES and at and tokens[at - 1].text == "(":  # in a WITH or a subquery
                raise syntax_error(token.text)
            for words in _UNKNOWN:
                if words_at(tokens, at, *words):
                    raise syntax_error(token.text)
            for words in _MISSING:
                if words_at(tokens, at, *words):
                    raise not_here(token.text)

    def _name(self, tokens: Sequence[Token], at: int) -> tuple[str, int]:
        """A table's name, perhaps with its schema, and where it ends."""
        if at >= len(tokens) or not tokens[at].is_name:
            raise syntax_error(tokens[at].text if at < len(tokens) else "end of input")
        text, at = self._quoted(tokens[at]), at + 1
        while at + 1 < len(tokens) and tokens[at].text == "." and tokens[at + 1].is_name:
            text, at = f"{text}.{self._quoted(tokens[at + 1])}", at + 2
        return text, at

    def _outside_transaction(self, what: str) -> None:
        if self._in_transaction:
            raise RedshiftError(f"{what} cannot run inside a transaction block", sqlstate="25001")

    # ---- MERGE

    def _check_merge(self) -> None:
        """One WHEN MATCHED and one WHEN NOT MATCHED, without conditions."""
        tokens = self._tokens
        if not words_at(tokens, 0, "MERGE", "INTO"):
            raise syntax_error(tokens[min(1, len(tokens) - 1)].text)
        self._check_words(tokens)
        target, at = self._name(tokens, 2)
        if words_at(tokens, at, "USING") and self._name_at(at + 1) == target:
            raise RedshiftError("the target and the source of MERGE must be different tables", sqlstate="42P20")
        whens = list(_top_level_whens(tokens))
        clauses = [tokens[start:end] for start, end in zip(whens, [*whens[1:], len(tokens)], strict=True)]
        for clause in clauses:
            matched, then = (2, 1) if not words_at(clause, 1, "NOT") else (3, 2)
            if not words_at(clause, then, "MATCHED"):
                raise syntax_error(clause[0].text)
            if not words_at(clause, matched, "THEN"):
                raise syntax_error(clause[matched].text if len(clause) > matched else "end of input")
        kinds = ["NOT MATCHED" if words_at(clause, 1, "NOT") else "MATCHED" for clause in clauses]
        if kinds != ["MATCHED", "NOT MATCHED"]:
            raise RedshiftError(
                "MERGE takes one WHEN MATCHED clause, then one WHEN NOT MATCHED clause", sqlstate="42601"
            )
        update, insert = clauses[0][3:], clauses[1][4:]
        if words_at(update, 0, "UPDATE", "SET"):
            for part in split_at_commas(update[2:]):
                if len(part) > 1 and part[1].text == ".":
                    raise syntax_error(".")
        elif not words_at(update, 0, "DELETE"):
            raise syntax_error(update[0].text if update else "end of input")
        if not words_at(insert, 0, "INSERT") or "VALUES" not in [token.value for token in insert]:
            raise syntax_error(insert[0].text if insert else "end of input")

    def _name_at(self, at: int) -> str | None:
        if at < len(self._tokens) and self._tokens[at].is_name:
            return self._name(self._tokens, at)[0]
        return None

    # ---- COPY

    def _copy(self) -> Copy:
        tokens = self._tokens
        table, at = self._name(tokens, 1)
        columns = None
        if at < len(tokens) and tokens[at].text == "(":
            end = end_of_group(tokens, at)
            columns = tuple(self._name(part, 0)[0] for part in split_at_commas(tokens[at + 1 : end - 1]))
            at = end
        if not words_at(tokens, at, "FROM") or at + 1 >= len(tokens) or tokens[at + 1].kind != "string":
            raise syntax_error(tokens[at].text if at < len(tokens) else "end of input")
        copy = Copy(table, columns, tokens[at + 1].value, "")
        if not copy.url.startswith("s3://"):
            raise not_here("COPY from anything but s3://")
        options = self._copy_options(copy, at + 2)
        if "IAM_ROLE" not in options:
            raise RedshiftError("COPY needs IAM_ROLE or other credentials", sqlstate="42601")
        if "MANIFEST" not in options:
            raise not_here("COPY of a prefix, without MANIFEST,")
        if not copy.form:
            raise not_here("COPY of anything but PARQUET and JSON")
        if copy.form == "PARQUET":
            for option in options:
                if option not in _COPY_PARQUET:
                    raise RedshiftError(f"{option} argument is not supported for PARQUET based COPY", sqlstate="0A000")
        elif copy.serialize_to_json:
            raise RedshiftError("SERIALIZETOJSON is supported for columnar formats only", sqlstate="0A000")
        if options.get("MAXERROR", "0") not in ("0", "1"):
            raise not_here("COPY that leaves out rows (MAXERROR)")
        if options.get("TIMEFORMAT", "auto") != "auto":
            raise not_here("TIMEFORMAT other than 'auto'")
        copy.gzip, copy.serialize_to_json = "GZIP" in options, "SERIALIZETOJSON" in options
        copy.truncate_columns = "TRUNCATECOLUMNS" in options
        return copy

    def _copy_options(self, copy: Copy, at: int) -> dict[str, str]:
        tokens, options = self._tokens, dict[str, str]()
        while at < len(tokens):
            word = tokens[at].value if tokens[at].kind == "word" else ""
            at += 1
            if word == "FORMAT":
                at += words_at(tokens, at, "AS")
                word = tokens[at].value if at < len(tokens) else ""
                at += 1
                if word not in ("PARQUET", "JSON"):
                    raise not_here(f"FORMAT {word}")
            if word in ("PARQUET", "JSON"):
                at += word == "JSON" and words_at(tokens, at, "AS")
                copy.form = word
                if word == "JSON":
                    copy.json_option = self._string(at)
                    at += 1
                    if copy.json_option not in ("auto", "auto ignorecase", "noshred"):
                        raise not_here("COPY of JSON by a jsonpaths file")
            elif word in _COPY_FLAGS:
                options[word] = ""
            elif word in _COPY_VALUES:
                at += words_at(tokens, at, "AS")
                value = tokens[at] if at < len(tokens) else Token("word", "end of input", "")
                is_switch = word in ("STATUPDATE", "COMPUPDATE")
                if is_switch and value.value not in ("ON", "OFF", "TRUE", "FALSE", "PRESET"):
                    at -= 1  # without a value it means ON
                elif not is_switch and value.kind not in ("string", "number") and value.value != "DEFAULT":
                    raise syntax_error(value.text)
                options[word] = value.value
                at += 1
            else:
                raise not_here(f"the COPY option {tokens[at - 1].text}")
        return options

    def _string(self, at: int) -> str:
        if at >= len(self._tokens) or self._tokens[at].kind != "string":
            raise syntax_error(self._tokens[at].text if at < len(self._tokens) else "end of input")
        return self._tokens[at].value

    # ---- UNLOAD

    def _unload(self) -> Unload:
        tokens = self._tokens
        if not words_at(tokens, 1, "(") or not words_at(tokens, 3, ")", "TO"):
            raise syntax_error(tokens[min(1, len(tokens) - 1)].text)
        inner = read_statement(self._string(2), in_transaction=self._in_transaction)
        if inner.verb not in ("SELECT", "WITH", "(") or inner.parameters:
            raise RedshiftError("UNLOAD takes a SELECT", sqlstate="42601")
        self._statement.domains |= inner.domains
        self._statement.names |= inner.names
        url, at = self._string(5), 6
        flags: set[str] = set()
        while at < len(tokens):
            word, at = tokens[at].value, at + 1
            if word in ("FORMAT", "PARALLEL", "IAM_ROLE"):
                at += words_at(tokens, at, "AS")
                value, at = (tokens[at].value if at < len(tokens) else ""), at + 1
                if (word, value) not in (("FORMAT", "PARQUET"), ("PARALLEL", "ON")) and word != "IAM_ROLE":
                    raise not_here(f"UNLOAD with {word} {value}")
            elif word not in ("MANIFEST", "ALLOWOVERWRITE", "PARQUET"):
                raise not_here(f"the UNLOAD option {word}")
            flags.add(word)
        if "IAM_ROLE" not in flags:
            raise RedshiftError("UNLOAD needs IAM_ROLE or other credentials", sqlstate="42601")
        if not flags & {"FORMAT", "PARQUET"}:
            raise not_here("UNLOAD of anything but PARQUET")
        return Unload(inner.text, url, "MANIFEST" in flags, "ALLOWOVERWRITE" in flags)

    # ---- CREATE and ALTER

    def _create(self) -> str:
        tokens, at = self._tokens, 1
        head = ["CREATE"]
        if words_at(tokens, at, "OR", "REPLACE") and words_at(tokens, at + 2, "VIEW"):
            return self._rewritten(tokens)
        if words_at(tokens, at, "VIEW") or words_at(tokens, at, "SCHEMA"):
            return self._rewritten(tokens)
        at += words_at(tokens, at, "LOCAL")
        if words_at(tokens, at, "TEMP") or words_at(tokens, at, "TEMPORARY"):
            head.append("TEMP")
            at += 1
        if not words_at(tokens, at, "TABLE"):
            if at < len(tokens) and tokens[at].value in ("INDEX", "UNIQUE", "TYPE", "DOMAIN", "EXTENSION", "SEQUENCE"):
                raise syntax_error(tokens[at].text)
            raise not_here(f"CREATE {tokens[at].text if at < len(tokens) else ''}".strip())
        head.append("TABLE")
        at += 1
        if words_at(tokens, at, "IF", "NOT", "EXISTS"):
            head.append("IF NOT EXISTS")
            at += 3
        name, at = self._name(tokens, at)
        head.append(name)
        columns: dict[str, SqlType] = {}
        if at < len(tokens) and tokens[at].text == "(":
            end = end_of_group(tokens, at)
            parts = [self._table_element(part, columns) for part in split_at_commas(tokens[at + 1 : end - 1])]
            head.append("(" + ", ".join(part for part in parts if part) + ")")
            at = end
        query = self._table_attributes(at, columns)
        if query < len(tokens):
            head.append(self._rewritten(tokens[query:]))
        return " ".join(head)

    def _table_element(self, tokens: Sequence[Token], columns: dict[str, SqlType]) -> str:
        """A column, LIKE, or a constraint; constraints of tables are no more than hints and left out."""
        if not tokens:
            raise syntax_error(",")
        if words_at(tokens, 0, "LIKE"):
            name, at = self._name(tokens, 1)
            words = [token.value for token in tokens[at:]]
            if words not in ([], ["INCLUDING", "DEFAULTS"], ["EXCLUDING", "DEFAULTS"]):
                raise syntax_error(tokens[at].text)
            return " ".join(["LIKE", name, *words])
        if tokens[0].kind == "word" and tokens[0].value in ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT"):
            return ""
        if tokens[0].kind == "word" and tokens[0].value in ("CHECK", "EXCLUDE"):
            raise syntax_error(tokens[0].text)
        return self._column(tokens, columns)

    def _column(self, tokens: Sequence[Token], columns: dict[str, SqlType]) -> str:
        if not tokens[0].is_name:
            raise syntax_error(tokens[0].text)
        kind, at = type_at(tokens, 1)
        if kind.is_domain:
            self._statement.domains.add(kind)
        columns[tokens[0].name] = kind
        parts = [self._quoted(tokens[0]), kind.column()]
        while at < len(tokens):
            word = tokens[at].value if tokens[at].kind == "word" else tokens[at].text
            if words_at(tokens, at, "NOT", "NULL"):
                parts.append("NOT NULL")
                at += 2
            elif word == "NULL":
                at += 1
            elif words_at(tokens, at, "PRIMARY", "KEY"):
                parts.append("NOT NULL")
                at += 2
            elif word == "UNIQUE":
                at += 1
            elif word in ("DISTKEY", "SORTKEY"):
                _check_key(kind, word)
                at += 1
            elif word == "ENCODE":
                at += 2
            elif word == "DEFAULT":
                end = at + 1
                while end < len(tokens) and not (tokens[end].kind == "word" and tokens[end].value in _ATTRIBUTES):
                    end = end_of_group(tokens, end) if tokens[end].text == "(" else end + 1
                if end == at + 1:  # DEFAULT NULL
                    end += 1
                parts.append("DEFAULT " + self._rewritten(tokens[at + 1 : end]))
                at = end
            elif word in ("IDENTITY", "GENERATED", "REFERENCES", "COLLATE"):
                raise not_here(f"a column with {word}")
            else:
                raise syntax_error(tokens[at].text)
        return " ".join(parts)

    def _table_attributes(self, at: int, columns: dict[str, SqlType]) -> int:
        """Check them; they do nothing here. Where AS begins, or the end."""
        tokens = self._tokens
        while at < len(tokens):
            word = tokens[at].value if tokens[at].kind == "word" else tokens[at].text
            if word == "AS":
                return at
            if word in ("COMPOUND", "INTERLEAVED"):
                at += 1
                word = tokens[at].value if at < len(tokens) else ""
                if word != "SORTKEY":
                    raise syntax_error(word)
            if word in ("DISTKEY", "SORTKEY"):
                if word == "SORTKEY" and words_at(tokens, at + 1, "AUTO"):
                    at += 2
                    continue
                if not words_at(tokens, at + 1, "("):
                    raise syntax_error(word)
                end = end_of_group(tokens, at + 1)
                for part in split_at_commas(tokens[at + 2 : end - 1]):
                    if columns and part[0].name not in columns:
                        raise RedshiftError(f'column "{part[0].name}" named in key does not exist', sqlstate="42703")
                    if columns:
                        _check_key(columns[part[0].name], word)
                at = end
            elif word in ("BACKUP", "DISTSTYLE", "ENCODE") and at + 1 < len(tokens):
                if tokens[at + 1].value not in _TABLE_VALUES[word]:
                    raise syntax_error(tokens[at + 1].text)
                at += 2
            else:
                raise syntax_error(tokens[at].text)
        return at

    def _alter(self) -> str:
        """One action at a time, as Redshift has it."""
        tokens = self._tokens
        if not words_at(tokens, 1, "TABLE"):
            raise not_here(f"ALTER {tokens[1].text if len(tokens) > 1 else ''}".strip())
        name, at = self._name(tokens, 2)
        action = tokens[at:]
        if len(split_at_commas(action)) > 1:
            raise syntax_error(",")
        head = f"ALTER TABLE {name}"
        if words_at(action, 0, "ADD"):
            column = action[2:] if words_at(action, 1, "COLUMN") else action[1:]
            if words_at(column, 0, "IF"):
                raise syntax_error("IF")
            if not column or (
                column[0].value in ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT") and column[0].kind == "word"
            ):
                return ""
            words = [token.value for token in column if token.kind == "word"]
            if "NOT" in words and "DEFAULT" not in words:
                raise RedshiftError(
                    "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
                    sqlstate="42601",
                )
            return f"{head} ADD COLUMN {self._column(column, {})}"
        if words_at(action, 0, "DROP"):
            at = 1 + words_at(action, 1, "COLUMN")
            if words_at(action, at, "IF") or words_at(action, at, "CONSTRAINT"):
                raise syntax_error(action[at].text)
            return f"{head} DROP COLUMN {self._rewritten(action[at:])}"
        if words_at(action, 0, "RENAME"):
            return f"{head} {self._rewritten(action)}"
        if words_at(action, 0, "OWNER", "TO"):
            return ""
        if words_at(action, 0, "ALTER", "COLUMN") or (words_at(action, 0, "ALTER") and words_at(action, 2, "TYPE")):
            return self._alter_column(head, action)
        raise not_here("this form of ALTER TABLE")

    def _alter_column(self, head: str, action: Sequence[Token]) -> str:
        at = 1 + words_at(action, 1, "COLUMN")
        if not words_at(action, at + 1, "TYPE"):
            raise not_here("this form of ALTER COLUMN")
        kind, end = type_at(action, at + 2)
        if end != len(action):
            raise syntax_error(action[end].text)
        if kind.name != "varchar":
            raise RedshiftError(f'cannot alter column "{action[at].name}" to type {kind}', sqlstate="0A000")
        self._outside_transaction("ALTER TABLE ALTER COLUMN")
        self._statement.domains.add(kind)
        return f"{head} ALTER COLUMN {self._quoted(action[at])} TYPE {kind.column()}"

    # ---- the rest

    def _lock(self) -> str:
        if not self._in_transaction:
            raise RedshiftError("LOCK TABLE may only be used in a transaction block", sqlstate="25P01")
        tokens = self._tokens
        at = 2 if words_at(tokens, 1, "TABLE") else 1
        names = []
        for part in split_at_commas(tokens[at:]):
            name, end = self._name(part, 0)
            if end != len(part):
                raise syntax_error(part[end].text)
            names.append(name)
        return "LOCK TABLE " + ", ".join(names)

    def _maintenance(self) -> str:
        """ANALYZE and VACUUM of one table; how it is done is PostgreSQL's affair."""
        verb = self._tokens[0].value
        if verb == "VACUUM":
            self._outside_transaction("VACUUM")
        names = [token for token in self._tokens[1:] if token.kind == "name" or token.value not in _MAINTENANCE_WORDS]
        return f"{verb} {self._name(names, 0)[0]}" if names else verb

    def _set(self) -> str:
        tokens = self._tokens
        at = 2 if words_at(tokens, 1, "LOCAL") or words_at(tokens, 1, "SESSION") else 1
        name = tokens[at].value if at < len(tokens) else ""
        if name in _LABELS:
            return ""
        if name not in _SETTINGS:
            raise not_here(f"SET {tokens[at].text if at < len(tokens) else ''}".strip())
        return self._rewritten(tokens)


_TRANSACTION_WORDS: Final = (
    "WORK", "TRANSACTION", "ISOLATION", "LEVEL", "SERIALIZABLE", "SNAPSHOT", "READ", "WRITE", "ONLY", "COMMITTED",
    "REPEATABLE", "UNCOMMITTED", ",",
)  # fmt: skip
_ATTRIBUTES: Final = (
    "NOT", "NULL", "PRIMARY", "UNIQUE", "DISTKEY", "SORTKEY", "ENCODE", "DEFAULT", "IDENTITY", "GENERATED", "REFERENCES",
)  # fmt: skip
_TABLE_VALUES: Final = {
    "BACKUP": ("YES", "NO"), "DISTSTYLE": ("AUTO", "EVEN", "KEY", "ALL"), "ENCODE": ("AUTO",),
}  # fmt: skip
_MAINTENANCE_WORDS: Final = (
    "FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER", "BOOST", "VERBOSE", "PREDICATE", "ALL", "COLUMNS",
)  # fmt: skip


def _check_key(kind: SqlType, word: str) -> None:
    if kind.name == "super":
        raise RedshiftError(f"a SUPER column cannot be a {word.lower()}", sqlstate="0A000")


def _top_level_whens(tokens: Sequence[Token]) -> Iterator[int]:
    """Where WHEN stands outside brackets and CASE."""
    brackets = cases = 0
    for at, token in enumerate(tokens):
        if token.kind == "symbol":
            brackets += (token.text == "(") - (token.text == ")")
        elif token.kind == "word":
            cases += (token.value == "CASE") - (token.value == "END")
            if token.value == "WHEN" and brackets == cases == 0:
                yield at
