"""Explorers beside MD keep what the potential is uncertain of, and only that."""

import pytest
from ase.build import bulk

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation import PerturbationMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.testing import maker_unchanged

CRYSTALS = [AtomicStructure.from_ase(bulk("Cu", cubic=True))]


def test_what_is_kept_is_uncertain_and_required(copper_ace):
    maker = PerturbationMaker(gamma_select=3.0)
    with maker_unchanged(maker):
        found = maker.search(copper_ace, CRYSTALS, {"vacancy": 2, "liquid": 1}, 5)
    assert found == found.model_copy(update={"searches": found.searches})
    assert [s.arm for s in found.searches] == ["liquid", "vacancy"]
    for search in found.searches:
        assert search.n_uncertain == sum(c.arm == search.arm for c in found.candidates)
        assert search.n_uncertain <= search.n_made <= 20
    for candidate in found.candidates:
        assert candidate.gamma == pytest.approx(copper_ace.evaluate(candidate.structure.to_ase()).gamma.max())
        assert candidate.gamma > 3.0
        assert candidate.required
    again = maker.search(copper_ace, CRYSTALS, {"vacancy": 2, "liquid": 1}, 5)
    assert again.candidates == found.candidates


def test_the_known_is_left_alone(copper_ace):
    found = PerturbationMaker(gamma_select=1e9, n_tries=2).search(copper_ace, CRYSTALS, {"strain": 2}, 0)
    assert found.candidates == []
    assert (found.searches[0].n_made, found.searches[0].n_uncertain) == (4, 0)


def test_unknown_explorers_and_potentials_without_grade_are_refused(copper_ace, copper_files):
    with pytest.raises(ConfigError, match="'magic' is no explorer"):
        PerturbationMaker().search(copper_ace, CRYSTALS, {"magic": 1}, 0)
    with pytest.raises(ConfigError, match="active set"):
        PerturbationMaker().search(AcePotential(copper_files), CRYSTALS, {"rattle": 1}, 0)
