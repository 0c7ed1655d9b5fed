"""A potential that was not fitted here, as a document: so that it can be validated as ours are."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations_with_replacement
from pathlib import Path
from time import perf_counter

import numpy as np
from jobflow import Maker, job

from mlip_autopipec.ace import SCAN_FROM, AcePotential, function_counts, unseen_distance
from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import (
    CoreRepulsion,
    ErrorStatistics,
    FileData,
    GivenPotentialReport,
    LabelBatchDoc,
    LabelledStructure,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.schemas.files import unpack_file
from mlip_autopipec.training.dataset import composition_counts


@dataclass
class GivenPotentialMaker(Maker):
    """Make a document of potential files.

    Such files hold energies relative to free atoms whose energies they do not name. E0 is what is missing to
    the labels, by least squares over the compositions.

    Parameters
    ----------
    name
        Name of the job.
    e0
        Energy of each element's free atom in eV, where it is known; found from the labels by default.
    """

    name: str = "take given potential"
    e0: dict[str, float] | None = None

    @job(output_schema=PotentialDoc, data=["files", "parity"])
    def make(self, files: list[FileData], batch: LabelBatchDoc, source: str) -> PotentialDoc:
        """Make the document.

        Parameters
        ----------
        files
            ``.yaml`` with or without ``.asi``, or ``.yace``.
        batch
            Labels of some structures of its elements.
        source
            Where the files come from, in words.

        Returns
        -------
        PotentialDoc
            The potential; its training errors are those on the batch.
        """
        start = perf_counter()
        paths = {path.suffix: path for path in (unpack_file(file, Path.cwd()) for file in files)}
        ace = AcePotential(paths.get(".yaml") or paths[".yace"], paths.get(".asi"))
        e0, e0_source = (self.e0, "given") if self.e0 else (missing_energies(ace, batch.labels), _MATCHED)
        points = ParityPoint.predict(ace, batch.labels, e0)
        pairs = ["-".join(pair) for pair in combinations_with_replacement(sorted(ace.elements), 2)]
        return PotentialDoc(
            elements=sorted(ace.elements),
            files=files,
            e0=e0,
            e0_source=e0_source,
            cutoff=float(ace.basis.cutoffmax),
            n_functions=function_counts(ace.basis),
            core=CoreRepulsion(
                r_in={pair: unseen_distance(pair) for pair in pairs}, delta_in={}, scan_from=SCAN_FROM
            ),
            fit=GivenPotentialReport(source=source),
            training_errors=ErrorStatistics.from_parity(points),
            parity=points,
            n_labels=len(points),
            file_differences={},
            versions={"python-ace": version("python-ace")},
            wall_time=perf_counter() - start,
        )


_MATCHED = "least squares of label minus potential over the compositions"


def missing_energies(potential: AcePotential, labels: list[LabelledStructure]) -> dict[str, float]:
    """Find what has to be added per atom for the potential to meet the labels.

    Parameters
    ----------
    potential
        The potential.
    labels
        The labels.

    Returns
    -------
    dict[str, float]
        Energy per atom in eV by element: the least-squares solution, of least norm where the compositions
        cannot tell elements apart.

    Raises
    ------
    FitError
        The potential does not know an element of the labels, or there is no label.
    """
    symbols = sorted({symbol for item in labels for symbol in item.label.structure.symbols})
    unknown = sorted(set(symbols) - set(potential.elements))
    if unknown or not symbols:
        raise FitError(
            f"the potential is for {', '.join(potential.elements)}; the labels are of "
            f"{', '.join(symbols) or 'nothing'}.",
            hint="give a configuration of the material that the potential was made for.",
        )
    found = [potential.evaluate(item.label.structure.to_ase(), gamma=False) for item in labels]
    missing = [item.label.energy - float(f.energies.sum()) for item, f in zip(labels, found, strict=True)]
    solution, *_ = np.linalg.lstsq(composition_counts(labels), np.array(missing), rcond=None)
    return dict(zip(symbols, solution.tolist(), strict=True))


def given_e0(words: list[str]) -> dict[str, float] | None:
    """Read energies of free atoms as a user writes them.

    Parameters
    ----------
    words
        Such as ``"Cu=-3.21"``; energies in eV.

    Returns
    -------
    dict[str, float] or None
        Energies by element; None for no words.

    Raises
    ------
    FitError
        A word is of another form.
    """
    found = {}
    for word in words:
        match = re.fullmatch(r"([A-Z][a-z]?)=([-+0-9.eE]+)", word)
        if match is None:
            raise FitError(f"an E0 must look like Cu=-3.21 (eV), got {word!r}.")
        found[match[1]] = float(match[2])
    return found or None
