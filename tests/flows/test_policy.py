"""The policy over explorers: shares, bandit, memory; and that it stands aside unless it is asked for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.config import parse_config
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.policy import ExplorationPolicy, decided, granted, learned
from mlip_autopipec.schemas import ArmError, ArmErrorsDoc, Walker, WorkflowState

WALKS = {"md 300 K", "md 600 K"}
ARMS = {"md": 1.0, "vacancy": 1.0, "surface": 1.0}


def paid(wall_time=1.0, **errors):
    return ArmErrorsDoc(
        errors=[ArmError(arm=a, n_labels=2, force_error=e, wall_time=wall_time) for a, e in errors.items()]
    )


def decide(policy, arms=(), generation=0, n_slots=4, seed=0):
    return decided(policy, arms, WALKS, n_slots=n_slots, generation=generation, seed=seed)


def test_by_default_there_is_nothing_to_decide():
    assert not ExplorationPolicy().active
    state = WorkflowState(
        seeds="s",
        potentials=["p"],
        batches=["b"],
        walkers=[Walker(index=0, round=0, start=0, temperature=300.0, n_steps=10, seed=1)],
    )
    maker = ActiveLearningMaker()
    same, walkers, beside = maker._explorers(state)
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


@given(st.integers(0, 1000), st.integers(0, 30), st.integers(1, 8))
def test_the_same_state_gives_the_same_decision_and_a_walk_goes_on(seed, generation, n_slots):
    policy = ExplorationPolicy(kind="adaptive", arms=ARMS)
    one, again = (decide(policy, [], generation, n_slots, seed) for _ in range(2))
    assert one == again
    assert set(one.slots) & WALKS
    assert n_slots <= sum(one.slots.values()) <= n_slots + 1


def test_labels_go_where_errors_are_uncovered():
    policy, arms, given = ExplorationPolicy(kind="adaptive", arms=ARMS), [], {"surface": 0, "vacancy": 0}
    for generation in range(40):
        decision = decide(policy, arms, generation)
        arms = learned(
            granted(arms, decision), policy, paid(surface=0.5, vacancy=0.05), {"md 300 K", "md 600 K"}
        )
        for arm in given:
            given[arm] += decision.slots.get(arm, 0)
    assert given["surface"] > 3 * given["vacancy"]
    assert given["vacancy"] >= 8  # never forgotten: at least every fourth generation
    assert "surface (0.5 eV/Å a label)" in decision.reason or "surface" not in decision.slots


def test_a_person_can_forbid_an_explorer():
    policy = ExplorationPolicy(kind="adaptive", arms=ARMS | {"surface": 0.0})
    assert all("surface" not in decide(policy, [], g).slots for g in range(20))


def test_what_was_known_fades_and_nothing_found_counts_as_the_floor():
    policy = ExplorationPolicy(kind="adaptive", memory=0.5, floor=0.02)
    first = learned([], policy, paid(vacancy=1.0), set())
    (arm,) = learned(first, policy, None, {"vacancy"})
    assert (first[0].weight, first[0].log_reward) == (2.0, 0.0)
    assert arm.weight == pytest.approx(2.0)
    assert arm.log_reward == pytest.approx(0.5 * -3.912, abs=1e-3)
    assert arm.n_labels == 2


def test_dear_labels_count_less_if_time_is_the_cost():
    doc = ArmErrorsDoc(
        errors=[
            ArmError(arm=a, n_labels=1, force_error=0.2, wall_time=t)
            for a, t in (("surface", 30.0), ("vacancy", 10.0))
        ]
    )
    by_label = learned([], ExplorationPolicy(kind="adaptive"), doc, set())
    surface, vacancy = learned([], ExplorationPolicy(kind="adaptive", cost="wall_time"), doc, set())
    assert by_label[0].log_reward == by_label[1].log_reward
    assert vacancy.log_reward - surface.log_reward == pytest.approx(1.0986, abs=1e-3)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"kind": "wild"}, "'policy' must be fixed or adaptive"),
        ({"arms": {"magic": 1.0}}, "unknown explorers: magic"),
        ({"arms": {"vacancy": -1.0}}, "not negative"),
        ({"arms": {"vacancy": 0.0}}, "nor all 0"),
        ({"memory": 0.0}, "'memory' must lie"),
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
    maker = planned({"policy": "adaptive", "gamma_select": 4.0, "arm_strain": 0.04})
    assert maker.policy.kind == "adaptive"
    assert "stacking_fault" in maker.policy.arms
    assert maker.perturbation_maker.gamma_select == 4.0
    assert maker.perturbation_maker.arm_strain == 0.04
    assert "stacking_fault" not in planned({"policy": "adaptive"}, "Si").policy.arms
    assert planned({"arms": {"md": 1.0, "liquid": 1.0}}).policy.arms == {"md": 1.0, "liquid": 1.0}
