"""The memory of the steps' pods, by a plan."""

from recjobs.night.pods import of_plan

GIB = 2**30
PLAN = {"steps": {"train": {"peak_bytes": 4 * GIB}, "score": {"peak_bytes": 6.1 * GIB}, "report": {"peak_bytes": 1}}}


def test_a_pod_has_a_quarter_more_than_planned_and_what_airflow_takes_rounded_up():
    assert of_plan(PLAN) == {"train": 5_632, "score": 8_448, "report": 768}


def test_publish_may_run_the_whole_night_again():
    plan = {"steps": PLAN["steps"] | {"publish": {"peak_bytes": GIB}}}
    assert of_plan(plan)["publish"] == of_plan(plan)["score"]


def test_no_pod_has_more_than_the_setting_allows():
    assert of_plan(PLAN, most=8 * GIB)["score"] == 8_192
    assert of_plan(PLAN, most=8 * GIB)["train"] == 5_632


def test_a_night_without_a_plan_says_nothing_of_its_pods():
    assert of_plan({}) == {}
