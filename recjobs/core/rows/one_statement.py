"""Whether a text is one select statement, by sqlglot's tokenizer for Postgres. Why so: docs/decisions/0017."""

import re
from bisect import bisect_left
from itertools import accumulate

_COMMENT = re.compile(r"(?<!-)--|(?<!\*)/\*")
_DOLLAR_QUOTE = re.compile(r"\$([A-Za-z_]\w*)?\$", re.ASCII)
_FIRST = ("select", "with", "values", "table")


def one_statement(sql: str) -> str:
    """Return the statement without a semicolon at its end.

    Raises ValueError, saying why, when it is none, several, or one that is no select, with, values or table.
    """
    from sqlglot import TokenType  # a fifth of a second, which only a catalog with SQL sources pays
    from sqlglot.dialects.postgres import Postgres
    from sqlglot.errors import TokenError

    pieces = _as_postgres_reads_it(sql)
    text = "".join(pieces)
    try:
        tokens = Postgres.Tokenizer().tokenize(text)
    except TokenError:
        raise ValueError("opens a quote or a comment that it does not close") from None
    depth, end = 0, None
    for token in tokens:
        if end is not None:
            raise ValueError("holds several statements; give one select")
        if token.token_type is TokenType.SEMICOLON:
            end = bisect_left(list(accumulate(map(len, pieces))), token.start + 1)
        elif token.text.startswith("$") and token.token_type is TokenType.PARAMETER:
            raise ValueError("has a parameter, which nothing gives a value to; give one select without $")
        elif token.token_type is TokenType.HEREDOC_STRING and not _DOLLAR_QUOTE.match(text, token.start):
            raise ValueError("has a $ that begins no quote")
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth < 0:
            raise ValueError("closes a bracket that it did not open")
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), None)
    if first is None or first.token_type is TokenType.SEMICOLON:
        raise ValueError("is empty; give one select")
    if first.text.lower() not in _FIRST:
        raise ValueError(f"begins with {first.text}; give one select, with, values or table")
    return sql[:end]


def _as_postgres_reads_it(sql: str) -> list[str]:
    """Each character as one of ASCII that sqlglot reads as Postgres reads the original.

    To Postgres every character beyond ASCII is a letter, which no `$` or `E'` behind it begins a quote after; an
    operator ends where a comment begins; and braces are no template. Two texts never become the same one within
    letters and digits, so that a dollar quote ends where it did.
    """
    comments = {match.start() for match in _COMMENT.finditer(sql)}
    other = {"z": "zz", "{": "[", "}": "]"}
    letters = (other.get(c, c if c.isascii() else f"z{ord(c):x}y") for c in sql)
    return [f" {letter}" if at in comments else letter for at, letter in enumerate(letters)]
