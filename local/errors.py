"""Errors of the local platform; each message names the fix."""


class LocalError(Exception):
    """The local platform cannot start or stop; the message names the reason and the fix."""

    exit_code = 78


class PortTaken(LocalError):
    """Another program listens on a port this platform needs."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(f"port {port} is taken by another program; set {setting}={port + 1} or stop that program")


class NightFailed(LocalError):
    """The night failed on a healthy platform; the message has its exit code."""

    exit_code = 1


class NotHealthy(LocalError):
    """A process ended, or did not answer in time."""

    exit_code = 75
