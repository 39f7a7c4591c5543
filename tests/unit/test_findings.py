"""Findings: what stops a night, and what a reason forgives."""

import pytest

from recjobs.core.rows.findings import Finding, of_night, overridden, raise_blocking
from recjobs.errors import DataRefused, InputLate

ROWS = Finding("bad_time", "quarantined", 3, "a.csv row 1")
LOW = of_night("volume_too_low", "refuse", 5, "too little")
STALE = of_night("stale_input", "skip", 0, "too old")


def test_rows_set_aside_stop_nothing():
    raise_blocking("shop", [ROWS, of_night("stale_input", "warn", 0, "too old")])


@pytest.mark.parametrize(
    ("findings", "error"), [([LOW], DataRefused), ([STALE], InputLate), ([STALE, LOW], DataRefused)]
)
def test_what_refuses_comes_before_what_skips(findings, error):
    with pytest.raises(error, match="catalog shop: "):
        raise_blocking("shop", [ROWS, *findings])


def test_a_reason_makes_warnings_of_them_and_stays_with_them():
    found = overridden([ROWS, LOW, STALE], "I looked")
    assert [f.action for f in found] == ["quarantined", "warned", "warned"]
    assert found[1].example.endswith("(forced: I looked)")
    assert overridden([LOW], None) == [LOW]
    raise_blocking("shop", found)


def test_a_finding_knows_its_column_and_a_rule_of_the_catalog_has_none():
    assert (ROWS.column_name, Finding("no_goods", "excluded", 1).column_name) == ("occurred_at", "")
