"""After the validation: the last document, or one more generation with what failed."""

from pathlib import Path

import pytest

from mlip_autopipec.config import parse_config
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.conclusion import remedies
from mlip_autopipec.flows.progress import LoopLimits
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.schemas import (
    Check,
    EosCurve,
    EosDoc,
    EosFit,
    ErrorStatistics,
    HeldOutDoc,
    StabilityDoc,
    ValidationDoc,
    WorkflowState,
)

HERE = Path(__file__).parent
EMT = {"engine": "ase", "calculator": "emt"}


def check(kind, verdict="fail"):
    return Check(
        name=f"a {kind}", kind=kind, value=1.0, limit=0.5, unit="eV", verdict=verdict, reason="because"
    )


def state(**changes):
    found = WorkflowState(
        seeds="s", batches=["b0"], potentials=["p0"], n_starts=1, quiet_time=5.0, quiet_walks=3
    )
    return found.model_copy(update={"n_labels": 30, "generation": 4, "stop_reason": "no_halt", **changes})


def validation(*checks):
    errors = ErrorStatistics(
        n_structures=1, energy_rmse=0, energy_mae=0, force_rmse=0, force_mae=0, force_max=0
    )
    fit = EosFit(v0=1.0, e0=1.0, b0=1.0, b0_prime=1.0)
    return ValidationDoc(
        verdict="fail",
        checks=list(checks),
        held_out=HeldOutDoc(errors=errors, parity=[], checks=[]),
        eos=EosDoc(
            curves=[
                EosCurve(
                    formula="Cu",
                    volumes=[],
                    energies_reference=[],
                    energies_predicted=[],
                    reference=fit,
                    predicted=fit,
                )
            ],
            checks=[],
        ),
        stability=StabilityDoc(
            n_atoms=1,
            n_steps=1,
            timestep=1.0,
            temperature=1.0,
            energy_drift=0.0,
            gamma_max=1.0,
            lost_atoms=0,
            time=[],
            total_energy=[],
            dimer_distances=[],
            dimer_energies={},
            checks=[],
        ),
        n_labels=3,
        wall_time=1.0,
    )


# What is learned of which failure


@pytest.mark.parametrize(
    ("failed", "learned"),
    [
        (["elastic", "eos"], {"strain": 6}),
        (["phonon"], {"rattle": 6}),
        (["vacancy", "stacking_fault", "surface"], {"vacancy": 6, "stacking_fault": 6, "surface": 6}),
        (["stability"], {}),
    ],
)
def test_a_failed_check_asks_for_its_own_structures(failed, learned):
    assert remedies([check(kind) for kind in failed], state(), LoopLimits()) == learned


def test_what_passed_or_warned_asks_for_nothing():
    assert remedies([check("vacancy", "pass"), check("elastic", "warn")], state(), LoopLimits()) == {}


@pytest.mark.parametrize(
    ("limits", "changes", "learned"),
    [
        (LoopLimits(max_labels=30), {}, {}),
        (LoopLimits(max_labels=34), {}, {"vacancy": 4}),
        (LoopLimits(max_labels=38), {}, {"vacancy": 6, "surface": 2}),
        (LoopLimits(max_repairs=1), {"n_repairs": 1}, {}),
        (LoopLimits(max_repairs=0), {}, {}),
        (LoopLimits(max_generations=5), {}, {}),
    ],
)
def test_labels_rounds_and_generations_bound_it(limits, changes, learned):
    assert remedies([check("vacancy"), check("surface")], state(**changes), limits) == learned


# The flow that follows


def flow_of(maker, doc):
    return maker.judge.original(maker, state(), doc, "v0").replace


def stages(flow):
    return {job.metadata["stage"]: job for job, _ in flow.iterflow() if "stage" in job.metadata}


def test_the_loop_goes_on_with_what_failed():
    made = stages(flow_of(ActiveLearningMaker(), validation(check("vacancy"), check("elastic", "pass"))))
    assert {"repair", "select", "label", "fit", "explore", "decide"} <= made.keys()
    _, _, slots, _ = made["repair"].function_args
    assert slots == {"vacancy": 6}
    after = made["decide"].function_args[0]
    assert (after.generation, after.round, after.n_repairs, after.stop_reason) == (5, 1, 1, None)
    # the refitted potential has to walk one quiet round itself, and its halts are counted anew
    assert (after.quiet_rounds, after.quiet_walks, after.quiet_time) == (1, 0, 0.0)
    assert after.repairs == ["a vacancy failed: 6 vacancy to be learned"]
    assert made["select"].function_args[0][0].uuid == made["repair"].uuid


def test_where_nothing_helps_the_campaign_ends():
    made = stages(flow_of(ActiveLearningMaker(), validation(check("stability"))))
    assert list(made) == ["conclude"]


# What is checked


def maker_of(**values):
    return plan(
        parse_config({"composition": "Cu", "oracle": EMT, "validation": values}), HERE
    ).maker.validation_maker


def test_surfaces_are_judged_where_they_are_learned():
    data = {"composition": "Cu", "oracle": EMT}
    assert "surface" not in plan(parse_config(data), HERE).maker.validation_maker.checks
    for more in ({"generation": {"n_surfaces": 2}}, {"exploration": {"arms": {"md": 1, "surface": 1}}}):
        assert "surface" in plan(parse_config(data | more), HERE).maker.validation_maker.checks


def test_tolerances_and_cells_reach_their_makers():
    maker = maker_of(
        checks=["elastic", "surface"],
        strain=0.02,
        max_elastic_error=3.0,
        phonon_length=9.0,
        vacancy_atoms=50,
        max_fault_error=0.5,
        planes=[[1, 1, 0]],
        max_cost=7,
    )
    assert maker.checks == ("elastic", "surface")
    assert (maker.elastic_maker.strain, maker.elastic_maker.max_elastic_error) == (0.02, 3.0)
    assert maker.phonon_maker.phonon_length == 9.0
    assert maker.vacancy_maker.vacancy_atoms == 50
    assert maker.stacking_fault_maker.max_fault_error == 0.5
    assert tuple(map(tuple, maker.surface_maker.planes)) == ((1, 1, 0),)
    assert maker.max_cost == 7
    assert [m.kind for m in maker.property_makers] == ["elastic", "surface"]


def test_no_properties_no_labels_for_them():
    maker = maker_of(checks=[])
    assert maker.property_makers == []
    flow = maker.make("potential", ["crystal"], [])
    names = [job.name for job in flow.jobs]
    assert "plan_properties" not in names
    assert len([name for name in names if name == "label batch"]) == 1


def test_the_stability_run_is_as_hot_and_as_compressed_as_the_walks():
    data = {
        "composition": "Cu",
        "oracle": EMT,
        "exploration": {"temperatures": [300.0], "temperature_end": 900.0, "pressure_end": 5.0},
    }
    stability = plan(parse_config(data), HERE).maker.validation_maker.stability_maker
    assert (stability.temperature, stability.pressure) == (900.0, 5.0)


@pytest.mark.parametrize("checks", [("elastic", "elastic"), ("melting",)])
def test_checks_that_there_are_not_are_refused(checks):
    with pytest.raises(ConfigError, match="'checks' must name each of elastic, phonon"):
        ValidationMaker(checks=checks)
    with pytest.raises(ConfigError, match=r"validation.checks|'checks'"):
        maker_of(checks=list(checks))
