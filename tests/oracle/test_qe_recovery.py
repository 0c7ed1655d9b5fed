"""Recorded failures of pw.x 6.7, replayed by a program named pw.x: the failure, then the recorded cure."""

import json
import shutil
from pathlib import Path

import pytest

from mlip_autopipec.errors import CalculationError, UnconvergedError
from mlip_autopipec.oracle.qe_custodian import PwErrorHandler, handlers, run_with_recovery
from mlip_autopipec.oracle.qe_folder import read_run
from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_namelist import variables
from mlip_autopipec.oracle.qe_output import PwStatus, read_result
from mlip_autopipec.oracle.qe_recovery import CURES, PwRun, next_cure

DATA = Path(__file__).parents[1] / "data" / "qe"
BETA, MODE = "ELECTRONS.mixing_beta", "ELECTRONS.mixing_mode"
DIAG, RESTART = "ELECTRONS.diagonalization", "CONTROL.restart_mode"


@pytest.fixture
def replay(tmp_path):
    """Prepare a folder with a recorded input, and a pw.x that plays recorded runs one after the other."""

    def prepare(case, *steps, command="{pw}"):
        folder = tmp_path / "run"
        folder.mkdir()
        source = DATA / "inputs" / f"{case}.in"
        shutil.copy(source if source.exists() else DATA / "inputs" / "killed9_scf.in", folder / "pw.in")
        lines = ["#!/bin/sh", "n=$(($(cat count 2>/dev/null || echo 0) + 1)); echo $n > count", "case $n in"]
        for number, (name, code) in enumerate(steps, start=1):
            end = f"exit {code}" if code >= 0 else f"kill {code} $$"
            errors = f"cat '{DATA / name}.err' >&2; " if (DATA / f"{name}.err").exists() else ""
            lines.append(f"{number}) cat '{DATA / name}.out'; {errors}{end};;")
        script = tmp_path / "pw.x"
        script.write_text("\n".join([*lines, "esac", "exit 99"]) + "\n")
        script.chmod(0o755)
        return folder, Launch(command.format(pw=script))

    return prepare


def attempts(folder):
    return int((folder / "count").read_text())


CURED = [
    ("scf_maxstep3", 2, "fix_maxstep100", "unconverged", {"ELECTRONS.electron_maxstep": 100}),
    ("slosh_al15_b09", 2, "fix_b07_localTF", "unconverged", {MODE: "local-TF", BETA: 0.7}),
    ("nbnd_few_smearing", 2, "fix_default", "unconverged", {"SYSTEM.nbnd": None}),
    ("nbnd_too_few", 1, "fix_default", "too few bands", {"SYSTEM.nbnd": None}),
    ("c_bands_notconv", 1, "fix_david", "diagonalisation failed", {DIAG: "david"}),
    ("max_seconds_scf", 2, "fix_restart", "time limit", {RESTART: "restart"}),
    ("killed9_scf", -9, "fix_scratch", "killed", {}),
    ("metal_fixed_odd", 1, "fix_smearing", "smearing needed", {"SYSTEM.smearing": "mv"}),
    ("metal_fixed_even", 2, "fix_smearing", "smearing needed", {"SYSTEM.occupations": "smearing"}),
]


@pytest.mark.parametrize(("case", "code", "fix", "symptom", "changes"), CURED)
def test_a_recorded_failure_is_cured(replay, case, code, fix, symptom, changes):
    folder, launch = replay(case, (case, code), (f"fixes/{case}.{fix}", 0))
    done = run_with_recovery(folder, launch, 60.0, 5, allow_physics=True)
    assert attempts(folder) == 2
    (correction,) = done.corrections
    assert correction.symptom == symptom
    assert correction.source
    assert correction.physics == case.startswith("metal")
    before = variables((folder / "pw.1.in").read_text())
    after = variables((folder / "pw.in").read_text())
    assert {k: after.get(k) for k in changes} == changes
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    assert {k.partition(".")[2] for k in changed} == set(correction.changes)
    assert read_result(done.run.stdout, int(after["SYSTEM.nat"])).energy < 0
    (logged,) = json.loads((folder / "custodian.json").read_text())
    assert logged["corrections"][0]["errors"][0].startswith(symptom)


REFUSED = [
    ("metal_fixed_odd", 1, r"smearing is needed .* it changes the physics: smear the occupations"),
    ("metal_fixed_even", 2, "occupations are fixed"),
    ("kpts_toomany", 1, "too many k-points"),
    ("kpts_zero", 1, "invalid values for nk1"),
    ("namelist_typo", 1, "bad line in namelist"),
    ("pseudo_missing", 1, "not found"),
    ("pseudo_mixed_xc", 1, "conflicting values for icorr"),
    ("pw_lt_bands", 1, "more bands than PWs"),
    ("outdir_bad", 1, "cannot be created or accessed"),
    ("close_0.0", 1, "overlap"),
    ("exit_file_scf", 2, "stopped by"),
    ("mpi_root", 1, "root"),
]


@pytest.mark.parametrize(("case", "code", "match"), REFUSED)
def test_what_no_rerun_can_cure_is_refused_at_once(replay, case, code, match):
    folder, launch = replay(case, (case, code))
    with pytest.raises(CalculationError, match=match) as caught:
        run_with_recovery(folder, launch, 60.0, 5)
    assert attempts(folder) == 1
    assert (caught.value.directory, bool(caught.value.log_tail)) == (folder, True)
    assert (folder / "custodian.json").exists()
    assert not isinstance(caught.value, UnconvergedError)


def test_a_limit_before_the_first_iteration_is_doubled(replay):
    folder, launch = replay("max_seconds", ("max_seconds", 255), ("fixes/killed9_scf.fix_scratch", 0))
    done = run_with_recovery(folder, launch, 60.0, 5)
    assert done.corrections[0].changes == {"max_seconds": 6.0}


def test_a_resumption_that_does_not_reach_the_scf_gets_more_time(replay):
    case = "max_seconds_scf"
    late = ("max_seconds", 255)
    folder, launch = replay(case, (case, 2), late, (case, 2), late, (f"fixes/{case}.fix_restart", 0))
    done = run_with_recovery(folder, launch, 60.0, 5)
    kept = variables((folder / "pw.in").read_text())
    assert (kept[RESTART], kept["CONTROL.max_seconds"]) == ("restart", 36)
    assert [c.cure.split(":")[0] for c in done.corrections] == [
        "resume from the saved state",
        "resume with twice max_seconds",
    ] * 2


def test_what_is_saved_is_resumed_and_the_scratch_kept_until_the_end(replay):
    case = "max_seconds_scf"
    folder, launch = replay(case, (case, 2), (case, 2), (f"fixes/{case}.fix_restart", 0))
    (folder / "scratch").mkdir()
    done = run_with_recovery(folder, launch, 60.0, 5)
    assert [c.cure for c in done.corrections] == ["resume from the saved state"] * 2
    assert not (folder / "scratch").exists()


def test_resumptions_do_not_use_up_the_corrections(replay):
    case = "max_seconds_scf"
    folder, launch = replay(case, *[(case, 2)] * 3, (f"fixes/{case}.fix_restart", 0))
    assert len(run_with_recovery(folder, launch, 60.0, 0).corrections) == 3


def test_resumptions_end_too(replay):
    case = "max_seconds_scf"
    folder, launch = replay(case, *[(case, 2)] * 30)
    with pytest.raises(CalculationError, match="after 20 corrections: 20 x resume"):
        run_with_recovery(folder, launch, 60.0, 5)


def test_without_saved_state_nothing_is_resumed(replay):
    case = "max_seconds_scf"
    folder, launch = replay(case, (case, 2))
    text = (folder / "pw.in").read_text().replace("'low'", "'none'")
    (folder / "pw.in").write_text(text)
    with pytest.raises(CalculationError, match="Maximum CPU time exceeded"):
        run_with_recovery(folder, launch, 60.0, 5)


def test_a_full_disk_is_not_written_to_again(replay):
    folder, launch = replay("disk_full", ("disk_full", 1), ("ref_si8_k3", 0))
    done = run_with_recovery(folder, launch, 60.0, 5)
    assert done.corrections[0].changes == {"disk_io": "none"}


def test_too_little_memory_means_less_parallelism_then_less_memory(replay, tmp_path):
    folder, launch = replay("killed9_scf", *[("mem_limit2", 1)] * 3, ("ref_si8_k3", 0), command="env {pw}")
    # A launcher that takes the number of processes and runs one.
    (tmp_path / "launch").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    (tmp_path / "launch").chmod(0o755)
    launch = Launch(f"{tmp_path / 'launch'} -np 4 {launch.command.split()[-1]}", pools=4)
    done = run_with_recovery(folder, launch, 60.0, 5)
    assert [c.changes for c in done.corrections] == [
        {"processes": 4, "pools": 1},
        {"processes": 2, "pools": 1},
        {"diagonalization": "cg", "diago_cg_maxiter": 40, "mixing_ndim": 4},
    ]
    assert done.run.launch.processes == 2


def test_too_few_slots_halve_the_processes(replay, tmp_path):
    folder, launch = replay("killed9_scf", *[("mpi_slots", 1)] * 2, ("ref_si8_k3", 0))
    (tmp_path / "launch").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    (tmp_path / "launch").chmod(0o755)
    done = run_with_recovery(folder, Launch(f"{tmp_path}/launch -np 8 {launch.command}", pools=8), 60.0, 5)
    assert [c.changes["processes"] for c in done.corrections] == [4, 2]
    assert done.run.launch.pools == 2


def test_a_geometry_that_breaks_every_diagonalisation_is_refused_after_three(replay):
    case = "close_us_ni2"
    folder, launch = replay(
        case,
        ("diag_smatrix_unbuf", 53),
        (f"fixes/{case}.fix_cg", -11),
        (f"fixes/{case}.fix_ppcg", 1),
        (f"fixes/{case}.fix_random", 48),
    )
    with pytest.raises(CalculationError, match=r"S matrix not positive definite.* after 3 corrections") as e:
        run_with_recovery(folder, launch, 60.0, 5)
    assert "look at the geometry" in e.value.hint
    tried = [variables((folder / f"pw.{i}.in").read_text()).get(DIAG, "david") for i in (1, 2, 3)]
    assert [*tried, variables((folder / "pw.in").read_text())[DIAG]] == ["david", "cg", "ppcg", "david"]
    assert variables((folder / "pw.in").read_text())["ELECTRONS.startingwfc"] == "random"


def test_the_scf_ladder_ends_and_says_what_was_tried(replay):
    case = "slosh_al15_b09"
    folder, launch = replay(case, *[(case, 2)] * 9)
    with pytest.raises(UnconvergedError, match="after 3 corrections: screened mixing") as caught:
        run_with_recovery(folder, launch, 60.0, 8)
    assert "mixing_beta 0.3" in str(caught.value)
    assert variables((folder / "pw.in").read_text())["ELECTRONS.electron_maxstep"] == 200
    assert attempts(folder) == 4


@pytest.mark.parametrize(("limit", "runs"), [(0, 1), (1, 2)])
def test_the_number_of_corrections_is_bounded(replay, limit, runs):
    case = "slosh_al15_b09"
    folder, launch = replay(case, *[(case, 2)] * 9)
    with pytest.raises(UnconvergedError, match="convergence NOT achieved") as caught:
        run_with_recovery(folder, launch, 60.0, limit)
    assert attempts(folder) == runs
    assert (f"after {limit} corrections" in str(caught.value)) == (limit > 0)
    log = json.loads((folder / "custodian.json").read_text())[0]["corrections"]
    assert sum(bool(c["actions"]) for c in log) == limit
    assert read_run(folder).outcome.status == "unconverged"


def test_all_attempts_share_one_time_limit(replay):
    folder, launch = replay("killed9_scf", *[("killed9_scf", -9)] * 3)
    script = Path(launch.command)
    script.write_text(script.read_text().replace("case $n", "test $n = 1 || sleep 60\ncase $n", 1))
    with pytest.raises(CalculationError, match=r"wall-time limit of 2 s, corrections included"):
        run_with_recovery(folder, launch, 2.0, 5)
    assert attempts(folder) == 2


def test_a_folder_that_was_used_before_starts_afresh(replay):
    case = "scf_maxstep3"
    folder, launch = replay(case, (case, 2), (f"fixes/{case}.fix_maxstep100", 0), ("ref_si8_k3", 0))
    run_with_recovery(folder, launch, 60.0, 5)
    assert (folder / "pw.1.out").exists()
    again = run_with_recovery(folder, launch, 60.0, 5)
    assert again.corrections == ()
    assert not (folder / "pw.1.out").exists()


def test_every_way_to_end_has_one_handler_that_survives_json():
    made = handlers(allow_physics=True, max_corrections=3)
    assert {h.status for h in made} == {s for s in PwStatus if s is not PwStatus.CONVERGED}
    for handler in made:
        copy = PwErrorHandler.from_dict(handler.as_dict())
        assert (copy.status, copy.allow_physics, copy.max_corrections) == (handler.status, True, 3)


def test_every_cure_names_its_source():
    for status, cures in CURES.items():
        assert len({c.name for c in cures}) == len(cures), status
        for cure in cures:
            assert len(cure.source) > 20
            assert cure.limit > 0


def test_cures_are_never_taken_backwards():
    text = "&CONTROL\n/\n&SYSTEM\n/\n&ELECTRONS\n  diagonalization = 'cg'\n/\n"
    failed = PwRun(text, Launch("pw.x"), "Error: too many bands are not converged", "", 1, 1.0)
    names = [c.name for c in CURES[PwStatus.DIAGONALISATION]]
    assert next_cure(failed, [], False).name == names[0]
    assert next_cure(failed, names[1:2], False).name == names[2]
    assert next_cure(failed, names[1:], False) is None
