"""What a night's steps need to compute on Spark: the session, and a folder that its tasks reach."""

import fcntl
import os
from functools import cache
from pathlib import Path

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.spark import Cluster, cluster
from recjobs.errors import Locked
from recjobs.night.night import Night
from recjobs.night.stored import absolute


def cluster_of(night: Night) -> Cluster:
    """This process' session on RECJOBS_SPARK_MASTER, and the night for this process alone until it ends.

    Raises as `adapters.spark.cluster` does, and Locked where another process computes this night on Spark: both would
    hand over in the same folders. With artifacts in S3 that is not noticed.
    """
    settings = night.settings
    if night.files.system.is_local:
        claim(str(Path(night.files.folder).absolute()))
    return cluster(settings.spark_master, f"recjobs {night.catalog.name}", settings.state / "logs")


def shared_folder(night: Night, name: str) -> SharedFolder:
    """A folder of the night for what tasks hand over, which the step that uses it removes; one that a killed step has
    left goes with the next use, or with an erasure or the night itself."""
    return SharedFolder(*absolute(night, f"{night.files.folder}/spark-{name}"))


@cache
def claim(folder: str) -> int:
    """Lock a night's folder until this process ends, however it does; returns the open folder. Raises Locked if another
    process has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Locked(f"another process is computing the night in {folder} on Spark; wait until it has ended") from None
    except OSError:  # a network's file system without locks of folders
        pass
    return handle
