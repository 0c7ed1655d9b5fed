"""Frames of a walk know their trajectory: the same group after every halt, another after a new start."""

from mlip_autopipec.dynamics.lammps import trajectory
from mlip_autopipec.dynamics.observer import Observer, candidates
from mlip_autopipec.schemas import Walker

WALKER = Walker(index=3, round=1, start=2, temperature=450.0, n_steps=100, seed=11)


def test_a_halt_does_not_change_the_trajectory():
    resumed = WALKER.model_copy(update={"steps_done": 40, "n_halts": 2, "resume_from": "uuid"})
    assert trajectory(resumed) == trajectory(WALKER) == "md-2-450K-11"
    cooled = resumed.model_copy(update={"temperature": 360.0, "cooled_from": 450.0})
    assert trajectory(cooled) == trajectory(WALKER)


def test_other_velocities_crystals_and_temperatures_are_other_trajectories():
    others = [{"seed": 12}, {"start": 0}, {"temperature": 450.5}]
    names = {trajectory(WALKER.model_copy(update=update)) for update in others}
    assert len(names | {trajectory(WALKER)}) == 4


def test_frames_carry_the_group(copper, copper_ace, rattled_copper):
    observer = Observer(copper_ace, copper.core.r_in, gamma_select=0.0, gamma_every=1)
    for step in range(3):
        rattled_copper.rattle(0.01, seed=step)
        observer.force(step, rattled_copper.copy())
    found = observer.extrapolative, observer.last
    frames = candidates(*found, 5, 1, detail="MD", group=trajectory(WALKER))
    assert [frame.group for frame in frames] == ["md-2-450K-11"] * 3
    assert [frame.required for frame in frames] == [False, False, True]
    assert candidates(*found, 1, 1, detail="MD")[0].group == ""
