"""Elastic constants by oracle and potential, from the same strains."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from jobflow import job

from mlip_autopipec.generation.oriented import space_group
from mlip_autopipec.generation.strains import strained_cells
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    Check,
    CheckKind,
    ElasticDoc,
    LabelBatchDoc,
    PotentialDoc,
)
from mlip_autopipec.validation.base import above, check
from mlip_autopipec.validation.elasticity import (
    Array,
    Moduli,
    elastic_constants,
    independent_constants,
    moduli,
    symmetries,
    true_response,
)
from mlip_autopipec.validation.property import Observed, PropertyMaker, candidate
from mlip_autopipec.validation.vibrations import displaced_cells, phonon_model, with_forces

_SMALL = 0.25  # of the largest constant: smaller ones are judged as if they had this size


@dataclass
class ElasticMaker(PropertyMaker):
    """Compare elastic constants and look for unstable strains (Born).

    The atoms inside the cell follow the strain, by force constants at wave vector zero.

    Parameters
    ----------
    strain
        Size of the strains, dimensionless.
    inner_displacement
        Displacement for the force constants at wave vector zero, in Å.
    max_elastic_error
        Largest difference of a constant that passes, in percent of it, or of a quarter of the largest.
    """

    name: str = "validate elastic constants"
    strain: float = 0.01
    inner_displacement: float = 0.02
    max_elastic_error: float = 10.0
    kind: ClassVar[CheckKind] = "elastic"
    packages: ClassVar[tuple[str, ...]] = ("phonopy",)

    def cells(self, crystal: Atoms) -> list[CandidateStructure]:
        """List the crystal, its strained cells and those with one atom displaced."""
        strained = [cell.atoms for cell in strained_cells(crystal, self.strain)]
        displaced = displaced_cells(self._inner(crystal)) if len(crystal) > 1 else []
        return [
            candidate(crystal, "elastic", "crystal"),
            *(candidate(a, "elastic", f"strain {n}") for n, a in enumerate(strained, start=1)),
            *(candidate(a, "elastic", f"displacement {n}") for n, a in enumerate(displaced, start=1)),
        ]

    @job(output_schema=ElasticDoc)
    def make(
        self, potential: PotentialDoc, crystal: AtomicStructure, batch: LabelBatchDoc | None = None
    ) -> ElasticDoc:
        """Compute the constants and judge them."""
        atoms = crystal.to_ase()
        mine, theirs = self.observed(potential, crystal, batch)
        tensor, residual = self._tensor(atoms, mine)
        reference = None if theirs is None else self._tensor(atoms, theirs)[0]
        found = moduli(tensor)
        against = None if reference is None else moduli(reference)
        return ElasticDoc(
            formula=crystal.formula,
            strain=self.strain,
            n_cells=len(mine),
            residual_stress=residual,
            constants=list(independent_constants(space_group(atoms))),
            tensor_predicted=tensor.tolist(),
            tensor_reference=None if reference is None else reference.tolist(),
            bulk_modulus=found.bulk,
            shear_modulus=found.shear,
            lowest_eigenvalue=found.lowest_eigenvalue,
            bulk_modulus_reference=None if against is None else against.bulk,
            shear_modulus_reference=None if against is None else against.shear,
            lowest_eigenvalue_reference=None if against is None else against.lowest_eigenvalue,
            checks=[_stable(found, against), *self._constants(atoms, tensor, reference)],
        )

    def _inner(self, crystal: Atoms) -> object:
        return phonon_model(crystal, (1, 1, 1), self.inner_displacement)

    def _tensor(self, crystal: Atoms, said: list[Observed]) -> tuple[Array, Array]:
        """Return the constants and the stress of the crystal, both in GPa."""
        strained = strained_cells(crystal, self.strain)
        first, *rest = said
        at_rest = (_stress(first), first.forces)
        responses = [
            true_response(cell, _stress(o), o.forces, at_rest)
            for cell, o in zip(strained, rest[: len(strained)], strict=True)
        ]
        constants = None
        if len(crystal) > 1:
            displaced = [o.forces for o in rest[len(strained) :]]
            constants = np.asarray(with_forces(self._inner(crystal), displaced).force_constants)
        tensor = elastic_constants(responses, symmetries(crystal), crystal.get_volume(), constants)
        return tensor, at_rest[0]

    def _constants(self, crystal: Atoms, tensor: Array, reference: Array | None) -> list[Check]:
        if reference is None:
            return []
        largest = float(np.abs(reference).max())
        found = []
        for name in independent_constants(space_group(crystal)):
            place = int(name[0]) - 1, int(name[1]) - 1
            size = max(abs(float(reference[place])), _SMALL * largest)
            found.append(
                check(
                    f"elastic constant C{name}",
                    float(tensor[place]),
                    0.01 * self.max_elastic_error * size,
                    "GPa",
                    reference=float(reference[place]),
                    kind="elastic",
                )
            )
        return found


def _stress(observed: Observed) -> Array:
    if observed.stress is None:
        raise AssertionError("only periodic cells are strained")
    return observed.stress


def _stable(found: Moduli, against: Moduli | None) -> Check:
    """Ask for stability only where the oracle does not say that there is none."""
    unstable = against is not None and against.lowest_eigenvalue <= 0.0
    return above(
        "elastic stability (Born): lowest eigenvalue",
        found.lowest_eigenvalue,
        None if unstable else 0.0,
        "GPa",
        reference=None if against is None else against.lowest_eigenvalue,
        kind="elastic",
    )
