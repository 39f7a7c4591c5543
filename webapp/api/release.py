"""Which release of the code runs: the version of the package, and its commit."""

import json
import subprocess
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from webapp.settings import ROOT


def version() -> str:
    """The version of the installed package; empty if it is not installed."""
    try:
        return Distribution.from_name("recjobs").version
    except PackageNotFoundError:
        return ""


@cache
def commit_of(root: Path = ROOT) -> str:
    """The commit that pip installed the package from, or that of a checkout at `root`; empty if unknown.

    A checkout's is that of the first call, at the start: code that is loaded does not change with a later checkout.
    """
    try:
        # PEP 610: where a package was installed from
        origin = json.loads(Distribution.from_name("recjobs").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return str(commit)
    if not (root / ".git").exists():  # git would look for a repository further up, which is not ours
        return ""
    try:
        git = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(git, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603 - no input in it
    except (OSError, subprocess.SubprocessError):
        return ""
