"""What a job is for: its metadata tell which worker, queue and resources suit it."""

from collections.abc import Mapping
from typing import Any

from mlip_autopipec.settings import Role

_STAGES: dict[str, Role] = {"fit": "training", "refine": "training", "explore": "exploration"}


def role_of(metadata: Mapping[str, Any]) -> Role:
    """Say what a job is for.

    Parameters
    ----------
    metadata
        Metadata of the job, as the flows here write them; those of others are ``"other"``.

    Returns
    -------
    str
        ``"oracle"`` for each single label, ``"training"``, ``"exploration"``, or ``"other"``: jobs of seconds
        that choose, gather and decide.
    """
    if "label" in metadata:
        return "oracle"
    return _STAGES.get(str(metadata.get("stage")), "other")
