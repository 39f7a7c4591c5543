"""What of a night goes: all, nothing, or all but what somebody needs."""

from datetime import UTC, datetime, timedelta

from recjobs.core.retention import ALL, Folder, Removal, removals

NOW = datetime(2025, 6, 1, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=1), NOW + timedelta(seconds=1)
PARTS = {"begin": 1, "refit": 20, "validate": 300}


def what_goes(*folders, needed=None, pruned=()):
    return list(removals(folders, needed or {}, pruned, NOW))


def test_what_is_old_goes_and_what_is_young_stays():
    assert what_goes(Folder("a", PARTS, OLD), Folder("b", PARTS, YOUNG), Folder("c", PARTS, NOW)) == [
        Removal("a", PARTS, True)
    ]


def test_what_is_pruned_goes_however_young():
    assert what_goes(Folder("a", PARTS, YOUNG), pruned={"a"}) == [Removal("a", PARTS, True)]


def test_what_is_needed_stays_and_the_rest_goes():
    assert what_goes(Folder("a", PARTS, OLD), needed={"a": ALL}, pruned={"a"}) == []
    (model,) = what_goes(Folder("a", PARTS, OLD), needed={"a": {"refit", "no such step"}})
    assert (dict(model.parts), model.whole, model.n_bytes) == ({"begin": 1, "validate": 300}, False, 301)
    assert what_goes(Folder("a", {"refit": 20}, OLD), needed={"a": {"refit"}}) == []


def test_a_night_begins_to_go_with_its_beginning():
    """So that one that is half gone has not begun."""
    parts = {"approve": 1, "train": 1, "begin": 1, "extract": 1}
    assert list(what_goes(Folder("a", parts, OLD))[0].parts) == ["begin", "approve", "extract", "train"]


def test_a_folder_without_anything_goes_when_it_is_old():
    assert what_goes(Folder("a", {}, OLD), Folder("b", {}, YOUNG)) == [Removal("a", {}, True)]
