"""Labels of several conditions on one energy scale: exact where only E0 differs, refused where unknown."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import AtomicStructure, Fingerprint, LabelBatchDoc, LabelDoc, LabelledStructure
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.dataset_builder import DatasetMaker
from mlip_autopipec.training.realign import realigned

ONE = Fingerprint(code="test", version="1")
TWO = Fingerprint(code="test", version="2")


def cells(symbols, n):
    """Rocksalt cells of two elements, all different."""
    found = []
    for index in range(n):
        atoms = bulk("NaCl", "rocksalt", a=4.5 + 0.05 * index, cubic=True)
        atoms.symbols[:4] = symbols[0]
        atoms.symbols[4:] = symbols[1]
        found.append(atoms)
    return found


def label(atoms, energy, fingerprint, label_id, origin="rattle"):
    return LabelledStructure(
        label=LabelDoc(
            structure=AtomicStructure.from_ase(atoms),
            energy=energy,
            forces=np.zeros((len(atoms), 3)).tolist(),
            stress=None,
            fingerprint=fingerprint,
            wall_time=0.0,
        ),
        label_id=label_id,
        origin=origin,
    )


def batch(labels):
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=0.0)


def energy(atoms):
    return -30.0 + 0.3 * (atoms.cell[0, 0] - 4.7) ** 2 * len(atoms)


def two_sets(common, shift, noise=0.0):
    """Six labels of one kind, and of another kind the ``common`` ones and two of their own."""
    theirs = [*common, *(atoms for atoms in cells(("Cu", "Au"), 9)[7:])]
    ours = cells(("Cu", "Au"), 7)[:6] + [a for a in common if set(a.symbols) != {"Cu", "Au"}]
    moved = [
        energy(a) + sum(shift[s] for s in a.symbols) + noise * (-1) ** i * len(a)
        for i, a in enumerate(theirs)
    ]
    return (
        [label(a, energy(a), ONE, f"one-{i}") for i, a in enumerate(ours)],
        [label(a, e, TWO, f"two-{i}") for i, (a, e) in enumerate(zip(theirs, moved, strict=True))],
    )


@given(copper=st.floats(-500, 500), gold=st.floats(-500, 500))
def test_a_shift_of_e0_is_taken_back_exactly(copper, gold):
    pure = cells(("Cu", "Cu"), 1)
    ours, theirs = two_sets([*cells(("Cu", "Au"), 2), *pure], {"Cu": copper, "Au": gold})
    found, shifts, own = realigned([*ours, *theirs])
    assert own == ours
    assert shifts[0].shift == pytest.approx({"Cu": copper, "Au": gold}, abs=1e-8)
    assert (shifts[0].n_labels, shifts[0].n_common) == (5, 3)
    assert shifts[0].residual == pytest.approx(0.0, abs=1e-9)
    for item in found:
        assert item.label.energy == pytest.approx(energy(item.label.structure.to_ase()), abs=1e-6)
    assert found[-1].label.notes[0].startswith("realigned: ")
    assert found[-1].label.fingerprint == TWO


def test_one_composition_needs_the_shift_of_its_sum_only():
    ours, theirs = two_sets(cells(("Cu", "Au"), 2), {"Cu": 1.0, "Au": 3.0})
    found, shifts, _ = realigned([*ours, *theirs])
    assert sum(shifts[0].shift.values()) == pytest.approx(4.0)
    assert found[-1].label.energy == pytest.approx(energy(found[-1].label.structure.to_ase()))


def test_the_residual_is_what_a_constant_cannot_mend():
    ours, theirs = two_sets(cells(("Cu", "Au"), 4), {"Cu": 1.0, "Au": 3.0}, noise=0.002)
    assert realigned([*ours, *theirs])[1][0].residual == pytest.approx(0.002)


def test_without_common_structures_it_is_refused_with_the_differences():
    ours, theirs = two_sets([], {"Cu": 1.0, "Au": 3.0})
    message = r"label two-0 \(Au4Cu4\) cannot be realigned: the 0 structures .* version: 1 / 2"
    with pytest.raises(FitError, match=message):
        realigned([*ours, *theirs])


def test_a_composition_beyond_the_common_ones_is_refused():
    ours, theirs = two_sets(cells(("Cu", "Au"), 3), {"Cu": 1.0, "Au": 3.0})
    alone = label(cells(("Au", "Au"), 1)[0], -5.0, TWO, "gold")
    with pytest.raises(FitError, match=r"label gold .* the 3 structures .* do not determine its shift"):
        realigned([*ours, *theirs, alone])


def test_free_atoms_of_the_reference_stay_and_do_not_give_the_shift():
    ours, theirs = two_sets(cells(("Cu", "Au"), 2), {"Cu": 1.0, "Au": 3.0})
    atom = Atoms("Cu", positions=[[0.0, 0.0, 0.0]])
    mine = label(atom, -1.0, ONE, "atom one", "isolated_atom")
    other = label(atom, -77.0, TWO, "atom two", "isolated_atom")
    found, shifts, _ = realigned([*ours, mine, other, *theirs])
    assert [i.label_id for i in found if i.origin == "isolated_atom"] == ["atom one"]
    assert shifts[0].n_common == 2


def test_one_kind_is_left_alone():
    ours, _ = two_sets([], {"Cu": 0.0, "Au": 0.0})
    assert realigned(ours) == (ours, [], ours)


def test_the_data_set_and_the_training_set_report_the_shift():
    ours, theirs = two_sets(cells(("Cu", "Au"), 4), {"Cu": 1.0, "Au": 3.0})
    batches = [batch(ours), batch(theirs)]
    with pytest.raises(FitError, match=r"version: 1 / 2.*\n.*realign: true"):
        assemble(batches, 4.0)
    training = assemble(batches, 4.0, realign=True)
    assert (len(training.labels), training.realigned[0].n_common) == (12, 4)
    with pytest.raises(FitError, match="different conditions"):
        DatasetMaker(test_fraction=0.0).build(batches)
    dataset = DatasetMaker(test_fraction=0.0, realign=True).build(batches)
    assert dataset.realigned == training.realigned
    assert dataset.fingerprint == ONE
    assert len(dataset.duplicates) == 4
