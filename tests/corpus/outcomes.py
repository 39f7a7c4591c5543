"""What becomes of every case of the corpus. The table was written before the cases were run: it says what the design
asks for, not what the code does."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """accept: every row counts. quarantine: rows are set aside by reason. skip, refuse: the night ends with an exit
    code and a message that has these words. publish: the whole night ends with a live batch."""

    verdict: Literal["accept", "quarantine", "skip", "refuse", "publish"]
    accepted: int = 200
    merged: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    code: int = 0
    words: tuple[str, ...] = ()


def accept(accepted: int = 200, merged: int = 0, **excluded: int) -> Outcome:
    return Outcome("accept", accepted, merged, excluded=excluded)


def quarantine(accepted: int = 200, **reasons: int) -> Outcome:
    return Outcome("quarantine", accepted, quarantined=reasons)


def refuse(code: int, *words: str) -> Outcome:
    return Outcome("refuse", code=code, words=words)


def skip(*words: str) -> Outcome:
    return Outcome("skip", code=75, words=words)


def publish(accepted: int = 200, merged: int = 0, **excluded: int) -> Outcome:
    return Outcome("publish", accepted, merged, excluded=excluded)


OUTCOMES = {
    "files.missing": refuse(65, "rows.csv: there is no such file", "RECJOBS_DATA"),
    "files.empty": refuse(65, "rows.csv: the file is empty (0 bytes)", "export"),
    "files.blank_lines_only": refuse(65, "rows.csv: has blank lines only"),
    "files.header_only": refuse(65, "no rows in rows.csv", "export"),
    "files.header_twice": quarantine(bad_time=1),
    "files.everything_twice": accept(merged=200),
    "files.empty_folder": refuse(65, "nothing: no .parquet or .csv file in this folder"),
    "files.folder_of_unfinished_files": refuse(65, "rows: no .parquet or .csv file in this folder"),
    "files.folder_named_like_a_file": refuse(65, "rows.csv: no .parquet or .csv file in this folder"),
    "files.glob_without_a_match": refuse(65, "rows-*.csv: there is no such file"),
    "files.glob_that_matches_a_folder_too": accept(),
    "files.symlink_loop": refuse(65, "rows.csv"),
    "files.symlink_to_nothing": refuse(65, "rows.csv: there is no such file"),
    "files.folder_with_a_loop_in_it": accept(),
    "files.name_with_a_pattern_in_it": accept(),
    "files.path_through_a_file": refuse(65, "rows.csv/rows.csv: there is no such file"),
    "files.unknown_suffix": refuse(78, "rows.xyz: neither .parquet nor .csv", "say `format: parquet`"),
    "files.formats_mixed": refuse(78, "1.csv is CSV", "2.parquet is Parquet"),
    "files.parquet_named_csv": refuse(65, "rows.csv: "),
    "files.csv_named_parquet": refuse(65, "rows.parquet: cannot be read as parquet", "of another format"),
    "files.csv_named_gz": refuse(65, "rows.csv.gz: ", "no sound gzip"),
    "files.gzip_named_csv": refuse(65, "rows.csv: line 1"),
    "files.gzip_truncated": refuse(65, "rows.csv.gz: behind line", "ends in the middle"),
    "files.gzip_corrupt": refuse(65, "rows.csv.gz: ", "no sound gzip"),
    "files.gzip_with_another_checksum": refuse(65, "rows.csv.gz: ", "no sound gzip"),
    "files.gzip_in_two_members": accept(),
    "files.parquet_truncated": refuse(65, "rows.parquet: cannot be read as parquet", "damaged"),
    "files.parquet_corrupt": refuse(65, "rows.parquet: cannot be read as parquet", "damaged"),
    "files.parquet_footer_corrupt": refuse(65, "rows.parquet: cannot be read as parquet", "damaged"),
    "files.parquet_without_rows": refuse(65, "no rows in rows.parquet", "export"),
    "files.parquet_in_many_row_groups": accept(),
    "files.utf_16": refuse(65, "rows.csv: line 1: is UTF-16", "export it as UTF-8"),
    "files.utf_16_without_a_mark": refuse(65, "rows.csv: line 1", "no CSV in UTF-8"),
    "files.latin_1": refuse(65, "rows.csv: line 7: ", "no UTF-8 text"),
    "files.byte_order_mark": accept(),
    "files.crlf": accept(),
    "files.cr_only": accept(),
    "files.no_newline_at_the_end": accept(),
    "files.semicolons": refuse(65, "rows.csv: line 1: the header is one column", "delimiter: ';'"),
    "files.semicolons_as_the_catalog_says": accept(),
    "files.line_too_short": refuse(65, "rows.csv: line 202: 2 fields where the header has 4"),
    "files.line_too_long": refuse(65, "rows.csv: line 202: 5 fields where the header has 4"),
    "files.line_cut_off": refuse(65, "rows.csv: line 201: 3 fields where the header has 4"),
    "files.quote_never_closed": refuse(65, "rows.csv: line 7: a quote that opens in this row is never closed"),
    "files.text_behind_a_quote": refuse(65, "rows.csv: line 7: text behind a closing quote"),
    "files.nul_bytes_in_a_field": quarantine(user_id_with_nul=1),
    "files.nul_bytes_in_the_header": refuse(65, "rows.csv: line 1: the header holds NUL bytes"),
    "files.nul_bytes_only": refuse(65, "rows.csv: line 1: the header holds NUL bytes"),
    "files.a_line_of_two_megabytes": quarantine(user_id_too_long=1),
    "files.changed_while_the_night_runs": refuse(65, "rows.csv: changed while the night was running"),
    "files.gone_while_the_night_runs": refuse(65, "2.csv: went away while the night was running"),
    "files.one_more_while_the_night_runs": refuse(65, "late.csv: changed while the night was running"),
    "files.items_missing": refuse(65, "items.csv: there is no such file"),
    "files.users_corrupt": refuse(65, "people.parquet: cannot be read as parquet"),

    "ids.numbers_with_zeros_in_front": accept(207),
    "ids.words_for_nothing": accept(208),
    "ids.words_for_a_switch": accept(204),
    "ids.numbers_in_disguise": accept(207),
    "ids.greater_than_64_bits": accept(203),
    "ids.neighbours_beyond_53_bits": accept(202),
    "ids.integers_beside_a_blank": quarantine(201, empty_user_id=1),
    "ids.unsigned_integers": accept(),
    "ids.dates": accept(203),
    "ids.what_postgres_reads_as_null": accept(204),
    "ids.quotes": accept(206),
    "ids.commas": accept(204),
    "ids.tabs_and_newlines": accept(205),
    "ids.spaces": accept(207),
    "ids.emoji": accept(203),
    "ids.composed_and_decomposed": accept(204),
    "ids.upper_and_lower_case": accept(206),
    "ids.marks_of_direction": accept(203),
    "ids.byte_order_marks": accept(203),
    "ids.control_characters": accept(204),
    "ids.paths": accept(206),
    "ids.addresses": accept(204),
    "ids.markup": accept(204),
    "ids.statements": accept(204),
    "ids.formulas": accept(203),
    "ids.of_256_bytes": accept(203),
    "ids.all_of_them_at_once": publish(245),
    "ids.empty": quarantine(empty_user_id=2, empty_item_id=1),
    "ids.missing": quarantine(empty_user_id=1, empty_item_id=1),
    "ids.of_257_bytes": quarantine(user_id_too_long=1, item_id_too_long=2),
    "ids.with_nul": quarantine(user_id_with_nul=1, item_id_with_nul=1),
    "ids.unknown_item": accept(203),
    "ids.unknown_item_to_quarantine": quarantine(unknown_item=3),
    "ids.unknown_item_to_refuse": refuse(65, "unknown_item: 3 rows have an item that items.csv does not have"),
}  # fmt: skip
"""`<module of the fault>.<its function>` -> what becomes of it."""
