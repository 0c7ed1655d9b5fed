import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from jobflow import run_locally
from monty.json import MontyDecoder

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError, UnconvergedError
from mlip_autopipec.oracle import LabelBatchMaker, QeStaticMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, SelectionDoc


def structure(atoms):
    return AtomicStructure.from_ase(atoms)


@pytest.fixture
def silicon():
    """The eight atoms of the recorded run."""
    return structure(bulk("Si", a=5.43, cubic=True))


@pytest.fixture
def si2():
    atoms = bulk("Si", a=5.43)
    atoms.rattle(0.1, seed=3)
    return structure(atoms)


def test_a_recorded_run_becomes_a_label(fake_pw, silicon, store, tmp_path):
    fake_pw()
    job = QeStaticMaker(k_spacing=0.6).make(silicon)
    label = run_locally(job, store=store, ensure_success=True, root_dir=tmp_path)[job.uuid][1].output
    assert label.energy == pytest.approx(-856.2765, abs=1e-3)
    assert (label.scf_iterations, label.notes) == (8, [])
    assert label.fingerprint.version == "6.7MaX"
    assert label.fingerprint.settings["ecutwfc [Ry]"] == 30.0
    assert label.fingerprint.settings["ecutrho [Ry]"] == 120.0
    assert label.fingerprint.settings["k_spacing [1/Å, with 2 pi]"] == 0.6
    assert len(label.fingerprint.pseudopotentials["Si"]) == 64


def test_the_folder_keeps_input_and_output(fake_pw, silicon, tmp_path):
    fake_pw(extra='test "$OMP_NUM_THREADS$GFORTRAN_UNBUFFERED_ALL" = 11 || exit 98; echo hello >&2')
    QeStaticMaker().compute(silicon, tmp_path)
    assert "disk_io = 'none'" in (tmp_path / "pw.in").read_text()
    assert "JOB DONE" in (tmp_path / "pw.out").read_text()
    assert (tmp_path / "pw.err").read_text() == "hello\n"


def test_an_unconverged_run_is_no_label(fake_pw, si2, tmp_path):
    fake_pw("scf_maxstep3", 2)
    with pytest.raises(
        UnconvergedError, match=r"convergence NOT achieved \(unconverged, exit status 2\)"
    ) as caught:
        QeStaticMaker().compute(si2, tmp_path)
    assert caught.value.directory == tmp_path
    assert "JOB DONE" in caught.value.log_tail
    assert "mixing_beta" in caught.value.hint


@pytest.mark.parametrize(
    ("case", "returncode", "match"),
    [
        ("max_seconds_scf", 2, "time limit"),
        ("metal_fixed_odd", 1, r"smearing is needed \(routine electrons\)"),
        ("ref_si8_k3", 139, "killed"),
        ("close_0.0", 1, "overlap"),
    ],
)
def test_other_failures_are_not_called_unconverged(fake_pw, silicon, tmp_path, case, returncode, match):
    fake_pw(case, returncode)
    with pytest.raises(CalculationError, match=match) as caught:
        QeStaticMaker().compute(silicon, tmp_path)
    assert not isinstance(caught.value, UnconvergedError)


def test_a_converged_run_with_an_absurd_force_is_no_label(fake_pw, store, tmp_path):
    fake_pw("close_0.5")
    job = QeStaticMaker().make(structure(bulk("Si", a=5.43)))
    with pytest.raises(CalculationError, match="at most 150 is accepted"):
        run_locally(job, store=store, raise_immediately=True, root_dir=tmp_path)


def test_atoms_that_are_too_close_never_reach_pw(fake_pw, store, tmp_path):
    fake_pw(extra="exit 97")
    close = structure(Atoms("Si2", positions=[(0, 0, 0), (0, 0, 0.5)]))
    with pytest.raises(CalculationError, match="Nothing was run"):
        run_locally(QeStaticMaker().make(close), store=store, raise_immediately=True, root_dir=tmp_path)


def test_pw_is_killed_when_its_time_is_over(fake_pw, silicon, tmp_path):
    fake_pw(extra="sleep 30")
    with pytest.raises(CalculationError, match=r"wall-time limit of 0.5 s"):
        QeStaticMaker(timeout=0.5).compute(silicon, tmp_path)


def test_a_missing_pw_names_both_ways_to_get_it(make_upf, silicon, tmp_path):
    make_upf("Si")
    with pytest.raises(MissingProgramError, match=r"pw.x was not found") as caught:
        QeStaticMaker().compute(silicon, tmp_path)
    assert "apt-get install quantum-espresso" in caught.value.hint
    assert "mlip-auto setup qe" in caught.value.hint


def test_check_raises_before_anything_runs(fake_pw, make_upf, monkeypatch):
    fake_pw()
    QeStaticMaker().check(["Si", "Si"])
    with pytest.raises(MissingProgramError, match="no pseudopotential of Ge"):
        QeStaticMaker().check(["Ge"])
    monkeypatch.setenv("MLIP_AUTO_PW_COMMAND", "/nowhere/pw.x")
    with pytest.raises(MissingProgramError, match=r"'/nowhere/pw.x' was not found.*pw_command"):
        QeStaticMaker().check(["Si"])


def test_no_pseudopotentials_at_all(machine):
    with pytest.raises(MissingProgramError, match="no pseudopotentials: pseudo_dir is not set"):
        QeStaticMaker().find_pseudopotentials(["Si"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"smearing": "mp"}, "'smearing' must be one of gaussian, mv, fixed, got 'mp'"),
        ({"k_spacing": 0.0}, "'k_spacing' must be a positive number, got 0.0"),
        ({"degauss": float("nan")}, "'degauss' must be a positive number, got nan"),
        ({"nspin": 3}, "'nspin' must be 1, 2 or 'auto', got 3"),
        ({"nspin": 2, "smearing": "fixed"}, "must not be 'fixed' with spin"),
        ({"max_seconds": -1.0}, "'max_seconds' must be a positive number, got -1.0"),
        ({"max_corrections": -1}, "'max_corrections' must not be negative, got -1"),
        ({"functional": "SCAN"}, "'functional' must be one of"),
    ],
)
def test_wrong_settings_are_refused(fake_pw, changes, match):
    fake_pw()
    with pytest.raises(ConfigError, match=match):
        QeStaticMaker(**changes).check(["Si"])


def test_prepared_fixes_one_cut_off_for_all_elements(fake_pw, make_upf, tmp_path):
    fake_pw()
    make_upf("Ge", cutoff=50.0, kind="US")
    prepared = QeStaticMaker().prepared(["Si", "Ge"])
    assert (prepared.ecutwfc, prepared.ecutrho) == (50.0, 500.0)
    silicon = structure(bulk("Si", a=5.43))
    job = prepared.pw_input(silicon, prepared.find_pseudopotentials(silicon.symbols))
    assert (job.system["ecutwfc"], job.system["ecutrho"]) == (50.0, 500.0)
    assert (QeStaticMaker(ecutwfc=20.0).prepared(["Si"]).ecutwfc, QeStaticMaker().ecutwfc) == (20.0, None)


def test_the_threshold_is_per_atom_and_molecules_are_at_gamma(fake_pw):
    fake_pw()
    maker = QeStaticMaker(conv_thr=1e-9, vacuum=9.0)
    dimer = structure(Atoms("Si2", positions=[(0, 0, 0), (0, 0, 2.3)]))
    job = maker.pw_input(dimer, maker.find_pseudopotentials(["Si"]))
    assert job.electrons["conv_thr"] == 2e-9
    assert job.k_grid == (1, 1, 1)
    assert np.allclose(job.atoms.cell.lengths(), [9.0, 9.0, 11.3])


def test_the_maker_is_unchanged_by_a_run_and_survives_json(fake_pw, silicon, tmp_path):
    fake_pw()
    maker = QeStaticMaker(pseudopotentials={"Si": "Si.upf"})
    before = maker.as_dict()
    maker.compute(silicon, tmp_path)
    maker.prepared(["Si"])
    assert maker.as_dict() == before
    assert MontyDecoder().process_decoded(before).as_dict() == before


def test_a_batch_survives_one_unconverged_label(fake_pw, silicon, store, tmp_path):
    fake_pw(extra="grep -q 'nat = 8' pw.in || { cat <<END\nconvergence NOT achieved\nEND\nexit 2; }")
    candidates = [
        CandidateStructure(structure=s, origin="rattle") for s in (silicon, structure(bulk("Si", a=5.43)))
    ]
    chosen = SelectionDoc(candidates=candidates, n_considered=2, n_duplicates=0, gain=[1, 1], n_functions=1)
    job = LabelBatchMaker(oracle_maker=QeStaticMaker()).make(chosen)
    run_locally(job, store=store, create_folders=True, root_dir=tmp_path)
    batch = MontyDecoder().process_decoded(store.get_output(job.uuid, which="last", load=True))
    assert [len(batch.labels), len(batch.failed)] == [1, 1]


@pytest.mark.pw
def test_forces_and_stress_of_the_real_pw_are_derivatives(real_pw, si2, tmp_path):
    # At 16 Ry the number of plane waves jumps under strain, which is 0.1 GPa of noise; at 24 Ry 0.005 GPa.
    real_pw.ecutwfc = 24.0
    result = real_pw.compute(si2, tmp_path)
    step = 0.01

    def energy(atoms):
        return real_pw.compute(structure(atoms), tmp_path).energy

    slopes = []
    for sign in (1, -1):
        moved = si2.to_ase()
        moved.positions[0, 0] += sign * step
        sheared = si2.to_ase()
        strain = np.eye(3)
        strain[0, 1] = strain[1, 0] = sign * step / 2
        sheared.set_cell(sheared.cell.array @ strain, scale_atoms=True)
        slopes.append((energy(moved), energy(sheared)))
    (up_f, up_s), (down_f, down_s) = slopes
    assert -(up_f - down_f) / (2 * step) == pytest.approx(result.forces[0, 0], abs=2e-3)
    # A shear keeps the volume, and so the basis, to first order: no basis-set stress.
    volume = si2.to_ase().get_volume()
    assert (up_s - down_s) / (2 * step) / volume == pytest.approx(result.stress[0, 1], abs=1e-4)
    assert abs(result.stress[0, 1]) > 1e-3
    assert not (tmp_path / "scratch").exists()


@pytest.mark.pw
def test_a_real_run_without_convergence_is_refused(real_pw, si2, tmp_path):
    real_pw.electron_maxstep, real_pw.max_corrections = 2, 0
    with pytest.raises(UnconvergedError, match="convergence NOT achieved"):
        real_pw.compute(si2, tmp_path)


@pytest.mark.pw
def test_a_real_atom_alone_has_no_force_and_no_stress(real_pw, tmp_path):
    real_pw.vacuum = 6.0
    result = real_pw.compute(structure(Atoms("Si", positions=[(0, 0, 0)])), tmp_path)
    assert np.abs(result.forces).max() < 1e-3
    assert result.stress is None
    assert any("without spin polarisation" in note for note in result.notes)


@pytest.mark.pw
def test_the_real_pw_passes_the_check(real_pw):
    real_pw.check(["Si"])
