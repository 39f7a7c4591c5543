"""The tree of errors is the one its module draws, and every class answers its three questions."""

import re

import pytest

from recjobs import errors


def classes(of=errors.RecjobsError):
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from classes(kind)


def test_the_drawn_tree_is_the_tree():
    drawn, above = {}, {0: "RecjobsError"}
    for line in errors.__doc__.splitlines():
        if branch := re.match(r"^    ([│ ]*)[├└]── (\w+) +(?:(\d+)|\.\.\.)", line):
            depth = len(branch[1]) // 4 + 1
            above[depth] = branch[2]
            drawn[branch[2]] = (above[depth - 1], branch[3])
    assert {k.__name__: k.__bases__[0].__name__ for k in classes()} == {k: parent for k, (parent, _) in drawn.items()}
    for kind in classes():
        code = drawn[kind.__name__][1]
        assert code is None or kind.exit_code == int(code)


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_only_what_may_pass_by_itself_is_tried_again(kind):
    assert not kind.retry or kind.exit_code == 75
    assert kind.exit_code in (64, 65, 70, 75, 78)


def test_exit_codes_are_those_of_the_contract():
    codes = {kind.__name__: kind.exit_code for kind in classes()}
    assert codes["Misuse"] == 64
    assert codes["DataRefused"] == codes["ModelRefused"] == codes["ListsRefused"] == 65
    assert codes["Defect"] == 70
    assert codes["SystemAway"] == codes["Locked"] == codes["Superseded"] == codes["InputLate"] == 75
    assert codes["BadConfiguration"] == 78


def test_a_step_ends_as_the_error_it_raised_says():
    outcomes = {kind.__name__: kind.outcome for kind in classes()}
    assert outcomes["DataRefused"] == outcomes["ModelUnreadable"] == outcomes["ListsRefused"] == "refused"
    assert outcomes["SystemAway"] == outcomes["Locked"] == outcomes["Superseded"] == "waiting"
    assert outcomes["InputLate"] == "skipped"
    assert outcomes["Misuse"] == outcomes["Defect"] == outcomes["BadConfiguration"] == "failed"
