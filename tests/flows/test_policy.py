"""The policy over explorers: shares, offers, record; and that it stands aside unless it is asked for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.config import parse_config
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.loop_jobs import explorers
from mlip_autopipec.flows.policy import ExplorationPolicy, decided, granted, learned
from mlip_autopipec.schemas import ArmError, ArmErrorsDoc, Walker, WorkflowState
from mlip_autopipec.selection import VOptimalSelectionMaker

WALKS = {"md 300 K", "md 600 K"}
ARMS = {"md": 1.0, "vacancy": 1.0, "surface": 1.0}


def paid(before=None, **errors):
    return ArmErrorsDoc(
        errors=[
            ArmError(arm=a, n_labels=2, force_error=e, force_error_before=before, wall_time=1.0)
            for a, e in errors.items()
        ]
    )


def decide(policy, arms=(), generation=0, n_slots=4):
    return decided(policy, arms, WALKS, n_slots=n_slots, generation=generation)


def test_by_default_there_is_nothing_to_decide():
    assert not ExplorationPolicy().active
    state = WorkflowState(
        seeds="s",
        potentials=["p"],
        batches=["b"],
        walkers=[Walker(index=0, round=0, start=0, temperature=300.0, n_steps=10, seed=1)],
    )
    maker = ActiveLearningMaker()
    same, walkers, beside = explorers(maker, state)
    assert (same, walkers, beside) == (state, state.walkers, [])
    stages = [job.metadata["stage"] for job in maker._generation(state, ["run"], []).jobs]
    assert stages == ["select", "label", "calibrate", "fit", "explore", "decide"]


def test_fixed_shares_are_kept_over_the_generations():
    policy, arms = ExplorationPolicy(arms={"md": 2.0, "vacancy": 1.0, "surface": 1.0}), []
    for generation in range(10):
        arms = granted(arms, decide(policy, arms, generation, n_slots=3))
    assert {a.arm: a.n_slots for a in arms} == pytest.approx(
        {"md 300 K": 7.5, "md 600 K": 7.5, "vacancy": 7.5, "surface": 7.5}, abs=1.0
    )


@given(st.integers(1, 12), st.integers(1, 30))
def test_no_explorer_falls_behind_its_share_by_more_than_a_label(n_slots, generations):
    policy, arms = ExplorationPolicy(arms={"vacancy": 2.0, "surface": 1.0}), []
    policy = ExplorationPolicy(arms=policy.arms | {"md": 1.0})
    for generation in range(generations):
        decision = decide(policy, arms, generation, n_slots)
        assert sum(decision.slots.values()) == n_slots
        arms = granted(arms, decision)
    total = n_slots * generations
    for arm in arms:
        share = policy.shares(WALKS)[arm.arm] / 4.0
        assert abs(arm.n_slots - share * total) <= 1.0 + 1e-9


def test_an_adaptive_policy_asks_all_explorers_beside_md_for_offers():
    decision = decide(ExplorationPolicy(kind="adaptive", arms=ARMS | {"strain": 0.0}, offers=3))
    assert decision.slots == {"vacancy": 3, "surface": 3}
    assert decision.reason.endswith("no label yet")


def test_the_record_says_what_labels_were_worth():
    arms = learned([], paid(vacancy=0.2, surface=0.5), 1)
    arms = learned(arms, paid(before=0.3, vacancy=0.1), 2)
    arms = learned(arms, None, 3)
    surface, vacancy = arms
    assert (vacancy.n_labels, vacancy.n_latest, vacancy.last_generation) == (4, 2, 2)
    assert (vacancy.force_error, vacancy.force_error_before) == (0.1, 0.3)
    assert (surface.n_labels, surface.last_generation, surface.force_error_before) == (2, 1, None)
    reason = decide(ExplorationPolicy(kind="adaptive", arms=ARMS), arms, 3).reason
    assert "2 to vacancy (error 0.1 eV/Å, 0.3 a generation before)" in reason
    assert "surface" not in reason


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"kind": "wild"}, "'policy' must be fixed or adaptive"),
        ({"arms": {"magic": 1.0}}, "unknown explorers: magic"),
        ({"arms": {"vacancy": -1.0}}, "not negative"),
        ({"arms": {"vacancy": 0.0}}, "nor all 0"),
        ({"offers": 0}, "'offers' must be at least 1"),
    ],
)
def test_nonsense_is_refused(kwargs, match):
    with pytest.raises(ConfigError, match=match):
        ExplorationPolicy(**kwargs)


def test_the_configuration_reaches_policy_and_explorers():
    def planned(exploration, composition="Cu"):
        data = {"composition": composition, "oracle": {"engine": "ase", "calculator": "emt"}}
        return plan(parse_config(data | {"exploration": exploration}), Path()).maker

    assert not planned({}).policy.active
    assert not isinstance(planned({}).selection_maker, VOptimalSelectionMaker)
    maker = planned({"policy": "adaptive", "gamma_select": 4.0, "arm_strain": 0.04, "offers": 2})
    assert (maker.policy.kind, maker.policy.offers) == ("adaptive", 2)
    assert isinstance(maker.selection_maker, VOptimalSelectionMaker)
    assert maker.selection_maker.arms == maker.policy.arms
    assert "stacking_fault" in maker.policy.arms
    assert maker.perturbation_maker.gamma_select == 4.0
    assert maker.perturbation_maker.arm_strain == 0.04
    assert "stacking_fault" not in planned({"policy": "adaptive"}, "Si").policy.arms
    assert planned({"arms": {"md": 1.0, "liquid": 1.0}}).policy.arms == {"md": 1.0, "liquid": 1.0}
