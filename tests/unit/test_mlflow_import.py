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

STORE = "mlflow.store.tracking.sqlalchemy_store"


class Watch:
    # Asked for each module before it is imported: would Python look for cycles now?
    seen = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mlflow":
            self.seen.append(gc.isenabled())


sys.meta_path.insert(0, Watch())
load("http://127.0.0.1:1")
assert "mlflow" in sys.modules and STORE not in sys.modules
load("sqlite:////nowhere/mlflow.db")
assert STORE in sys.modules
print(len(Watch.seen) > 10, any(Watch.seen), gc.isenabled())
"""


def test_an_import_of_mlflow_is_not_interrupted_by_the_collector():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False", "True"]


def test_after_an_import_that_fails_cycles_are_looked_for_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError):
        load("sqlite:///mlflow.db")
    assert gc.isenabled()
