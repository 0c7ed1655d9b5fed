"""Validation of a potential that was not made here: ours of another campaign, or someone else's."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobflow import Flow, Maker, job

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, FileData, SelectionDoc
from mlip_autopipec.schemas.files import pack_file
from mlip_autopipec.training import GivenPotentialMaker


@dataclass
class GivenValidationMaker(Maker):
    """Label the crystals, match E0 on them, then judge the potential as that of a campaign.

    Parameters
    ----------
    name
        Name of the flow.
    given_maker
        Makes a document of the files.
    validation_maker
        Judges it.
    """

    name: str = "validate given potential"
    given_maker: GivenPotentialMaker = field(default_factory=GivenPotentialMaker)
    validation_maker: ValidationMaker = field(default_factory=ValidationMaker)

    def make(self, files: list[FileData], structures: Any, source: str) -> Flow:
        """Make the flow.

        Parameters
        ----------
        files
            The potential; see :func:`potential_files`.
        structures
            Crystals, or the reference to a list of them; the first is compressed, expanded and run in MD.
        source
            Where the files come from, in words.

        Returns
        -------
        Flow
            Its output is a :class:`ValidationDoc`.
        """
        crystals = list_crystals(structures)
        labels = self.validation_maker.label_maker.make(crystals.output)
        potential = self.given_maker.make(files, labels.output, source)
        validation = self.validation_maker.make(potential.output, structures, finals=[])
        return Flow([crystals, labels, potential, validation], output=validation.output, name=self.name)


@job(output_schema=SelectionDoc, data=["candidates"], name="list crystals")
def list_crystals(structures: list[AtomicStructure]) -> SelectionDoc:
    """List the crystals for the oracle.

    Parameters
    ----------
    structures
        The crystals.

    Returns
    -------
    SelectionDoc
        All of them.
    """
    return SelectionDoc(
        candidates=[
            CandidateStructure(structure=s, origin="user", detail="given crystal") for s in structures
        ],
        n_considered=len(structures),
        n_duplicates=0,
        gain=[0.0] * len(structures),
        n_functions=0,
    )


def potential_files(path: Path) -> list[FileData]:
    """Read the files of a potential.

    Parameters
    ----------
    path
        ``.yaml``, whose ``.asi`` is taken along if it is beside it, or ``.yace``.

    Returns
    -------
    list[FileData]
        One or two files.

    Raises
    ------
    ConfigError
        The file is not there or of another kind.
    """
    if path.suffix not in (".yaml", ".yace"):
        raise ConfigError(f"a potential must be a .yaml or .yace file, got {path.name!r}.")
    if not path.is_file():
        raise ConfigError(f"potential file {str(path)!r} is missing.")
    beside = path.with_suffix(".asi")
    paths = [path, beside] if path.suffix == ".yaml" and beside.is_file() else [path]
    return [pack_file(p).model_copy(update={"name": f"potential{p.suffix}"}) for p in paths]
