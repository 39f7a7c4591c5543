"""What a night of an older version of this code left is still read: unknown keys are ignored, missing ones default."""

import pytest

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.core.evaluation.approval import Answer
from recjobs.core.evaluation.verdict import Verdict
from recjobs.errors import ModelRefused
from recjobs.night.handovers import ChosenModel, Handovers

ANSWER = {"approved": True, "by": "ann", "at": "2025-06-01T08:00:00+00:00", "reason": "fresher", "timed_out": False}


@pytest.fixture
def night(tmp_path):
    return Handovers(ArtifactStore(str(tmp_path), "shop").night("20240601T120000Z-1"))


def write(night, step, name, content):
    with night.writing(step) as files:
        files.save_json(name, content)


def test_the_verdict_the_answer_and_the_chosen_model(night):
    write(night, "gate", "verdict.json", {"verdict": "refused", "reason": "unsure", "p_value": 0.2})
    assert night.gate_verdict() == Verdict("refused", "unsure")
    assert night.answer() is None
    write(night, "approve", "answer.json", ANSWER | {"late": True})
    assert night.answer() == Answer(**ANSWER, late=True)
    chosen = {"verdict": "refused", "reason": "unsure", "source": "champion", "model_version": "7"}
    write(night, "refit", "model.json", chosen | {"champion_version": "7", "registered": False})
    assert night.chosen_model() == ChosenModel(**chosen, champion_version="7")


def test_an_inspection_of_which_only_the_checksum_and_the_counts_are_known(night):
    write(night, "inspect", "inspection.json", {"checksum": "c", "users": 3, "filled": 2})
    inspection = night.inspection()
    assert (inspection.checksum, inspection.users, inspection.filled, inspection.broken) == ("c", 3, 2, {})


def test_what_a_step_has_not_left_is_refused_by_name(night):
    with pytest.raises(ModelRefused, match="no finished 'split' step"):
        night.cutoff()
