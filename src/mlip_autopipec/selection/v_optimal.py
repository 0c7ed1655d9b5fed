"""V-optimal selection: the labels after which the potential is least wrong about what the explorers meet."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.numerics import Budget, DesignChoice, greedy_v_optimal
from mlip_autopipec.schemas import CandidateStructure
from mlip_autopipec.selection.d_optimal import DOptimalSelectionMaker

Array = NDArray[np.float64]


@dataclass
class VOptimalSelectionMaker(DOptimalSelectionMaker):
    """Choose the structures whose labels lower the expected error on all that was found most, per cost.

    What the explorers found in a generation stands for what they meet: each of them counts by its weight,
    however many structures it found. So a label goes where it helps most, whoever found it, and no explorer
    draws labels by an error that labels do not lower. The most uncertain frame of the walks is always chosen,
    for a halted walk to get on. Candidates that no explorer found (those of the first fit) are chosen by
    information.

    Parameters
    ----------
    arms
        Weight of the errors on what each explorer finds, by name; ``md`` stands for the walks at all
        temperatures; 1 for those that are not named.
    """

    name: str = "select v-optimal"
    arms: dict[str, float] = field(default_factory=dict)

    def _required(self, fresh: list[CandidateStructure]) -> list[int]:
        required = super()._required(fresh)
        walked = [index for index, candidate in enumerate(fresh) if candidate.arm.startswith("md ")]
        if walked and any(self._weights(fresh).values()) and not any(index in required for index in walked):
            required.append(max(walked, key=lambda index: fresh[index].gamma or 0.0))
        return required

    def _choose(
        self,
        fresh: list[CandidateStructure],
        blocks: list[Array],
        precision: Array,
        n_choose: int,
        required: list[int],
        budget: Budget,
    ) -> DesignChoice:
        found: dict[str, list[Array]] = {}
        for candidate, block in zip(fresh, blocks, strict=True):
            found.setdefault(candidate.arm, []).append(block.T @ block)
        weights = self._weights(fresh)
        if not any(weights.values()):
            return super()._choose(fresh, blocks, precision, n_choose, required, budget)
        target = sum(weight * np.mean(found[arm], axis=0) for arm, weight in weights.items())
        return greedy_v_optimal(blocks, precision, target, n_choose, required, budget)

    def _weights(self, fresh: list[CandidateStructure]) -> dict[str, float]:
        arms = dict.fromkeys(candidate.arm for candidate in fresh if candidate.arm)
        return {arm: self._weight(arm) for arm in arms}

    def _weight(self, arm: str) -> float:
        return self.arms.get(arm, self.arms.get(arm.split()[0], 1.0))
