"""Pages of HTML that need nothing but themselves: no script, no file beside them."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, **values: Any) -> str:
    """A template of this folder, with its values; a value that is missing is an error."""
    return TEMPLATES.get_template(template).render(**values)
