"""Training and test structures that know nothing of each other."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import ConfigError


def group_split(groups: Sequence[str], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Choose test structures group by group, so that none has a sibling among the training structures.

    The groups are drawn in an order that depends on their names and the seed alone: what is added later
    changes little of the draw. A group that would overshoot the fraction is passed over for the next.

    Parameters
    ----------
    groups
        Group of each structure; empty if it stands alone.
    fraction
        Largest fraction of the structures that becomes test structures (dimensionless, at least 0 and below
        1). If it is positive and there is more than one group, at least the smallest group is for the test.
    seed
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        True for test structures, shape ``(n_structures,)``.

    Raises
    ------
    ConfigError
        ``fraction`` is out of range.

    Examples
    --------
    >>> group_split(["a", "a", "", "b", "b"], fraction=0.4, seed=0).tolist()
    [False, False, False, True, True]
    """
    if not 0.0 <= fraction < 1.0:
        raise ConfigError(f"'fraction' must be at least 0 and below 1, got {fraction}.")
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(f"group {group}" if group else f"alone {index}", []).append(index)
    test = np.zeros(len(groups), dtype=bool)
    if fraction == 0.0 or len(members) < 2:
        return test
    drawn = sorted(members, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())
    room = fraction * len(groups)
    for name in drawn:
        if len(members[name]) <= room:
            room -= len(members[name])
            test[members[name]] = True
    if not test.any():
        test[min((members[name] for name in drawn), key=len)] = True
    return test
