"""docker/compose.yaml as Docker reads it: variables of `${NAME:-default}` filled in, env files added."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from tests.commands import ROOT

FILE = ROOT / "docker" / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?-)([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """A service: `raw` has everything that the file says of it, with variables filled in."""

    name: str
    raw: dict[str, Any]

    @property
    def argv(self) -> list[str]:
        """Entrypoint of the file, if there is one, and command."""
        return [*self.raw.get("entrypoint", []), *self.raw.get("command", [])]

    @property
    def profiles(self) -> set[str]:
        """The profiles that start it."""
        return set(self.raw["profiles"])

    def environment(self, secrets: Path) -> dict[str, str]:
        """What its process finds in its environment, with the env files of `secrets`."""
        found: dict[str, str] = {}
        for file in self.raw.get("env_file", []):
            values = dotenv_values(secrets / Path(file).name, interpolate=False)
            found |= {name: value or "" for name, value in values.items()}
        return found | {name: str(value) for name, value in self.raw.get("environment", {}).items()}


def aliases_of(service: Service) -> list[str]:
    """By what names, beside its own, others reach it."""
    networks = service.raw.get("networks", {})
    return list(networks["default"].get("aliases", [])) if isinstance(networks, dict) else []


def filled(found: Any, variables: Mapping[str, str] | None = None) -> Any:
    """Return what YAML read with `${NAME}`, `${NAME-default}` and `${NAME:-default}` replaced in every text."""
    if isinstance(found, dict):
        return {name: filled(value, variables) for name, value in found.items()}
    if isinstance(found, list):
        return [filled(value, variables) for value in found]

    def value(match: re.Match[str]) -> str:
        name, sign, default = match.groups()
        given = (variables or {}).get(name)
        return default or "" if given is None or (given == "" and sign == ":-") else given

    return _VARIABLE.sub(value, found) if isinstance(found, str) else found


def variables() -> set[str]:
    """The variables that the file asks for."""
    return {match[1] for match in _VARIABLE.finditer(FILE.read_text())}


def document(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The file, with variables filled in and merge keys applied."""
    found: dict[str, Any] = filled(yaml.safe_load(FILE.read_text()), variables)
    return found


def services(variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """The services by name."""
    return {name: Service(name, raw) for name, raw in document(variables)["services"].items()}
