"""The convergence probe: a few labels of displaced cells under coarser and finer settings."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from jobflow import Flow, Maker, Response, job

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.generation.perturb import rattled, strained
from mlip_autopipec.generation.seeds import supercell
from mlip_autopipec.generation.variant import KEEP_APART
from mlip_autopipec.oracle import OracleMaker, QeStaticMaker
from mlip_autopipec.oracle.convergence import Variant, probe_document, variants
from mlip_autopipec.schemas import AtomicStructure, LabelDoc, ProbeDoc, ProbeRole


@dataclass
class ProbeMaker(Maker):
    """Say how noisy the labels of an oracle are, from labels of the kind that it is asked for.

    Parameters
    ----------
    name
        Name of the job.
    oracle_maker
        The oracle, prepared: its cut-offs are numbers.
    n_atoms
        Smallest number of atoms of a cell.
    n_cells
        Number of cells, at least two: what a setting adds to the energy of all of them is no noise.
    max_strain
        Largest linear strain of the cells (dimensionless), so that their grids and basis sets differ.
    rattle
        Standard deviation of the displacements, as a fraction of the nearest-neighbour distance.
    spacing_factors
        Multiples of the k-spacing that are tried, dimensionless.
    cutoff_factors
        Multiples of the cut-off that are tried, dimensionless.
    seed
        Seed of strains and displacements.
    """

    name: str = "probe"
    oracle_maker: OracleMaker = field(default_factory=lambda: QeStaticMaker(ecutwfc=40.0))
    n_atoms: int = 8
    n_cells: int = 3
    max_strain: float = 0.03
    rattle: float = 0.05
    spacing_factors: tuple[float, ...] = (1.5, 0.67)
    cutoff_factors: tuple[float, ...] = (0.8, 1.25)
    seed: int = 0

    @job  # no output_schema: the job replaces itself (jobflow forbids both)
    def make(self, crystal: AtomicStructure) -> Response[Any]:
        """Displace a crystal and label it under all settings.

        Parameters
        ----------
        crystal
            A crystal of the composition.

        Returns
        -------
        Response
            The label jobs, and the job that compares them to a :class:`ProbeDoc`.
        """
        cells = [AtomicStructure.from_ase(atoms) for atoms in self.cells(crystal)]
        labels, outputs = [], []
        tried = self.tried()
        for variant in tried:
            made = [variant.oracle.make(cell) for cell in cells]
            for index, label in enumerate(made, start=1):
                label.name = f"probe {variant.role} {_shown(variant.settings)} cell {index}/{len(cells)}"
            labels += made
            outputs.append([label.output for label in made])
        end = summarise_probe([v.role for v in tried], [v.settings for v in tried], outputs)
        flow = Flow([*labels, end], output=end.output)
        flow.update_metadata({"stage": "probe"})
        return Response(replace=flow)

    def tried(self) -> list[Variant]:
        """List the settings that are compared.

        Returns
        -------
        list[Variant]
            The oracle as it is, coarser and finer ones, and the reference.
        """
        return variants(self.oracle_maker, self.spacing_factors, self.cutoff_factors)

    def cells(self, crystal: AtomicStructure) -> list[Atoms]:
        """Strain and displace a crystal.

        Parameters
        ----------
        crystal
            The crystal.

        Returns
        -------
        list[ase.Atoms]
            The cells.
        """
        rng = np.random.default_rng(self.seed)
        atoms = supercell(crystal.to_ase(), self.n_atoms)
        distance = nearest_distance(atoms)
        return [
            rattled(
                strained(atoms, self.max_strain, rng),
                self.rattle * distance,
                rng,
                keep_apart=KEEP_APART * distance,
            )
            for _ in range(self.n_cells)
        ]


@job(output_schema=ProbeDoc, name="summarise probe")
def summarise_probe(
    roles: list[ProbeRole], settings: list[dict[str, float]], labels: list[list[LabelDoc]]
) -> ProbeDoc:
    """Compare the labels; see :func:`mlip_autopipec.oracle.convergence.probe_document`.

    Parameters
    ----------
    roles
        What each setting is there for.
    settings
        The settings.
    labels
        Labels of all cells, one list for each setting.

    Returns
    -------
    ProbeDoc
        The noise of each setting.
    """
    return probe_document(roles, settings, labels)


def _shown(settings: dict[str, float]) -> str:
    return " ".join(f"{key} {value:.3g}" for key, value in settings.items())
