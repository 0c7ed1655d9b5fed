"""The structures that the first potential is fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jobflow import Maker, job

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.families import FAMILIES
from mlip_autopipec.generation.oriented import unturned_primitive
from mlip_autopipec.generation.perturb import dimers, rattled, strained
from mlip_autopipec.generation.strains import distinct_strains, under_strain
from mlip_autopipec.generation.variant import KEEP_APART, variants
from mlip_autopipec.numerics import isotropic_repeat
from mlip_autopipec.schemas import AtomicStructure, CandidateSetDoc, CandidateStructure, Origin

_FIELDS: dict[str, Origin] = {
    "n_vacancies": "vacancy",
    "n_interstitials": "interstitial",
    "n_antisites": "antisite",
    "n_surfaces": "surface",
    "n_stacking_faults": "stacking_fault",
    "n_alloys": "alloy",
    "n_random_crystals": "random_crystal",
    "n_liquids": "liquid",
}


@dataclass
class SeedStructuresMaker(Maker):
    """Make strained and rattled crystals, dimers for the short range and free atoms for E0.

    Parameters
    ----------
    name
        Name of the job.
    n_atoms
        Smallest number of atoms of a supercell.
    n_strained, n_rattled
        Number of strained and of rattled copies of each crystal in the pool that the selection chooses from.
    n_volumes
        Number of evenly compressed and expanded copies of each crystal, all of them required.
    n_vacancies, n_interstitials, n_antisites
        Number of cells with such a point defect in the pool, of each crystal.
    n_surfaces, n_stacking_faults
        Number of slabs with vacuum and of cells with one stacking fault in the pool, of each crystal.
    n_alloys
        Number of quasi-random occupations of each metallic compound in the pool.
    n_random_crystals, n_liquids
        Number of random symmetric crystals and of random packings in the pool, by the composition of each
        crystal.
    max_strain
        Largest linear strain, dimensionless. Required as well are copies strained by half of it along each
        direction and shear that symmetry leaves independent, both ways.
    rattle
        Largest standard deviation of a displacement, as a fraction of the nearest-neighbour distance.
    dimer_distances
        Distances of dimers as fractions of the sum of the covalent radii, dimensionless.
    isolated_atoms
        Whether to have free atoms labelled, whose energies become E0.
    seed
        Seed of all random choices.
    """

    name: str = "seed structures"
    n_atoms: int = 8
    n_strained: int = 40
    n_rattled: int = 40
    n_volumes: int = 2
    n_vacancies: int = 0
    n_interstitials: int = 0
    n_antisites: int = 0
    n_surfaces: int = 0
    n_stacking_faults: int = 0
    n_alloys: int = 0
    n_random_crystals: int = 0
    n_liquids: int = 0
    max_strain: float = 0.06
    rattle: float = 0.08
    dimer_distances: tuple[float, ...] = (0.65, 0.9, 1.3)
    isolated_atoms: bool = True
    seed: int = 0

    @job(output_schema=CandidateSetDoc, data=["candidates", "reference"])
    def make(self, structures: list[AtomicStructure]) -> CandidateSetDoc:
        """Make candidates from crystals.

        Parameters
        ----------
        structures
            Crystals.

        Returns
        -------
        CandidateSetDoc
            The pool; perfect crystals, their volumes and pure strains, dimers and free atoms are required.
        """
        rng = np.random.default_rng(self.seed)
        cells = [supercell(s.to_ase(), self.n_atoms) for s in structures]
        candidates = self.required(cells)
        for atoms in cells:
            candidates += self.perturbed(atoms, rng)
        for index, atoms in enumerate(cells):
            candidates += self._families(atoms, index)
        return CandidateSetDoc(
            candidates=candidates, reference=[AtomicStructure.from_ase(atoms) for atoms in cells]
        )

    def required(self, cells: Sequence[Atoms]) -> list[CandidateStructure]:
        """Make what is labelled before anything is chosen.

        Parameters
        ----------
        cells
            Perfect crystals; how many structures are required does not depend on the size of the cells.

        Returns
        -------
        list[CandidateStructure]
            Crystals, their volumes and pure strains, dimers and free atoms.
        """
        found = [_candidate(atoms, "user", "as given", required=True) for atoms in cells]
        for atoms in cells:
            found += [*self._volumes(atoms), *self._shapes(atoms)]
        elements = sorted({symbol for atoms in cells for symbol in atoms.get_chemical_symbols()})
        found += [
            _candidate(atoms, "dimer", f"dimer at {distance:.3f} Å", required=True)
            for atoms, distance in dimers(elements, self.dimer_distances)
        ]
        if self.isolated_atoms:
            found += [
                _candidate(Atoms(e, positions=[[0.0, 0.0, 0.0]]), "isolated_atom", "free atom", required=True)
                for e in elements
            ]
        return found

    def _volumes(self, atoms: Atoms) -> list[CandidateStructure]:
        if not atoms.pbc.all():
            return []
        found = []
        for strain in np.linspace(-self.max_strain, self.max_strain, self.n_volumes):
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array * (1.0 + strain), scale_atoms=True)
            found.append(_candidate(moved, "strain", f"linear strain {strain:+.3f}", required=True))
        return found

    def _shapes(self, atoms: Atoms) -> list[CandidateStructure]:
        """Strain along each direction that the crystal's symmetry leaves, so that every constant is seen.

        A supercell longer along one axis than another has less symmetry than its crystal; by its own, some
        of its strained cells would be of equal surroundings.
        """
        if not atoms.pbc.all():
            return []
        amplitude = 0.5 * self.max_strain
        detail = f"pure strain of {amplitude:.3f}"
        return [
            _candidate(under_strain(atoms, strain), "strain", detail, required=True)
            for strain in distinct_strains(unturned_primitive(atoms), amplitude)
        ]

    def _families(self, atoms: Atoms, index: int) -> list[CandidateStructure]:
        """Defects, surfaces and so on, as many as were asked for."""
        found = []
        for number, (field, origin) in enumerate(_FIELDS.items()):
            n_wanted = getattr(self, field)
            if not n_wanted:
                continue
            if not atoms.pbc.all():
                raise ConfigError(
                    f"{field!r} needs crystals periodic in three dimensions, got {atoms.symbols}."
                )
            # A generator of its own each: to ask for one family changes no structure of another.
            rng = np.random.default_rng([self.seed, index, number])
            made = variants(FAMILIES[origin], atoms, n_wanted, rng)
            if not made:
                raise ConfigError(
                    f"no {origin.replace('_', ' ')} can be made of {atoms.symbols}.",
                    hint=f"leave out {field} of 'generation', or give it a crystal that allows them.",
                )
            found += [_candidate(v.atoms, origin, v.detail) for v in made]
        return found

    def perturbed(self, atoms: Atoms, rng: np.random.Generator) -> list[CandidateStructure]:
        """Make strained and rattled copies of a crystal.

        Parameters
        ----------
        atoms
            The crystal.
        rng
            Source of randomness.

        Returns
        -------
        list[CandidateStructure]
            ``n_strained`` strained ones, then ``n_rattled`` rattled ones, by growing displacement.
        """
        distance = nearest_distance(atoms)
        found = []
        for index in range(self.n_strained):
            # Rattled a little as well: forces that are zero by symmetry would teach nothing.
            amplitude = 0.3 * self.rattle * distance * (index + 1) / self.n_strained
            moved = strained(atoms, self.max_strain, rng) if atoms.pbc.all() else atoms
            moved = rattled(moved, amplitude, rng, keep_apart=KEEP_APART * distance)
            found.append(_candidate(moved, "strain", f"strain and displacements of {amplitude:.3f} Å"))
        for index in range(self.n_rattled):
            amplitude = self.rattle * distance * (index + 1) / self.n_rattled
            moved = rattled(atoms, amplitude, rng, keep_apart=KEEP_APART * distance)
            found.append(_candidate(moved, "rattle", f"displacements of {amplitude:.3f} Å"))
        return found


def _candidate(atoms: Atoms, origin: Origin, detail: str, *, required: bool = False) -> CandidateStructure:
    return CandidateStructure(
        structure=AtomicStructure.from_ase(atoms), origin=origin, detail=detail, required=required
    )


def supercell(atoms: Atoms, n_atoms: int) -> Atoms:
    """Repeat a crystal until it holds enough atoms.

    Parameters
    ----------
    atoms
        A crystal; what is not periodic stays as it is.
    n_atoms
        Smallest number of atoms.

    Returns
    -------
    ase.Atoms
        The supercell, as round as it can be.
    """
    if not atoms.pbc.all():
        return atoms
    return atoms.repeat(isotropic_repeat(atoms.cell.lengths(), len(atoms), n_atoms))
