"""What tests on Spark need: Java and the extra."""

import os

import pytest

from recjobs.adapters import spark


def needed() -> None:
    """Skip the test where Spark cannot be used, or fail where CI promises it."""
    if why := spark.defect():
        if os.environ.get("CI"):
            pytest.fail(f"{why}: .ci/run installs default-jre-headless and EXTRAS=spark")
        pytest.skip(why)
