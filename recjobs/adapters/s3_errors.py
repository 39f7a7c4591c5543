"""What an object store's refusal means, read off the text of pyarrow's error: it has no other sign."""

from recjobs.errors import BadConfiguration, RecjobsError, SystemAway

_AWAY = ("NETWORK_CONNECTION", "curlCode", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "TIMEOUT", "INTERNAL_FAILURE")
_NOT_LET_IN = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "MISSING_AUTH", "TOKEN")


def meaning(place: str, said: str) -> RecjobsError | None:
    """SystemAway when the store does not answer, BadConfiguration when it does not let us in, None for all else."""
    if "AWS Error" not in said:
        return None
    if any(word in said for word in _AWAY):
        return SystemAway(f"{place}: the object store does not answer; see to AWS_ENDPOINT_URL and the network")
    if any(word in said for word in _NOT_LET_IN):
        return BadConfiguration(
            f"{place}: the object store does not let us in; see to AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the "
            "bucket's policy"
        )
    if "NO_SUCH_BUCKET" in said:
        return BadConfiguration(f"{place}: there is no such bucket; make it, or name another")
    return None
