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
    error = np.linalg.norm(copper_ace.evaluate(rattled_copper).forces - forces, axis=1)
    expected = np.mean(error / np.sqrt(1 + (np.linalg.norm(forces, axis=1) / 2.0) ** 2))
    assert second.force_error == pytest.approx(expected)


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ConfigError, match="'force_scale' must be positive"):
        ArmErrorMaker(force_scale=0.0)
