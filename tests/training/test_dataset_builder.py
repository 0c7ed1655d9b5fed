"""The data set: its division, what it says of itself, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import (
    AtomicStructure,
    FailedLabel,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
)
from mlip_autopipec.testing import DocumentContract, maker_unchanged
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.training.dataset import TrainingSet
from mlip_autopipec.training.dataset_builder import DatasetMaker, joined_groups, partition
from mlip_autopipec.training.dataset_checks import energy_scores
from mlip_autopipec.training.dataset_import import read_labelled

ZUO = Path(__file__).parents[1] / "data" / "zuo"
VASP = Fingerprint(code="vasp", version="5.4.1", settings={"functional": "PBE"})


def labelled(atoms, label_id, energy=None, **kwargs):
    """A label; energy and forces by EMT if no energy is given."""
    forces, stress = kwargs.pop("forces", np.zeros((len(atoms), 3))), kwargs.pop("stress", None)
    if energy is None:
        atoms = atoms.copy()
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        stress = atoms.get_stress(voigt=False).tolist() if atoms.pbc.all() else None
    label = LabelDoc(
        structure=AtomicStructure.from_ase(atoms),
        energy=energy,
        forces=np.asarray(forces).tolist(),
        stress=stress,
        fingerprint=kwargs.pop("fingerprint", Fingerprint(code="test", version="1")),
        wall_time=1.0,
    )
    return LabelledStructure(label=label, label_id=label_id, **({"origin": "rattle"} | kwargs))


def batch(*labels, failed=()):
    return LabelBatchDoc(labels=list(labels), failed=list(failed), n_labels=len(labels), wall_time=0.0)


def rattled(seed, symbol="Cu", size=0.1):
    atoms = bulk(symbol, cubic=True)
    atoms.rattle(size, seed=seed)
    return atoms


def dimer(symbols="Cu2", d=2.5):
    return Atoms(symbols, positions=[[0, 0, 0], [0, 0, d]])


def many(n=20, **kwargs):
    return [labelled(rattled(seed), f"l{seed}", **kwargs) for seed in range(n)]


def test_a_data_set_of_real_labels_says_what_it_is_made_of():
    doc = DatasetMaker(test_fraction=0.3).build(
        [read_labelled(ZUO / "Cu.extxyz.gz", VASP, forces_key="force")]
    )
    assert doc.n_labels == len(doc.train) + len(doc.test) == 12
    assert doc.n_atoms == {"Cu": 8 + 18 + 24 + 2 * 107 + 7 * 108}
    assert (doc.elements, doc.n_by_formula, doc.n_by_origin) == (["Cu"], {"Cu": 12}, {"user": 12})
    assert (doc.fingerprint, doc.excluded, doc.outliers, doc.n_stress) == (VASP, [], [], 0)
    assert doc.e0["Cu"] == pytest.approx(-4.0, abs=0.1)
    assert 1.5 < doc.shortest_distances["Cu-Cu"] < 2.6
    # The strained crystals of this data set come in symmetric copies; DFT gave them the same energy.
    assert {(pair.kind, round(pair.energy_difference, 3)) for pair in doc.duplicates} == {("equivalent", 0.0)}
    assert sorted(len(members) for members in doc.groups.values()) == [2, 3]
    for members in doc.groups.values():
        assert set(members) <= set(doc.train) or set(members) <= set(doc.test)
    assert any("least squares" in warning for warning in doc.warnings)
    assert "12 of 12 periodic structures have no stress." in doc.warnings
    DocumentContract(type(doc)).check_instance(doc)


def test_silicon_can_be_divided_and_fitted(tmp_path):
    labels = read_labelled(ZUO / "Si.extxyz.gz", VASP, forces_key="force")
    doc = DatasetMaker(test_fraction=0.4).build([labels])
    assert (doc.e0_source, doc.elements) == ("least squares over the compositions", ["Si"])
    train, test = partition([labels], doc)
    assert [item.label_id for item in train.labels] == doc.train
    assert [item.label_id for item in test.labels] == doc.test
    assert 0 < test.n_labels <= 2


def test_labels_of_one_trajectory_stay_together():
    labels = [*many(6, group="md-0-300K-1"), labelled(rattled(50), "alone")]
    doc = DatasetMaker(test_fraction=0.2).build([batch(*labels)])
    assert doc.test == ["alone"]
    assert doc.groups == {"md-0-300K-1": [f"l{i}" for i in range(6)]}
    assert doc.warnings == [
        "E0 is from least squares over the compositions, not from free atoms: energies of dimers and of "
        "atoms that leave a surface have no meaning.",
        "The test set holds only 1 of 7 labels; its errors are uncertain.",
    ]


def test_trajectories_that_share_a_structure_are_one_group():
    labels = [
        labelled(rattled(1), "a", group="md-0"),
        labelled(rattled(2), "b", group="md-0"),
        labelled(rattled(2), "c", group="md-1"),
        labelled(rattled(3), "d", group="md-1"),
        labelled(rattled(4), "e"),
        labelled(rattled(4), "f"),
        labelled(rattled(5), "g"),
    ]
    doc = DatasetMaker(test_fraction=0.0).build([batch(*labels)])
    assert [(pair.first, pair.second, pair.kind) for pair in doc.duplicates] == [
        ("b", "c", "identical"),
        ("e", "f", "identical"),
    ]
    named = {tuple(members) for members in doc.groups.values()}
    assert named == {("a", "b", "c", "d"), ("e", "f")}
    assert next(iter(doc.groups)) == "md-0"
    assert (doc.test, doc.train) == ([], list("abcdefg"))


@given(st.lists(st.sampled_from(["", "x", "y", "z"]), min_size=1, max_size=8))
def test_joined_groups_keep_the_groups_and_their_names(groups):
    labels = [labelled(rattled(i), f"l{i}", energy=0.0, group=g) for i, g in enumerate(groups)]
    keys = joined_groups(labels, [])
    assert [key for key, group in zip(keys, groups, strict=True) if group] == [g for g in groups if g]
    alone = [key for key, group in zip(keys, groups, strict=True) if not group]
    assert len(set(alone)) == len(alone)


def test_the_division_depends_on_structures_not_on_ids_and_order():
    labels = many()
    renamed = [item.model_copy(update={"label_id": f"other-{item.label_id}"}) for item in reversed(labels)]
    first, second = DatasetMaker(test_fraction=0.3), DatasetMaker(test_fraction=0.3, seed=1)
    chosen = first.build([batch(*labels)]).test
    assert len(chosen) == 6
    assert {f"other-{name}" for name in chosen} == set(first.build([batch(*renamed)]).test)
    assert chosen != second.build([batch(*labels)]).test


def test_held_out_labels_and_their_duplicates_are_for_the_test():
    labels = [*many(4), labelled(rattled(90), "h", origin="held_out"), labelled(rattled(90), "copy")]
    doc = DatasetMaker(test_fraction=0.0).build([batch(*labels)])
    assert doc.test == ["h", "copy"]
    with pytest.raises(FitError, match="all 1 labels are held out; none is left to train on"):
        DatasetMaker().build([batch(labels[4])])


def test_isolated_atoms_give_e0_and_are_set_aside():
    labels = [*many(3), labelled(Atoms("Cu"), "atom", energy=-0.2, origin="isolated_atom")]
    labels.append(labelled(Atoms("Cu"), "user-atom", energy=-0.2, origin="user"))
    doc = DatasetMaker().build([batch(*labels)])
    assert (doc.e0, doc.e0_source) == ({"Cu": -0.2}, "labelled isolated atoms")
    assert [(e.label_id, e.formula, e.reason) for e in doc.excluded] == [
        ("atom", "Cu", "isolated atom, gives E0"),
        ("user-atom", "Cu", "free atom"),
    ]
    assert (doc.n_labels, len(doc.train) + len(doc.test)) == (5, 3)
    train, _ = partition([batch(*labels)], doc)
    assert [item.label_id for item in train.labels][:1] == ["atom"]


def test_e0_from_isolated_atoms_demanded_but_not_there():
    labels = [labelled(dimer("CuZr"), "x", energy=-1.0), labelled(dimer("Zr2"), "y", energy=-1.0)]
    labels.append(labelled(Atoms("Cu"), "atom", energy=-0.2, origin="isolated_atom"))
    with pytest.raises(FitError, match=r"each element; Zr has none \(labelled: Cu\)") as caught:
        DatasetMaker(e0="isolated").build([batch(*labels)])
    assert "label the missing atoms with the same oracle" in str(caught.value)
    doc = DatasetMaker(e0="least_squares").build([batch(*labels)])
    assert doc.e0_source == "least squares over the compositions"


def test_compositions_that_cannot_tell_elements_apart_are_warned_of():
    doc = DatasetMaker().build([batch(labelled(dimer("CuZr"), "x", energy=-1.0))])
    assert any("rank 1 for 2 elements: E0 of single elements is arbitrary" in w for w in doc.warnings)
    assert "All labels belong to one group, so there is no test set." in doc.warnings


def test_outliers_are_reported_with_their_values_and_stay():
    far = [labelled(rattled(seed), f"l{seed}", energy=-1.0) for seed in range(8)]
    odd = labelled(rattled(9), "odd", energy=-1.4)
    close = labelled(dimer(d=1.0), "close", energy=-0.5, forces=[[0, 0, -80.0], [0, 0, 80.0]])
    doc = DatasetMaker(test_fraction=0.0).build([batch(*far, odd, close)])
    found = {(o.label_id, o.kind): o for o in doc.outliers}
    assert set(found) == {
        ("odd", "unusual energy"),
        ("close", "short distance"),
        ("close", "large force"),
    }
    short = found["close", "short distance"]
    assert (short.value, short.limit) == (pytest.approx(1.0 / (2 * 1.32)), 0.6)
    assert short.detail == "Cu0-Cu1 at 1.000 Å, 0.38 of the sum of covalent radii"
    assert (found["close", "large force"].value, doc.largest_force) == (80.0, 80.0)
    assert found["odd", "unusual energy"].value == pytest.approx(-100.0)  # 0.1 eV/atom of 1 meV/atom
    assert doc.excluded == []
    assert "odd" in doc.train


def test_outliers_can_be_set_aside():
    close = labelled(dimer(d=1.0), "close", energy=-0.5, forces=[[0, 0, -80.0], [0, 0, 80.0]])
    maker = DatasetMaker(test_fraction=0.0, exclude_outliers=True)
    doc = maker.build([batch(*many(3), close)])
    assert (doc.train, len(doc.outliers)) == (["l0", "l1", "l2"], 2)
    assert doc.excluded[0].reason == (
        "Cu0-Cu1 at 1.000 Å, 0.38 of the sum of covalent radii; force of 80.0 eV/Å on Cu0"
    )
    with pytest.raises(FitError, match="no label is left to train on"):
        maker.build([batch(close)])


def test_scores_are_robust_and_within_a_composition():
    labels = [labelled(rattled(s), f"c{s}", energy=4 * e) for s, e in enumerate([0, 1, 2, 3, 4, 5, 6, 60])]
    labels += [labelled(dimer("CuZr"), "few", energy=99.0)]
    structures = [item.label.structure.to_ase() for item in labels]
    scores = energy_scores(TrainingSet(labels, structures, {"Cu": 0.0, "Zr": 0.0}, ""))
    assert scores[7] == pytest.approx((60 - 3.5) / (1.4826 * 2.0))
    assert scores[8] == 0.0


def test_energies_above_the_hull_by_composition():
    labels = [
        labelled(dimer("Cu2"), "a", energy=-2.0),
        labelled(dimer("Zr2"), "b", energy=-4.0),
        labelled(dimer("CuZr"), "c", energy=-2.0),
        labelled(Atoms("Cu"), "cu", energy=0.0, origin="isolated_atom"),
        labelled(Atoms("Zr"), "zr", energy=0.0, origin="isolated_atom"),
    ]
    doc = DatasetMaker().build([batch(*labels)])
    assert doc.energy_above_hull == pytest.approx({"Cu": 0.0, "CuZr": 0.5, "Zr": 0.0})


def test_mixed_conditions_are_refused_with_the_differences():
    other = Fingerprint(code="test", version="2")
    with pytest.raises(
        FitError, match="labels l0 and y were made under different conditions: version: 1 / 2"
    ):
        DatasetMaker().build([batch(*many(2)), batch(labelled(rattled(7), "y", fingerprint=other))])


def test_labels_that_contradict_each_other_are_refused():
    labels = [labelled(rattled(1), "x", energy=-1.0), labelled(rattled(1), "y", energy=-0.9)]
    with pytest.raises(
        FitError, match=r"labels x and y are of the same structure \(Cu4\).* by 0.0250 eV/atom"
    ):
        DatasetMaker().build([batch(*labels)])


def test_two_different_free_atoms_of_one_element_are_refused():
    labels = [
        labelled(Atoms("Cu"), name, energy=e, origin="isolated_atom") for name, e in (("x", 0.0), ("y", 0.5))
    ]
    with pytest.raises(
        FitError, match=r"isolated Cu atom has two energies: 0.000000 eV \(x\) and 0.500000 eV"
    ):
        DatasetMaker().build([batch(*labels, *many(2))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": float("nan")}, r"label x \(Cu2\): its energy must be finite"),
        ({"forces": [[0.0, 0.0, float("inf")]] * 2}, "its forces must be finite"),
        ({"stress": [[float("nan")] * 3] * 3}, "its stress must be finite"),
        ({"forces": [[0.0, 0.0, 0.0]]}, "has forces on 1 of 2 atoms"),
    ],
)
def test_impossible_numbers_are_refused(change, message):
    with pytest.raises(FitError, match=message):
        DatasetMaker().build([batch(*many(2), labelled(dimer(), "x", **({"energy": -1.0} | change)))])


def test_a_batch_given_twice_is_refused():
    with pytest.raises(FitError, match=r"2 labels occur more than once, e\.g\. l0"):
        DatasetMaker().build([batch(*many(2))] * 2)
    with pytest.raises(FitError, match="there are no labels to fit"):
        DatasetMaker().build([batch()])


def test_partition_needs_the_labels_of_the_data_set():
    doc = DatasetMaker().build([batch(*many(3))])
    with pytest.raises(FitError, match=r"1 labels of the data set are not in the batches, e\.g\. l2"):
        partition([batch(*many(2))], doc)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_fraction": 1.0}, "'test_fraction' must be at least 0 and below 1, got 1.0"),
        ({"test_fraction": -0.1}, "'test_fraction' must be at least 0"),
        ({"min_distance_ratio": 0.0}, "'min_distance_ratio' must be positive, got 0.0"),
        ({"max_force": -1.0}, "'max_force' must be positive, got -1.0"),
        ({"max_energy_z": 0.0}, "'max_energy_z' must be positive"),
        ({"duplicate_tolerance": float("nan")}, "'duplicate_tolerance' must be positive, got nan"),
        ({"e0": "vacuum"}, "'e0' must be one of auto, isolated, least_squares, got 'vacuum'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DatasetMaker(**settings)


def test_make_is_a_job_that_returns_the_document():
    failed = FailedLabel(label_id="f", structure=AtomicStructure.from_ase(rattled(0)), origin="md")
    maker = DatasetMaker(test_fraction=0.3)
    with maker_unchanged(maker):
        task = maker.make([batch(*many(4), failed=[failed])])
        store = JobStore(MemoryStore())
        doc = run_locally(task, store=store, log=False, ensure_success=True)[task.uuid][1].output
    assert doc == maker.build([batch(*many(4), failed=[failed])])
    assert (doc.n_failed, doc.n_stress, doc.n_labels) == (1, 4, 4)
    with pytest.raises(AttributeError, match="tset"):
        _ = task.output.tset


def test_a_fit_takes_what_partition_gives(copper_batch, tmp_path):
    doc = DatasetMaker(test_fraction=0.2).build([copper_batch])
    train, test = partition([copper_batch], doc)
    fitted = LinearAceFitMaker(n_functions=20).fit([train], tmp_path)
    assert fitted.e0 == doc.e0
    assert fitted.e0_source == "labelled isolated atoms"
    assert not {point.label_id for point in fitted.parity} & {item.label_id for item in test.labels}
