"""True errors by explorer, against forces computed by hand."""

import numpy as np
import pytest
from ase.calculators.emt import EMT

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.selection import ArmErrorMaker
from mlip_autopipec.testing import label_batch


def test_errors_are_grouped_and_large_forces_count_relatively(copper_ace, candidate, rattled_copper):
    other = rattled_copper.copy()
    other.rattle(0.05, seed=4)
    batch = label_batch(
        [candidate(rattled_copper, arm="vacancy"), candidate(other, arm="md 300 K"), candidate(other)], EMT()
    )
    first, second = ArmErrorMaker(force_scale=2.0).measure(copper_ace, batch).errors
    assert (first.arm, second.arm) == ("md 300 K", "vacancy")
    forces = np.array(batch.labels[0].label.forces)
    found = copper_ace.evaluate(rattled_copper).forces
    larger = np.maximum(np.linalg.norm(forces, axis=1), np.linalg.norm(found, axis=1))
    expected = np.mean(np.linalg.norm(found - forces, axis=1) / np.sqrt(1 + (larger / 2.0) ** 2))
    assert second.force_error == pytest.approx(expected)


def test_no_answer_however_wild_counts_for_more_than_twice_the_scale(copper_ace, candidate, rattled_copper):
    batch = label_batch([candidate(rattled_copper, arm="surface")], EMT())
    wild = [(1e4, 0.0, 0.0)] * len(rattled_copper)
    label = batch.labels[0].label.model_copy(update={"forces": wild})
    item = batch.labels[0].model_copy(update={"label": label})
    (found,) = (
        ArmErrorMaker(force_scale=0.7).measure(copper_ace, batch.model_copy(update={"labels": [item]})).errors
    )
    assert 0.6 < found.force_error <= 1.4


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ConfigError, match="'force_scale' must be positive"):
        ArmErrorMaker(force_scale=0.0)
