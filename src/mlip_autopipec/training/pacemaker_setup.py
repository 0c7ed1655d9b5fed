"""Get pacemaker with TensorFlow from PyPI alone, and prove that it fits."""

import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.errors import MissingProgramError, MLIPError
from mlip_autopipec.provision import install_requirements, replacing
from mlip_autopipec.schemas import (
    AtomicStructure,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
    PotentialDoc,
)
from mlip_autopipec.training.pacemaker import PacemakerFitMaker
from mlip_autopipec.training.pacemaker_programs import PACEMAKER_HINT, provisioned_command

_TRIAL_TIMEOUT = 600.0  # s; the first import of TensorFlow compiles its Python files


def provision_pacemaker(home: Path) -> str:
    """Install pacemaker into an environment of its own and fit with it once, unless it is there.

    Parameters
    ----------
    home
        Folder of provisioned programs.

    Returns
    -------
    str
        Its command.
    """
    target = home / "pacemaker"
    if not target.is_dir():
        with replacing(target) as folder:
            with resources.as_file(
                resources.files("mlip_autopipec.training").joinpath("pacemaker_requirements.txt")
            ) as requirements:
                python = install_requirements(folder, requirements)
            try_pacemaker(f"{python} -I -m pyace.cli.pacemaker")
    return provisioned_command(home)


def try_pacemaker(command: str, evaluator: str = "tensorpot") -> PotentialDoc:
    """Fit a few copper cells.

    Parameters
    ----------
    command
        The program.
    evaluator
        Back end: ``'tensorpot'`` (TensorFlow) or ``'pyace'``.

    Returns
    -------
    PotentialDoc
        The fit; a few iterations of it.

    Raises
    ------
    MissingProgramError
        It does not work here.
    """
    maker = PacemakerFitMaker(
        command=command,
        evaluator=evaluator,
        cutoff=4.0,
        n_functions=8,
        max_iterations=5,
        timeout=_TRIAL_TIMEOUT,
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return maker.fit([copper_cells()], Path(scratch))
        except MLIPError as error:
            raise MissingProgramError(
                f"{command!r} does not work here: {error}", hint=PACEMAKER_HINT
            ) from error


def copper_cells() -> LabelBatchDoc:
    """Label some copper cells by ASE's EMT potential.

    Returns
    -------
    LabelBatchDoc
        Six labels of four atoms, compressed to stretched.
    """
    labels = []
    for index, scale in enumerate(np.linspace(0.9, 1.1, 6)):
        atoms = bulk("Cu", cubic=True, a=3.6 * scale)
        atoms.rattle(0.05, seed=index)
        atoms.calc = EMT()
        label = LabelDoc(
            structure=AtomicStructure.from_ase(atoms),
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces().tolist(),
            stress=atoms.get_stress(voigt=False).tolist(),
            fingerprint=Fingerprint(code="ase:emt", version="trial"),
            wall_time=0.0,
        )
        labels.append(LabelledStructure(label=label, label_id=f"trial-{index}", origin="rattle"))
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=0.0)
