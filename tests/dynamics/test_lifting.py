"""Gamma is the alarm, the estimate the judge: which halts are lifted, and that no walk goes on for ever."""

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import load_error_model
from mlip_autopipec.dynamics.lifting import error_estimate, joined, walk_on
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    ErrorLimit,
    ExplorationDoc,
    FileData,
    ThermoTable,
    Walker,
)

END = AtomicStructure.from_ase(bulk("Cu", cubic=True))


def run(begin, gamma, limit=10.0, **update):
    walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=1000, seed=1)
    steps = [begin, begin + 5, begin + 10]
    found = ExplorationDoc(
        walker=walker,
        engine="none",
        timestep=1.0,
        start_step=begin,
        end_step=begin + 10,
        end_reason="gamma",
        end_value=gamma,
        gamma_limit=limit,
        gamma_start=1.0,
        gamma_max=gamma,
        thermo=ThermoTable(
            step=steps,
            temperature=[300.0] * 3,
            potential_energy=[-1.0] * 3,
            pressure=[0.0] * 3,
            volume=[11.0] * 3,
            gamma=[1.0, 2.0, gamma],
        ),
        frames=[CandidateStructure(structure=END, origin="md", gamma=gamma, required=True)],
        final=END,
        restart=FileData(name="restart", sha256="", base64=""),
        wall_time=1.0,
    )
    return found.model_copy(update=update)


def endless(limits):
    """Walk that meets whatever limit it is given, and takes down which."""

    def walk(gamma, before):
        limits.append(gamma)
        limit = gamma or 10.0
        return run(before.end_step if before else 0, 1.01 * limit, limit)

    return walk


@pytest.mark.parametrize("estimate", [0.0, 1e-9])
def test_no_estimate_is_believed_for_ever(estimate):
    limits = []
    found = walk_on(endless(limits), lambda atoms: estimate, 0.2)
    assert found.end_reason == "gamma"
    assert limits[1] == pytest.approx(2 * 1.01 * 10.0)
    assert limits[-1] == 1000.0
    assert len(limits) == 8
    assert found.lifted[-1].gamma < 1000.0 < found.gamma_max


@pytest.mark.parametrize("estimate", [float("nan"), float("inf"), 0.21])
def test_what_is_not_known_to_be_good_halts(estimate):
    limits = []
    found = walk_on(endless(limits), lambda atoms: estimate, 0.2)
    assert (limits, found.lifted) == ([None], [])
    assert found.force_error == (0.21 if estimate == 0.21 else None)


def test_the_next_look_is_where_the_error_would_be_too_large():
    limits = []
    walk_on(endless(limits), lambda atoms: 0.1 * (1 + len(limits) // 2), 0.15)
    assert limits == [None, pytest.approx(1.5 * 10.1)]


@pytest.mark.parametrize("update", [{"end_reason": "temperature"}, {"restart": None}, {"end_value": None}])
def test_only_a_halt_by_gamma_that_can_be_resumed_is_lifted(update):
    found = walk_on(lambda gamma, before: run(0, 12.0, **update), lambda atoms: 0.0, 0.2)
    assert found.lifted == []


def test_a_run_and_its_continuation_are_one():
    one = joined(run(0, 12.0), run(10, 30.0, limit=24.0))
    assert (one.start_step, one.end_step, one.gamma_limit, one.gamma_max) == (0, 20, 24.0, 30.0)
    assert one.thermo.step == [0, 5, 10, 15, 20]
    assert one.thermo.volume == [11.0] * 5
    assert one.wall_time == 2.0
    assert [(frame.gamma, frame.required) for frame in one.frames] == [(30.0, True)]


def test_the_estimate_is_never_below_the_fits_own(copper, tmp_path):
    model = load_error_model(copper, tmp_path)
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.02, seed=1)
    own = model.force_errors(atoms).max()
    for scale in (0.0, model.posterior.scale):
        estimate = error_estimate(copper, ErrorLimit(scale=scale, tolerated_error=0.2), tmp_path)
        assert estimate(atoms) == pytest.approx(own)
    limit = ErrorLimit(scale=10 * model.posterior.scale, tolerated_error=0.2)
    assert error_estimate(copper, limit, tmp_path)(atoms) == pytest.approx(10 * own)


def test_atoms_in_the_core_are_never_good_enough(copper, tmp_path):
    atoms = bulk("Cu", cubic=True, a=0.9 * np.sqrt(2) * copper.core.r_in["Cu-Cu"])
    limit = ErrorLimit(scale=1.0, tolerated_error=0.2)
    assert error_estimate(copper, limit, tmp_path)(atoms) == float("inf")


def test_a_potential_without_a_posterior_has_no_estimate(copper, tmp_path):
    files = [file for file in copper.files if not file.name.endswith(".npz")]
    bare = copper.model_copy(update={"files": files})
    assert error_estimate(bare, ErrorLimit(scale=1.0, tolerated_error=0.2), tmp_path) is None
