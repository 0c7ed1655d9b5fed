"""The section on the properties of the crystal."""

import pytest

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.properties import phonons, properties
from mlip_autopipec.schemas import (
    CheckCost,
    DefectDoc,
    DefectEnergy,
    ElasticDoc,
    PhononDoc,
    SkippedCheck,
)

CUBIC = [
    [168.0 if i == j < 3 else 121.0 if i < 3 and j < 3 else 75.0 if i == j else 0.0 for j in range(6)]
    for i in range(6)
]


def elastic(reference=True):
    theirs = [[1.25 * x for x in row] for row in CUBIC]
    return ElasticDoc(
        formula="Cu",
        strain=0.01,
        n_cells=4,
        residual_stress=[[0.0] * 3] * 3,
        constants=["11", "12", "44"],
        tensor_predicted=CUBIC,
        tensor_reference=theirs if reference else None,
        bulk_modulus=136.7,
        shear_modulus=47.0,
        lowest_eigenvalue=46.9,
        checks=[],
    )


def phonon(reference=True):
    return PhononDoc(
        formula="Cu",
        supercell=(4, 4, 4),
        n_cells=1,
        displacement=0.02,
        distances=[0.0, 1.0, 1.0, 1.5],
        segment_ends=[("Γ", "X"), ("K", "L")],
        n_points=2,
        bands_predicted=[[0.0, 0.1], [5.0, 8.1], [4.0, 7.0], [3.0, 7.7]],
        bands_reference=[[0.0, 0.1], [5.2, 8.3], [4.1, 7.1], [3.1, 7.8]] if reference else None,
        dos_frequency=[0.0, 4.0, 8.0],
        dos_predicted=[0.0, 1.0, 0.0],
        lowest=-0.0123,
        checks=[],
    )


@pytest.fixture
def campaign(docs):
    found = docs.validation().model_copy(
        update={
            "elastic": elastic(),
            "phonon": phonon(),
            "defects": [
                DefectDoc(
                    kind="vacancy",
                    formula="Cu",
                    energies=[
                        DefectEnergy(
                            name="Cu vacancy", unit="eV", n_atoms=31, predicted=1.203, reference=1.238
                        )
                    ],
                    checks=[],
                )
            ],
            "costs": [
                CheckCost(
                    kind="phonon", n_labels=1, n_atoms=64, asked=False, reason="too dear", estimated_time=90.0
                )
            ],
            "skipped": [SkippedCheck(kind="surface", reason="phonopy not installed")],
        }
    )
    return Campaign(validation=found)


def test_each_property_stands_beside_the_oracle(campaign):
    page = properties(campaign)
    for text in ("C44", "93.75", "-20", "Cu vacancy", "1.238", "too dear", "90 s", "phonopy not installed"):
        assert text in page, text
    assert "4 × 4 × 4" in page
    assert "-0.0123 THz" in page


def test_without_the_oracle_the_potential_stands_alone():
    both = {plot.name: plot.svg for plot in phonons(phonon())}
    alone = {plot.name: plot.svg for plot in phonons(phonon(reference=False))}
    for svgs, shown in ((both, True), (alone, False)):
        assert ("oracle" in svgs["phonons"]) == shown
    assert "X|K" in both["phonons"]
    assert phonons(None) == []


def test_before_the_validation_there_is_nothing(docs):
    assert properties(Campaign()) == ""
    assert "Elastic" not in properties(Campaign(validation=docs.validation()))
