"""The validation flow: what the oracle is asked, what that costs, and what is summed up."""

from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from jobflow import Flow, job, run_locally

from mlip_autopipec.config import parse_config
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.flows.validation_plan import asked_cells, equilibrium
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure, ValidationDoc
from mlip_autopipec.store import load_output, open_store
from mlip_autopipec.testing import label_batch
from mlip_autopipec.validation import (
    ElasticMaker,
    PhononMaker,
    StabilityMaker,
    StackingFaultMaker,
    VacancyMaker,
    eos_structures,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use thermalize_momenta:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
]

CRYSTAL = AtomicStructure.from_ase(bulk("Cu", a=3.7, cubic=True))


@pytest.fixture(scope="module")
def eos_labels():
    return label_batch(eos_structures([CRYSTAL], 7, 0.05), EMT())


def test_properties_are_those_of_the_crystal_where_the_oracle_has_its_minimum(eos_labels):
    atoms = equilibrium(CRYSTAL, eos_labels).to_ase()
    assert len(atoms) == 4
    assert atoms.get_volume() / 4 == pytest.approx(11.57, abs=0.02)
    atoms.calc = EMT()
    assert np.abs(atoms.get_stress()).max() < 2e-4


def test_the_ceiling_drops_what_does_not_fit_and_says_so(eos_labels):
    crystal = equilibrium(CRYSTAL, eos_labels)
    makers = [ElasticMaker(), PhononMaker(phonon_length=10.0), VacancyMaker(vacancy_atoms=8)]
    chosen, costs = asked_cells(makers, crystal, eos_labels, 40)
    assert [(c.kind, c.n_labels, c.n_atoms, c.asked) for c in costs] == [
        ("elastic", 5, 20, True),
        ("phonon", 1, 64, False),
        ("vacancy", 2, 15, True),
    ]
    assert costs[1].reason == "64 atoms, 20 of 40 were left (max_cost)"
    assert {c.origin for c in chosen} == {"elastic", "vacancy"}
    each = np.median([label.label.wall_time for label in eos_labels.labels]) / 16
    assert costs[1].estimated_time == pytest.approx(each * 64**2)
    empty = eos_labels.model_copy(update={"labels": []})
    assert asked_cells(makers[:1], crystal, empty, 40)[1][0].estimated_time is None


def test_further_crystals_that_are_periodic_have_an_equation_of_state():
    bcc = AtomicStructure.from_ase(bulk("Cu", "bcc", a=2.9))
    slab = AtomicStructure.from_ase(fcc111("Cu", (1, 1, 2)))
    maker = ValidationMaker(checks=(), n_held_out=4)
    assert maker.phases([CRYSTAL, slab, bcc]) == [CRYSTAL, bcc]
    assert maker.most_labels([CRYSTAL, slab, bcc]) == 4 + 2 * 7
    assert replace(maker, n_phases=1).most_labels([CRYSTAL, slab, bcc]) == 4 + 7
    planned = maker.plan.original(maker, [CRYSTAL, slab, bcc], [])
    assert sorted({c.group for c in planned.candidates if c.origin == "eos"}) == [
        "crystal 001",
        "crystal 002",
    ]


# A check whose package is not there


@dataclass
class FarPhononMaker(PhononMaker):
    """Needs a package that nobody has."""

    packages = ("phonopy", "no_such_package")


@dataclass
class WithoutPhonons(ValidationMaker):
    """As if phonopy were not installed."""

    phonon_maker: PhononMaker = field(default_factory=FarPhononMaker)


def test_a_check_without_its_package_is_listed_as_not_run():
    maker = WithoutPhonons()
    assert [m.kind for m in maker.property_makers] == ["elastic", "vacancy", "stacking_fault"]
    (skipped,) = maker.not_installed
    assert skipped.reason == "no_such_package not installed: pip install 'mlip_autopipec[validation]'"


def test_a_check_that_was_asked_for_needs_its_package(tmp_path):
    def planned(**validation):
        data = {
            "composition": "Cu",
            "oracle": {"engine": "ase", "calculator": "emt"},
            "validation": validation,
        }
        made = plan(parse_config(data), tmp_path)
        maker = WithoutPhonons(checks=made.maker.validation_maker.checks)
        return replace(made, maker=replace(made.maker, validation_maker=maker))

    planned().prepared()
    with pytest.raises(MissingProgramError, match="asks for phonon: no_such_package not installed") as error:
        planned(checks=["phonon"]).prepared()
    assert error.value.hint == "pip install 'mlip_autopipec[validation]', or leave the check out."


# The whole flow


@job(data=["files", "parity"])
def keep(doc):
    return doc


def test_the_flow_labels_judges_and_sums_up(copper, tmp_path):
    maker = ValidationMaker(
        label_maker=LabelBatchMaker(oracle_maker=AseStaticMaker(calculator="emt")),
        stability_maker=StabilityMaker(n_atoms=4, n_steps=20, temperature=300.0, pressure=2.0),
        phonon_maker=PhononMaker(phonon_length=7.0),
        vacancy_maker=VacancyMaker(vacancy_atoms=8),
        stacking_fault_maker=StackingFaultMaker(),
        n_held_out=2,
        max_cost=60,
    )
    potential = keep(copper)
    crystal = AtomicStructure.from_ase(bulk("Cu", cubic=True))
    flow = maker.make(potential.output, [crystal], [])
    with closing(open_store(tmp_path / "run")) as store:
        run_locally(Flow([potential, flow]), store=store, log=False, root_dir=tmp_path, ensure_success=True)
        found = load_output(store, flow.output.uuid)
    assert isinstance(found, ValidationDoc)
    assert [(c.kind, c.asked) for c in found.costs] == [
        ("elastic", True),
        ("phonon", True),
        ("vacancy", False),
        ("stacking_fault", True),
    ]
    assert found.elastic.tensor_reference is not None
    assert found.phonon.bands_reference is not None
    assert [d.energies[0].reference is None for d in found.defects] == [True, False]
    assert len(found.batches) == 2
    assert found.n_labels == 2 + 7 + 5 + 1 + 2
    assert set(found.held_out.by_origin) == {"strain", "rattle"}
    assert found.stability.pressure == 2.0
    kinds = {check.kind for check in found.checks}
    assert kinds == {"held_out", "eos", "stability", "elastic", "phonon", "vacancy", "stacking_fault"}
