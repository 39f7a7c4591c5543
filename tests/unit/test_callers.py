"""Who sent a request, by its key; what is remembered of earlier requests never outlives the key."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from webapp import credentials
from webapp.access.callers import MOST_REMEMBERED, Callers
from webapp.access.credential_store import of_keys, of_operators
from webapp.access.sign_in_cookies import SignInCookies
from webapp.api.errors import TooMany, Unauthorized
from webapp.credentials import Credential
from webapp.settings import Settings

TODAY = datetime.now(UTC)


def callers_with(*keys: Credential) -> Callers:
    settings = Settings(database_url="postgresql://localhost/none", api_keys=keys)
    operators = of_operators(settings)
    return Callers(settings, of_keys(settings), operators, SignInCookies(settings, operators, lambda sign_in: False))


def key(secret: str, last_day=None) -> Credential:
    return Credential("shop", sha256(secret.encode()).hexdigest(), last_day)


def sent(secret: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}", "REMOTE_ADDR": "192.0.2.1"}


def test_a_key_that_expires_while_it_is_in_use_is_refused_from_the_next_day_on(monkeypatch):
    callers = callers_with(key("secret", (TODAY + timedelta(days=1)).date()))
    for _ in range(2):
        assert callers.of(sent("secret")).name == "shop"

    class InTwoDays(datetime):
        @classmethod
        def now(cls, tz=None):
            return TODAY + timedelta(days=2)

    monkeypatch.setattr(credentials, "datetime", InTwoDays)
    with pytest.raises(Unauthorized):
        callers.of(sent("secret"))


@pytest.mark.parametrize(("offset", "is_valid"), [(-1, True), (0, True), (1, False)])
def test_a_key_is_valid_on_its_last_day_and_no_longer(monkeypatch, offset: int, is_valid: bool):
    class ThatDay(datetime):
        @classmethod
        def now(cls, tz=None):
            return TODAY + timedelta(days=offset)

    monkeypatch.setattr(credentials, "datetime", ThatDay)
    assert key("secret", TODAY.date()).valid() == is_valid


def test_wrong_keys_are_not_remembered_and_go_on_being_counted():
    callers = callers_with(key("secret"))
    for _ in range(10):
        with pytest.raises(Unauthorized):
            callers.of(sent("another"))
    with pytest.raises(TooMany):
        callers.of(sent("another"))


def test_what_is_remembered_is_bounded_however_a_client_writes_its_key():
    callers = callers_with(key("secret"))
    for n in range(MOST_REMEMBERED * 2 + 1):
        assert callers.of(sent(" " * n + "secret")).name == "shop"
    assert len(callers._remembered[1]) <= MOST_REMEMBERED + 1
