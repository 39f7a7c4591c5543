"""Images as they are run, without a container engine: as the image's user, on its root made read-only.

A namespace of mounts in place of a container: /tmp and the volumes can be written, nothing else; the network is this
machine's. Environment, folder and command are those of the image's configuration.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands import ROOT

ENTER = """
set -eu
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
for volume in $VOLUMES; do
    mkdir -p "$root${volume#*:}"
    mount --bind "${volume%%:*}" "$root${volume#*:}"
done
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
"""


@dataclass(frozen=True)
class Storage:
    """Where buildah keeps images and containers."""

    folder: Path

    @cached_property
    def driver(self) -> str:
        """overlay where this machine can do that; vfs works everywhere, with a copy of all files at every step."""
        if given := os.environ.get("STORAGE_DRIVER"):
            return given
        place = ["--storage-driver", "overlay", "--root", f"{self.folder}/try", "--runroot", f"{self.folder}/try-run"]
        steps = ['c=$("$@" from scratch)', '"$@" mount "$c"', '"$@" rm "$c"']
        tried = subprocess.run(
            ["sh", "-ec", "; ".join(steps), "sh", "buildah", *place], capture_output=True, check=False
        ).returncode
        for name in ("try", "try-run"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return "vfs" if tried else "overlay"

    def buildah(self, command: str, *arguments: str) -> str:
        """Run buildah, and return what it prints."""
        place = [
            "--storage-driver", self.driver,
            "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run",
        ]  # fmt: skip
        done = subprocess.run(["buildah", *place, command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def build(self, *names: str, **settings: str) -> None:
        """Build images as `make images` does."""
        environment = {**os.environ, "STORAGE": str(self.folder), "STORAGE_DRIVER": self.driver, **settings}
        done = subprocess.run(
            ["sh", "docker/build.sh", *names], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def sizes(self) -> dict[str, float]:
        """Image -> megabytes, of everything in it."""
        rows = [
            line.split() for line in self.buildah("images", "--format", "{{.Name}}:{{.Tag}} {{.Size}}").splitlines()
        ]
        units = {"KB": 1e-3, "MB": 1, "GB": 1e3}
        return {name: float(size) * units[unit] for name, size, unit in rows}


@contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """A storage in a folder, or where the variable STORAGE says: there it stays. Where images cannot be built the test
    is skipped, and fails where everything has to be tested."""
    missing = [tool for tool in ("buildah", "debootstrap") if not shutil.which(tool)]
    if missing or os.geteuid():
        reason = f"images are built as root with buildah and debootstrap; missing: {missing or 'root'}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    kept = os.environ.get("STORAGE")
    found = Storage(Path(kept) if kept else folder)
    yield found
    if not kept:
        found.buildah("rmi", "--all", "--force")
        shutil.rmtree(found.folder)


def terminate(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to what `Image.command` runs: unshare keeps signals to itself."""
    for child in psutil.Process(process.pid).children():
        child.terminate()


@dataclass
class Image:
    """An image, unpacked."""

    storage: Storage
    name: str
    container: str = field(init=False)
    root: Path = field(init=False)
    docker: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.container = self.storage.buildah("from", "--pull-never", self.name)
        self.root = Path(self.storage.buildah("mount", self.container))
        self.docker = json.loads(self.storage.buildah("inspect", "--type", "image", self.name))["Docker"]

    @property
    def config(self) -> dict[str, Any]:
        """What its Dockerfile says of user, environment, command and labels."""
        found: dict[str, Any] = self.docker["config"]
        return found

    @property
    def layers(self) -> list[str]:
        """The digests of its layers."""
        return list(self.docker["rootfs"]["diff_ids"])

    def command(self, *arguments: str, volumes: dict[Path, str] | None = None, **environment: str) -> list[str]:
        """The command line that runs `arguments`, or else the image's own command, in it."""
        image = dict(entry.split("=", 1) for entry in self.config["Env"])
        settings = [f"{name}={value}" for name, value in (image | environment).items()]
        mounts = " ".join(f"{source}:{target}" for source, target in (volumes or {}).items())
        return [
            "env", f"VOLUMES={mounts}", "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "sh", "-c", ENTER, "enter", str(self.root), self.config["User"],
            f"--chdir={self.config['WorkingDir']}", *settings,
            *(arguments or self.config["Cmd"]),
        ]  # fmt: skip

    def run(self, *arguments: str, volumes: dict[Path, str] | None = None, **environment: str) -> str:
        """Run a command to its end; it must succeed. Returns what it prints."""
        command = self.command(*arguments, volumes=volumes, **environment)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def remove(self) -> None:
        """Remove what was unpacked."""
        self.storage.buildah("rm", self.container)
