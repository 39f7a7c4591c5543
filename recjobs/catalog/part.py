"""What every section of a catalog file has in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A section of a catalog file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
