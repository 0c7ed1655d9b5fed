from pathlib import Path

import numpy as np
import pytest

from mlip_autopipec.errors import CalculationError
from mlip_autopipec.oracle.qe_output import PwStatus, classify, read_result

DATA = Path(__file__).parents[1] / "data" / "qe"

# Real runs of pw.x 6.7 with their exit status.
CASES = [
    ("c_bands_notconv", 1, "diagonalisation failed"),
    ("c_bands_notconv2", 1, "diagonalisation failed"),
    ("close_0.0", 1, "atoms overlap"),
    ("close_0.05", 0, "converged"),
    ("close_0.5", 0, "converged"),
    ("close_us", 0, "converged"),
    ("close_us_c2", 0, "converged"),
    ("close_us_ni2", 53, "failed"),
    ("close_us_o4", 0, "converged"),
    ("diag_cg", 0, "converged"),
    ("diag_cr_paw_low", 0, "converged"),
    ("diag_cu_us_pz", 0, "converged"),
    ("diag_david", 0, "converged"),
    ("diag_fe_us_low", 0, "converged"),
    ("diag_ni_paw_low", 0, "converged"),
    ("diag_o_us_many", 0, "converged"),
    ("diag_paro", 0, "converged"),
    ("diag_ppcg", 0, "converged"),
    ("diag_smatrix_unbuf", 53, "diagonalisation failed"),
    ("disk_full", 1, "disk"),
    ("exit_file", 2, "stopped by the user"),
    ("exit_file_scf", 2, "stopped by the user"),
    ("exx_dexx", 0, "converged"),
    ("exx_dexx_metal", 0, "converged"),
    ("killed9_scf", -9, "killed"),
    ("killed_INT", 124, "killed"),
    ("killed_KILL", -9, "killed"),
    ("killed_TERM", 124, "killed"),
    ("kpts_toomany", 1, "input"),
    ("kpts_zero", 1, "input"),
    ("lattice_trunc_hex", 0, "converged"),
    ("max_seconds", 255, "time limit"),
    ("max_seconds_scf", 2, "time limit"),
    ("mem_limit", -15, "killed"),
    ("mem_limit2", 1, "memory"),
    ("metal_fixed_even", 2, "smearing needed"),
    ("metal_fixed_odd", 1, "smearing needed"),
    ("mpi_root", 1, "launch"),
    ("mpi_slots", 1, "too few slots"),
    ("namelist_typo", 1, "input"),
    ("nbnd_few_smearing", 2, "unconverged"),
    ("nbnd_too_few", 1, "too few bands"),
    ("nspin2_no_start", 0, "converged"),
    ("outdir_bad", 1, "scratch folder"),
    ("pools_gt_k", 0, "converged"),
    ("pseudo_missing", 1, "pseudopotential"),
    ("pseudo_mixed_xc", 1, "pseudopotential"),
    ("pw_lt_bands", 1, "cut-off too low"),
    ("ref_si8_k3", 0, "converged"),
    ("scf_maxstep3", 2, "unconverged"),
    ("slosh_al15_b09", 2, "unconverged"),
    ("slosh_ni4_b09", 0, "converged"),
]


def text(case, ending):
    file = DATA / f"{case}.{ending}"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(("case", "returncode", "status"), CASES)
def test_every_recorded_run_is_told_apart(case, returncode, status):
    outcome = classify(text(case, "out"), text(case, "err"), returncode)
    assert outcome.status == status
    assert outcome.message
    assert outcome.hint or status == "converged"


def test_no_recorded_failure_is_called_converged_whatever_its_exit_status():
    for case, returncode, _ in CASES:
        if returncode != 0:
            assert classify(text(case, "out"), "", 0).status is not PwStatus.CONVERGED, case


def test_every_recorded_run_is_listed():
    assert {f.stem for f in DATA.glob("*.out")} == {case for case, _, _ in CASES}


def test_the_message_is_the_one_of_pw():
    outcome = classify(text("metal_fixed_odd", "out"), "", 1)
    assert outcome.message == "charge is wrong: smearing is needed (routine electrons)"


def test_numbers_and_units_of_a_good_run():
    result = read_result(text("ref_si8_k3", "out"), 8)
    assert result.energy == pytest.approx(-62.93516131 * 13.605693123, abs=1e-6)
    assert result.forces.shape == (8, 3)
    assert result.forces[0, 0] == pytest.approx(-0.05337236 * 13.605693123 / 0.529177210903, rel=1e-8)
    assert np.abs(result.forces.sum(axis=0)).max() < 1e-6
    # 25.80 kbar of pressure is compression: negative stress.
    assert -np.trace(result.stress) / 3 * 1602.1766 == pytest.approx(25.80, abs=0.01)
    assert result.stress[0, 2] * 1602.1766 == pytest.approx(13.53, abs=0.01)
    assert (result.scf_iterations, result.version, result.notes) == (8, "6.7MaX", ())


def test_a_hybrid_functional_gives_its_last_energy():
    output = text("exx_dexx", "out")
    assert "!!   total energy              =     -15.61094323 Ry" in output
    assert read_result(output, 2).energy == pytest.approx(-15.61094323 * 13.605693123, abs=1e-6)


def test_a_warning_about_the_forces_becomes_a_note():
    assert "SCF correction" in read_result(text("lattice_trunc_hex", "out"), 1).notes[0]


def test_the_last_magnetisation_is_read():
    result = read_result(text("diag_ni_paw_low", "out"), 1)
    assert (result.magnetization, result.absolute_magnetization) == (0.48, 0.58)
    assert read_result(text("ref_si8_k3", "out"), 8).magnetization is None


@pytest.mark.parametrize(
    ("cut", "missing"), [("Computing stress", "stress"), ("Forces acting", "forces, stress")]
)
def test_a_good_run_that_is_cut_is_incomplete(cut, missing):
    outcome = classify(text("ref_si8_k3", "out").partition(cut)[0], "", 0)
    assert (outcome.status, outcome.message) == (PwStatus.INCOMPLETE, f"the output has no {missing}")


def test_a_crash_counts_as_a_kill_except_in_the_diagonalisation():
    crashed = (DATA / "fixes" / "close_us_ni2.fix_cg.out").read_text()
    assert classify(crashed, "", -11).status is PwStatus.DIAGONALISATION
    assert classify(crashed, "", -9).status is PwStatus.KILLED
    after = crashed + "     total energy              =     -90.1 Ry\n"
    assert classify(after, "", 139).status is PwStatus.KILLED
    assert classify(after + "     iteration #  2\n     Davidson diagonalization\n", "", 139).status == (
        PwStatus.DIAGONALISATION
    )


def test_an_empty_output_is_incomplete():
    assert classify("", "", 0).status is PwStatus.INCOMPLETE


def test_an_unknown_error_is_quoted():
    box = " %%%\n     Error in routine rgen (1):\n     too many r-vectors\n %%%\n"
    outcome = classify(box, "", 1)
    assert (outcome.status, outcome.message) == (PwStatus.FAILED, "too many r-vectors (routine rgen)")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("-62.93516131 Ry", "********** Ry", "could not convert"),
        ("0.05337236", "***********", "could not convert"),
        ("0.00017370", "**********", "could not convert"),
        ("atom    8 type", "atom", "7 of 8 forces"),
    ],
)
def test_what_is_not_a_number_is_no_result(old, new, match):
    broken = text("ref_si8_k3", "out").replace(old, new)
    with pytest.raises(CalculationError, match=f"output of pw.x cannot be read: .*{match}"):
        read_result(broken, 8)
