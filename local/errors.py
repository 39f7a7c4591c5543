"""What can go wrong while the local platform starts; each message says what to do about it."""


class LocalError(Exception):
    """The local platform cannot do what was asked; the message names the reason and the way out."""

    exit_code = 78


class PortTaken(LocalError):
    """Another program listens on a port this platform needs."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(f"port {port} is taken by another program; set {setting}={port + 1} or stop that program")


class NightFailed(LocalError):
    """The platform is well, the night is not; its own exit code stands in the message."""

    exit_code = 1


class NotHealthy(LocalError):
    """A process ended, or did not answer in time."""

    exit_code = 75
