"""Whatever /openapi.json allows or forbids, drawn by schemathesis, gets an answer that it describes."""

import hypothesis.strategies as st
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import ignored_auth, positive_data_acceptance

from tests.webapp_credentials import OPERATORS, SECRET, bearer
from tests.webapp_world import World
from tests.worlds import soak

pytest_plugins = ["tests.webapp_fixtures"]
pytestmark = pytest.mark.soak

EXAMPLES = soak(300)
NOT_SAID = [
    # How large n may be depends on the batch, and an id's length is counted in bytes: JSON Schema can say neither.
    positive_data_acceptance,
    # It takes the secret we send for one that it drew; test_webapp_access.py asks without one.
    ignored_auth,
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_what_is_drawn_from_the_description_is_answered_as_described(world: World, mode: GenerationMode):
    # Nothing can be changed without RECJOBS_EDITOR_URL, so that whatever is drawn leaves the world as it is.
    described = schemathesis.openapi.from_wsgi("/openapi.json", world.client(operators=OPERATORS).application)
    answered = {}
    for found in described.get_all_operations():
        operation = found.ok()
        answered[operation.label] = statuses = set()
        ways = [operation.as_strategy(generation_mode=mode, path_parameters=p) for p in ({"catalog": "shop"}, None)]
        try:
            hold(st.one_of(ways), statuses)
        except Unsatisfiable:  # nothing can be wrong where there are no parameters
            assert not operation.definition.raw["parameters"]
    assert mode is GenerationMode.NEGATIVE or 200 in set().union(*answered.values())


def hold(cases: st.SearchStrategy[Case], statuses: set[int]) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases)
    def drawn(case: Case) -> None:
        response = case.call(headers=bearer(SECRET))
        case.validate_response(response, excluded_checks=NOT_SAID)
        assert response.status_code in (503, *range(200, 500))
        statuses.add(response.status_code)

    drawn()
