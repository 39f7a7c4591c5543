"""Hostile ids: each must come through byte for byte, but for those that cannot be an id at all."""

import pyarrow as pa

from tests.corpus.ground import SOUND, Ground, table_of
from tests.unit.hostile import HOSTILE


def _of(ground: Ground, *ids: str) -> None:
    """Each as a user and as an item."""
    ground.rows(*({"user": one, "item": one} for one in ids))
    ground.ids = set(ids)


def numbers_with_zeros_in_front(ground: Ground) -> None:
    _of(ground, "007", "7", "07", "+7", "7.0", "-0", "0")


def words_for_nothing(ground: Ground) -> None:
    _of(ground, "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "#N/A")


def words_for_a_switch(ground: Ground) -> None:
    _of(ground, "true", "True", "no", "on")


def numbers_in_disguise(ground: Ground) -> None:
    _of(ground, "1e5", "100000", "1E5", "0x1F", "1_000", "1,000", "inf")


def greater_than_64_bits(ground: Ground) -> None:
    _of(ground, str(2**63), str(2**64), str(10**40))


def neighbours_beyond_53_bits(ground: Ground) -> None:
    _of(ground, str(2**53), str(2**53 + 1))


def integers_beside_a_blank(ground: Ground) -> None:
    more = [SOUND[0] | {"user": str(2**53 + 1)}, SOUND[0] | {"user": ""}]
    users = [None if row["user"] == "" else int(row["user"].lstrip("u")) for row in SOUND + more]
    table = table_of(SOUND + more)
    ground.table(table.set_column(0, "user", pa.array(users, pa.int64())))
    ground.ids = {str(2**53 + 1)}


def unsigned_integers(ground: Ground) -> None:
    ground.column("item", pa.array([2**64 - 1 - n % 13 for n in range(200)], pa.uint64()))
    ground.ids = {str(2**64 - 1)}


def dates(ground: Ground) -> None:
    _of(ground, "2025-01-01", "1/2", "MARCH1")


def what_postgres_reads_as_null(ground: Ground) -> None:
    _of(ground, r"\N", r"\.", "\\", r"\\N")


def quotes(ground: Ground) -> None:
    _of(ground, '"', "'", '""', 'a"b', "it's", "`")


def commas(ground: Ground) -> None:
    _of(ground, ",", "a,b", ";", "|")


def tabs_and_newlines(ground: Ground) -> None:
    _of(ground, "a\tb", "a\nb", "a\r\nb", "a\rb", "\n")


def spaces(ground: Ground) -> None:
    _of(ground, " ", "  ", " 7", "7 ", "\u00a0", "\u3000", "\u200b")


def emoji(ground: Ground) -> None:
    _of(ground, "🙂", "👩‍👩‍👧", "🇮🇹")


def composed_and_decomposed(ground: Ground) -> None:
    _of(ground, "caf\u00e9", "cafe\u0301", "\u212b", "\u00c5")


def upper_and_lower_case(ground: Ground) -> None:
    _of(ground, "Straße", "STRASSE", "strasse", "İ", "i", "I")


def marks_of_direction(ground: Ground) -> None:
    _of(ground, "\u202eabc", "\u200f7", "\u2066x\u2069")


def byte_order_marks(ground: Ground) -> None:
    _of(ground, "\ufeff7", "\ufeff", "\ufffd")


def control_characters(ground: Ground) -> None:
    _of(ground, "\x01", "\x1f", "\x7f", "\x1b[31m")


def paths(ground: Ground) -> None:
    _of(ground, "a/b", "../", "../../etc/passwd", ".", "/", "C:\\x")


def addresses(ground: Ground) -> None:
    _of(ground, "%2F", "%00", "?a=b&c#d", "http://x/")


def markup(ground: Ground) -> None:
    _of(ground, "<script>alert(1)</script>", "&amp;", "{{7*7}}", "${x}")


def statements(ground: Ground) -> None:
    _of(ground, "'; drop table items; --", "%s", "%(x)s", "$1")


def formulas(ground: Ground) -> None:
    _of(ground, "=1+1", "@SUM(A1)", "-1")


def of_256_bytes(ground: Ground) -> None:
    _of(ground, "x" * 256, "ü" * 128, "🙂" * 64)


def all_of_them_at_once(ground: Ground) -> None:
    _of(ground, *HOSTILE)
    ground.tree["limits"] = {"bots": {"min_interactions": 10_000}}


def empty(ground: Ground) -> None:
    ground.rows({"user": ""}, {"item": ""}, {"user": "", "item": ""})


def missing(ground: Ground) -> None:
    ground.table(table_of([*SOUND, SOUND[0] | {"user": None}, SOUND[0] | {"item": None}]))


def of_257_bytes(ground: Ground) -> None:
    ground.rows({"user": "x" * 257}, {"item": "ü" * 128 + "x"}, {"item": "🙂" * 65})


def with_nul(ground: Ground) -> None:
    ground.rows({"user": "a\0b"}, {"item": "\0"})


def unknown_item(ground: Ground) -> None:
    ground.rows({"item": "nobody sells it"}, {"item": "I01"}, {"item": " i01"})
    items = "id,title\n" + "".join(f"i{n:02},Thing {n}\n" for n in range(13))
    (ground.data / "items.csv").write_text(items)
    ground.tree["items"] = {"path": "items.csv", "columns": {"item_id": "id", "title": "title"}}


def unknown_item_to_quarantine(ground: Ground) -> None:
    unknown_item(ground)
    ground.tree["items"]["unknown"] = "quarantine"


def unknown_item_to_refuse(ground: Ground) -> None:
    unknown_item(ground)
    ground.tree["items"]["unknown"] = "refuse"
