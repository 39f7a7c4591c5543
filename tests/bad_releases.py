"""Releases of the web app with a planted fault: copies of this checkout's, changed where the application is made."""

import shutil
from pathlib import Path

from tests.commands import ROOT

FAILING = """
import itertools

from webapp.api.errors import ApiError
from webapp.lists import recommendations

calls = itertools.count()


def sometimes_failing(function):
    def failing(*arguments, **named):
        if next(calls) % 10 == 0:
            raise ApiError("planted", "One request in ten fails")
        return function(*arguments, **named)

    return failing


recommendations.respond = sometimes_failing(recommendations.respond)
app.dispatch_request = sometimes_failing(app.dispatch_request)
"""
"""One answer in ten is a 500."""

SLOW = """
import time

from webapp.lists import recommendations


def twice_as_slow(function):
    def slow(*arguments, **named):
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            time.sleep(time.perf_counter() - began)

    return slow


recommendations.respond = twice_as_slow(recommendations.respond)
app.dispatch_request = twice_as_slow(app.dispatch_request)
"""
"""Every answer takes twice as long."""


def release(folder: Path, fault: str) -> Path:
    """A checkout of the web app with a fault at its end; returns the folder."""
    for name in ("webapp", "sql"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "webapp" / "wsgi.py").open("a") as program:
        program.write(fault)
    return folder
