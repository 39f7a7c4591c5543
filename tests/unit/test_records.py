"""Small files that count one by one: whole or not at all, and a damaged one as if it were not there."""

import pytest

from recjobs.adapters.records import Records


@pytest.fixture
def records(tmp_path):
    return Records(str(tmp_path), "shop/_tune/study")


def test_what_was_saved_is_read_by_others(records, tmp_path):
    records.save("trial-00002.json", {"value": 0.5})
    records.save("trial-00001.json", {"value": 0.25})
    other = Records(str(tmp_path), "shop/_tune/study")
    assert other.names() == ["trial-00001.json", "trial-00002.json"]
    assert [other.load(name) for name in other.names()] == [{"value": 0.25}, {"value": 0.5}]


def test_nothing_saved_is_nothing_there(records):
    assert records.names() == []
    assert records.load("trial-00001.json") is None


def test_a_file_that_was_cut_short_does_not_count_and_can_be_written_again(records, tmp_path, caplog):
    records.save("trial-00001.json", {"value": 0.5})
    file = tmp_path / "shop/_tune/study/trial-00001.json"
    file.write_text(file.read_text()[:-3])
    other = Records(str(tmp_path), "shop/_tune/study")
    assert other.load("trial-00001.json") is None
    assert "damaged" in caplog.text
    other.save("trial-00001.json", {"value": 0.75})
    assert Records(str(tmp_path), "shop/_tune/study").load("trial-00001.json") == {"value": 0.75}


def test_what_a_killed_writer_left_is_no_record(records, tmp_path):
    records.save("trial-00001.json", {})
    (tmp_path / "shop/_tune/study/trial-00002.json.5f").write_text("{")
    assert records.names() == ["trial-00001.json"]


def test_numbers_that_json_does_not_have_are_refused(records):
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.save("trial-00001.json", {"value": float("nan")})
    assert records.names() == []
