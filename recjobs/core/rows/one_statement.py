"""Whether a text is one SQL statement, as far as quotes, comments and semicolons tell."""

import re

_TOKENS = re.compile(
    r"""
    --[^\n]*                                      # a comment to the end of the line
    | /\*                                         # a comment that may hold others
    | \b[eE]'(?:[^'\\]|''|\\.)*'                  # a string with backslashes
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$
    | [;()]
    """,
    re.VERBOSE | re.DOTALL,
)


def one_statement(sql: str) -> str:
    """The statement without a semicolon at its end. Raises ValueError, saying why, when it is none or several."""
    at, depth, end = 0, 0, len(sql)
    while found := _TOKENS.search(sql, at):
        token, at = found.group(), found.end()
        if token == "/*":
            at = _end_of_comment(sql, at)
        elif end < len(sql) and not token.startswith("--"):
            raise ValueError("holds several statements; give one select")
        elif token in "()":
            depth += 1 if token == "(" else -1
            if depth < 0:
                raise ValueError("closes a bracket that it did not open")
        elif token == ";":
            end = found.start()
    if _without_comments(sql[end + 1 :]).strip():
        raise ValueError("holds several statements; give one select")
    statement = sql[:end]
    if not _without_comments(statement).strip():
        raise ValueError("is empty; give one select")
    return statement


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    while depth:
        found = re.compile(r"/\*|\*/").search(sql, at)
        if not found:
            raise ValueError("opens a comment that it does not close")
        depth, at = depth + (1 if found.group() == "/*" else -1), found.end()
    return at


def _without_comments(sql: str) -> str:
    text, at = "", 0
    while found := _TOKENS.search(sql, at):
        token = found.group()
        text += sql[at : found.start()] + ("" if token.startswith(("--", "/*")) else token)
        at = _end_of_comment(sql, found.end()) if token == "/*" else found.end()
    return text + sql[at:]
