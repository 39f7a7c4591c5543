"""Faults of files: what lies there is not what its name, or its export, promises."""

import gzip
import os

import pyarrow.parquet as pq

from tests.corpus.ground import SOUND, Ground, csv_of, table_of

TEXT = csv_of(SOUND)


def missing(ground: Ground) -> None:
    pass


def empty(ground: Ground) -> None:
    ground.file(b"")


def blank_lines_only(ground: Ground) -> None:
    ground.file(b"\n\n\r\n")


def header_only(ground: Ground) -> None:
    ground.file(TEXT.splitlines(True)[0])


def header_twice(ground: Ground) -> None:
    ground.file(TEXT + TEXT.splitlines(True)[0])


def everything_twice(ground: Ground) -> None:
    ground.file(TEXT + TEXT.partition(b"\n")[2])


def empty_folder(ground: Ground) -> None:
    ground.rows()
    (ground.data / "nothing").mkdir()
    ground.source["path"] = "nothing"


def folder_of_unfinished_files(ground: Ground) -> None:
    ground.file(TEXT, "rows/_temporary/part-1.csv")
    ground.source["path"] = "rows"


def folder_named_like_a_file(ground: Ground) -> None:
    (ground.data / "rows.csv").mkdir()


def glob_without_a_match(ground: Ground) -> None:
    ground.rows()
    ground.source["path"] = "rows-*.csv"


def glob_that_matches_a_folder_too(ground: Ground) -> None:
    ground.rows()
    (ground.data / "rows-old.csv").mkdir()
    ground.source["path"] = "rows*.csv"


def symlink_loop(ground: Ground) -> None:
    (ground.data / "rows.csv").symlink_to(ground.data / "other.csv")
    (ground.data / "other.csv").symlink_to(ground.data / "rows.csv")


def symlink_to_nothing(ground: Ground) -> None:
    (ground.data / "rows.csv").symlink_to(ground.data / "gone.csv")


def folder_with_a_loop_in_it(ground: Ground) -> None:
    ground.file(TEXT, "rows/part-1.csv")
    (ground.data / "rows" / "again").symlink_to(ground.data / "rows")
    ground.source["path"] = "rows"


def name_with_a_pattern_in_it(ground: Ground) -> None:
    ground.file(TEXT, "rows[1].csv")


def path_through_a_file(ground: Ground) -> None:
    ground.rows()
    ground.source["path"] = "rows.csv/rows.csv"


def unknown_suffix(ground: Ground) -> None:
    ground.file(TEXT, "rows.xyz")


def formats_mixed(ground: Ground) -> None:
    ground.file(TEXT, "rows/1.csv")
    ground.table(table_of(), "rows/2.parquet")
    ground.source["path"] = "rows/*"


def parquet_named_csv(ground: Ground) -> None:
    (ground.data / "rows.csv").write_bytes(ground.table(table_of()).read_bytes())
    ground.source["path"] = "rows.csv"


def csv_named_parquet(ground: Ground) -> None:
    ground.file(TEXT, "rows.parquet")


def csv_named_gz(ground: Ground) -> None:
    ground.file(TEXT, "rows.csv.gz")


def gzip_named_csv(ground: Ground) -> None:
    ground.file(gzip.compress(TEXT))


def gzip_truncated(ground: Ground) -> None:
    ground.file(gzip.compress(TEXT)[:-200], "rows.csv.gz")


def gzip_corrupt(ground: Ground) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[300:340] = b"\xff" * 40
    ground.file(content, "rows.csv.gz")


def gzip_with_another_checksum(ground: Ground) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[-8] ^= 0xFF
    ground.file(content, "rows.csv.gz")


def gzip_in_two_members(ground: Ground) -> None:
    half = TEXT.index(b"\n", len(TEXT) // 2) + 1
    ground.file(gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:]), "rows.csv.gz")


def parquet_truncated(ground: Ground) -> None:
    path = ground.table(table_of())
    os.truncate(path, path.stat().st_size // 2)


def parquet_corrupt(ground: Ground) -> None:
    path = ground.table(table_of())
    content = bytearray(path.read_bytes())
    content[4:1500] = b"\xff" * 1496
    path.write_bytes(content)


def parquet_footer_corrupt(ground: Ground) -> None:
    path = ground.table(table_of())
    content = bytearray(path.read_bytes())
    content[-300:-8] = b"\xff" * 292
    path.write_bytes(content)


def parquet_without_rows(ground: Ground) -> None:
    ground.table(table_of().slice(0, 0))


def parquet_in_many_row_groups(ground: Ground) -> None:
    pq.write_table(table_of(), ground.table(table_of()), row_group_size=7)


def utf_16(ground: Ground) -> None:
    ground.file(TEXT.decode().encode("utf-16"))


def utf_16_without_a_mark(ground: Ground) -> None:
    ground.file(TEXT.decode().encode("utf-16-le"))


def latin_1(ground: Ground) -> None:
    ground.file(TEXT.replace(b"u05", "é".encode("latin-1")))


def byte_order_mark(ground: Ground) -> None:
    ground.file(b"\xef\xbb\xbf" + TEXT)


def crlf(ground: Ground) -> None:
    ground.file(TEXT.replace(b"\n", b"\r\n"))


def cr_only(ground: Ground) -> None:
    ground.file(TEXT.replace(b"\n", b"\r"))


def no_newline_at_the_end(ground: Ground) -> None:
    ground.file(TEXT.rstrip(b"\n"))


def semicolons(ground: Ground) -> None:
    ground.file(TEXT.replace(b",", b";"))


def semicolons_as_the_catalog_says(ground: Ground) -> None:
    ground.file(TEXT.replace(b",", b";"))
    ground.source["delimiter"] = ";"


def line_too_short(ground: Ground) -> None:
    ground.file(TEXT + b"u01,i01\n")


def line_too_long(ground: Ground) -> None:
    ground.file(TEXT + b"u01,i01,2025-03-02,1,and more\n")


def line_cut_off(ground: Ground) -> None:
    ground.file(TEXT[: -len("7:00:00Z,1\n") - 10])


def quote_never_closed(ground: Ground) -> None:
    ground.file(TEXT.replace(b"u05", b'"u05', 1))


def text_behind_a_quote(ground: Ground) -> None:
    ground.file(TEXT.replace(b"u05", b'"u05"x', 1))


def nul_bytes_in_a_field(ground: Ground) -> None:
    ground.file(TEXT + b"u\x0001,i01,2025-03-02,1\n")


def nul_bytes_in_the_header(ground: Ground) -> None:
    ground.file(TEXT.replace(b"user", b"us\0er", 1))


def nul_bytes_only(ground: Ground) -> None:
    ground.file(b"\0" * 4096)


def a_line_of_two_megabytes(ground: Ground) -> None:
    ground.rows({"user": "x" * (2 << 20)})


def changed_while_the_night_runs(ground: Ground) -> None:
    path = ground.rows()
    ground.later = lambda: path.write_bytes(TEXT + b"u01,i01,2025-03-02,1\n")


def gone_while_the_night_runs(ground: Ground) -> None:
    ground.file(TEXT, "rows/1.csv")
    path = ground.file(TEXT, "rows/2.csv")
    ground.source["path"] = "rows/*.csv"
    ground.later = path.unlink


def one_more_while_the_night_runs(ground: Ground) -> None:
    ground.rows()
    ground.source["path"] = "*.csv"
    ground.later = lambda: (ground.data / "late.csv").write_bytes(TEXT)


def items_missing(ground: Ground) -> None:
    ground.rows()
    ground.tree["items"] = {"path": "items.csv", "columns": {"item_id": "id"}}


def users_corrupt(ground: Ground) -> None:
    ground.rows()
    (ground.data / "people.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    ground.tree["users"] = {"path": "people.parquet", "columns": {"user_id": "id"}}


def named_pipe(ground: Ground) -> None:
    os.mkfifo(ground.data / "rows.csv")


def device_without_an_end(ground: Ground) -> None:
    ground.source.update(path="/dev/zero", format="csv")
