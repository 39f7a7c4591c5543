"""How times are written on the command line."""

import click
import pytest

from recjobs.cli.options import Duration


@pytest.mark.parametrize(("said", "seconds"), [("90s", 90), ("15m", 900), ("1.5h", 5400), (" 2 m ", 120)])
def test_a_time_has_a_unit(said, seconds):
    assert Duration().convert(said, None, None) == seconds


@pytest.mark.parametrize("said", ["15", "m", "0m", "-1m", "15 minutes", "nan s", "1d"])
def test_anything_else_is_refused_with_what_is_allowed(said):
    with pytest.raises(click.BadParameter, match="write 90s, 15m or 2h"):
        Duration().convert(said, None, None)
