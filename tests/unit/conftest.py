"""Unit tests: a hypothesis that neither hurries nor remembers."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "small",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("small")
