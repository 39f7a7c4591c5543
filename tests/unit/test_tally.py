"""The account of rows: counts exact, the first place of each reason, a thousand rows to be shown."""

import pyarrow as pa

from recjobs.core.rows.accounting import SHOWN, Tally


def bad(*rows):
    return pa.table({"source": [r[0] for r in rows], "row": [r[1] for r in rows], "reason": [r[2] for r in rows]})


def test_every_row_is_counted_for_its_reason_and_the_first_place_is_kept():
    tally = Tally()
    tally.exclude("no_goods", 0)
    tally.exclude("bot", 7, "1 users, such as x")
    tally.quarantine(bad(("a", 4, "bad_time"), ("a", 9, "empty_user_id"), ("a", 11, "bad_time")))
    tally.quarantine(bad(("b", 1, "bad_time")))
    assert [(f.reason, f.action, f.n_rows, f.example) for f in tally.findings(2)] == [
        ("bot", "excluded", 7, "1 users, such as x"),
        ("duplicate", "merged", 2, None),
        ("empty_user_id", "quarantined", 1, "a row 9"),
        ("bad_time", "quarantined", 3, "a row 4"),
    ]


def test_of_each_reason_only_so_many_rows_are_kept_to_be_shown():
    tally = Tally()
    for _ in range(3):
        tally.quarantine(bad(*[("a", n, "bad_time") for n in range(SHOWN // 2)], ("a", 0, "empty_user_id")))
    shown = pa.concat_tables(tally.shown)
    assert shown["reason"].to_pylist().count("bad_time") == SHOWN
    assert shown["reason"].to_pylist().count("empty_user_id") == 3
    assert tally.quarantined == {"bad_time": SHOWN // 2 * 3, "empty_user_id": 3}


def test_tallies_of_batches_joined_are_the_tally_of_all():
    rows = [("a", n, ["bad_time", "bad_weight"][n % 7 == 3]) for n in range(3 * SHOWN)]
    whole, joined = Tally(), Tally()
    for first in range(0, len(rows), 400):
        of_part = Tally()
        for half in (rows[first : first + 150], rows[first + 150 : first + 400]):
            of_part.quarantine(bad(*half))
            whole.quarantine(bad(*half))
        for tally in (of_part, whole):
            tally.exclude("nobody", first, f"{first}")
        joined.join(of_part)
    assert (joined.excluded, joined.quarantined, joined.places) == (whole.excluded, whole.quarantined, whole.places)
    for reason in whole.quarantined:
        shown = [
            [row for table in tally.shown for row in table.to_pylist() if row["reason"] == reason]
            for tally in (joined, whole)
        ]
        assert shown[0] == shown[1]
