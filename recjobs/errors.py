"""Everything that can go wrong, in one tree. A class answers three questions: which exit code, may a retry help, and
how does the step end?

    RecjobsError
    ├── Misuse            64   the command line asks for something that cannot be
    ├── Refused           65   the data, a file or the lists are not fit to go on
    │   ├── DataRefused        ... what came in
    │   │   └── ColumnRefused   ... one column of it
    │   ├── ModelRefused       ... a model or artifact that is missing, damaged or not the one that was registered
    │   │   └── ModelUnreadable ... the file that was written, but no model: of a candidate a `Verdict` is made of it
    │   └── ListsRefused       ... what would have gone out
    ├── Defect            70   we are wrong
    ├── TryLater          75   nothing is wrong for ever
    │   ├── SystemAway         ... Postgres, MLflow or the object store does not answer (a retry may help)
    │   ├── Locked             ... another night of this catalog is publishing (a retry may help)
    │   ├── Superseded         ... a newer batch or another champion is in charge by now
    │   └── InputLate          ... the input is late or stale (Airflow state: skipped)
    └── BadConfiguration  78   a setting or catalog file is wrong

A refused candidate is not here: it is a `Verdict`, a result of the night.
"""


class RecjobsError(Exception):
    """What every expected failure derives from; its message says the value, the place and the way out."""

    exit_code = 70
    retry = False
    outcome = "failed"
    """How a step ends that raises it: what is counted, and what the page about the nights shows."""


class Misuse(RecjobsError):
    """The command line, or a call, asks for something that cannot be."""

    exit_code = 64


class Refused(RecjobsError):
    """Something is not fit to go on; running it again changes nothing."""

    exit_code = 65
    outcome = "refused"


class DataRefused(Refused):
    """The input is missing, damaged or not what the catalog says."""


class ColumnRefused(DataRefused):
    """A column holds what it cannot hold. `column` is its name, which a caller that knows another may replace."""

    def __init__(self, why: str, column: str | None = None) -> None:
        super().__init__(why)
        self.column = column

    def __str__(self) -> str:
        why = super().__str__()
        return f"column {self.column!r} {why}" if self.column else why


class ModelRefused(Refused):
    """A model or artifact is missing, damaged, or not the one that was registered."""


class ModelUnreadable(ModelRefused):
    """A file is the one that its manifest names, and holds no model."""


class ListsRefused(Refused):
    """The finished lists break the output contract."""


class Defect(RecjobsError):
    """This program is wrong."""


class TryLater(RecjobsError):
    """Nothing is wrong for ever."""

    exit_code = 75
    outcome = "waiting"


class SystemAway(TryLater):
    """Postgres, MLflow or the object store does not answer."""

    retry = True


class Locked(TryLater):
    """Another night of this catalog is publishing."""

    retry = True


class Superseded(TryLater):
    """A newer batch or another champion is in charge by now."""


class InputLate(TryLater):
    """The input is late or stale."""

    outcome = "skipped"


class BadConfiguration(RecjobsError):
    """A setting or a catalog file is wrong."""

    exit_code = 78
