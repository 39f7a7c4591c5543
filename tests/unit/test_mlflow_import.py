"""MLflow is imported without a look for unused cycles, in a new process."""

import gc
import subprocess
import sys

import pytest

from recjobs.adapters.mlflow_import import load
from recjobs.config import ROOT

PROGRAM = """
import gc, sys
from recjobs.adapters.mlflow_import import load

STORE, looks = "mlflow.store.tracking.sqlalchemy_store", []
gc.callbacks.append(lambda phase, info: looks.append(phase))
gc.collect()
assert len(looks) == 2, "a look is seen"
load("http://127.0.0.1:1")
assert "mlflow" in sys.modules and STORE not in sys.modules
load("sqlite:////nowhere/mlflow.db")
assert STORE in sys.modules
print(len(looks), gc.isenabled())
"""


def test_an_import_of_mlflow_is_not_interrupted_by_the_collector():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "True"]


def test_after_an_import_that_fails_cycles_are_looked_for_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError):
        load("sqlite:///mlflow.db")
    assert gc.isenabled()
