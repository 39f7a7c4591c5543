"""Containers of rendered manifests as processes: command, environment and secret are what the manifest says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.commands import ROOT
from tests.containers import Image
from tests.kubernetes import Object, named, of_kind, pod_template
from tests.replicas import unmeasured
from tests.webapp_world import World


def tcp(world: World, role: str) -> str:
    """A URL without the socket, whose folder belongs to another user."""
    password = world.url(role).split(":")[2].split("@")[0]
    return f"postgresql://{role}:{password}@127.0.0.1:{world.cluster.port}/recjobs"


def container_of(objects: list[Object], kind: str, name: str) -> tuple[Any, Any]:
    """The pod of a workload, and its first container."""
    spec = pod_template(named(objects, kind, name))["spec"]
    return spec, spec["containers"][0]


def environment_of_container(objects: list[Object], container: Any) -> dict[str, str]:
    """What its ConfigMaps and its own list set."""
    settings: dict[str, str] = {}
    for source in container.get("envFrom", []):
        [found] = [t for t in of_kind(objects, "ConfigMap") if t["metadata"]["name"] == source["configMapRef"]["name"]]
        settings |= found["data"]
    return settings | {each["name"]: each["value"] for each in container.get("env", [])}


def argv_of(container: Any) -> list[str]:
    """Its command, with the programs of this checkout."""
    program, *arguments = container["command"]
    return [sys.executable if program == "python" else str(Path(sys.executable).parent / program), *arguments]


def mount(container: Any, settings: dict[str, str], secret: str, folder: Path) -> dict[str, str]:
    """Its settings with the secret mounted at a folder in the place of where the manifest mounts it."""
    [place] = [each for each in container["volumeMounts"] if each["name"] == "settings"]
    assert settings["RECJOBS_STATE"] == place["mountPath"]
    (folder / "env").write_text(secret)
    (folder / "env").chmod(0o440)
    return settings | {"RECJOBS_STATE": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def run_migration(objects: list[Object], url: str, folder: Path, image: Image | None = None) -> None:
    """Run the Job `migration` on this database to its end; it must end well.

    Without an image it runs from this checkout and knows no catalog's file: schemas are migrated anyway.
    """
    pod, job = container_of(objects, "Job", "migration")
    (folder / "catalogs").mkdir(parents=True)
    secret = f"RECJOBS_DATABASE_URL={url}\n"
    own = environment_of_container(objects, job)
    settings = mount(job, own, secret, folder)
    if image:
        os.chown(folder / "env", 0, pod["securityContext"]["fsGroup"])
        image.run(*job["command"], volumes={folder: own["RECJOBS_STATE"]}, **own)
        return
    done = subprocess.run(
        argv_of(job),
        cwd=ROOT,
        env=unmeasured(settings | {"RECJOBS_CATALOGS": str(folder / "catalogs")}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
