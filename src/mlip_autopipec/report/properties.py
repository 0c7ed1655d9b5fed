"""Section of the page on the properties of the crystal: elastic constants, phonons, defects."""

from typing import TYPE_CHECKING

import numpy as np

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.sections import gallery
from mlip_autopipec.report.svg import BLUE, GREY, INK, ORANGE, Plot, draw
from mlip_autopipec.report.tables import Html, element, join, section, table
from mlip_autopipec.report.words import seconds
from mlip_autopipec.schemas import ElasticDoc, PhononDoc, ValidationDoc

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def properties(campaign: Campaign) -> Html:
    """Show the properties of the crystal by oracle and potential.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Figures and tables; empty before the validation.
    """
    found = campaign.validation
    if found is None:
        return Html("")
    return join(
        (
            section("Elastic constants", *_elastic(found.elastic)),
            section("Phonons", gallery(phonons(found.phonon)), *_phonon_note(found.phonon)),
            section("Defects", *_defects(found)),
            section("Cost of the validation", _costs(found)),
            section("Learned after a failed validation", _repairs(campaign)),
        )
    )


def phonons(found: PhononDoc | None) -> list[Plot]:
    """Draw phonon bands and densities of states, the oracle's under the potential's.

    Parameters
    ----------
    found
        The phonons; none if they were not computed.

    Returns
    -------
    list[Plot]
        Frequencies in THz.
    """
    if found is None:
        return []
    distances = np.array(found.distances)
    both = "; oracle and potential from the same supercell" if found.bands_reference else ""

    def paint(axes: "Axes") -> None:
        # One run of points a segment, as the path jumps between some of them.
        starts = range(0, len(distances), found.n_points)
        layers = [
            (found.bands_reference, BLUE, "oracle", "-"),
            (found.bands_predicted, ORANGE, "potential", "--"),
        ]
        for bands, colour, name, style in layers:
            for number, start in enumerate(starts if bands else ()):
                part = slice(start, start + found.n_points)
                label = [
                    name if number == band == 0 else None for band in range(len(found.bands_predicted[0]))
                ]
                axes.plot(
                    distances[part], np.array(bands)[part], style, color=colour, linewidth=1.0, label=label
                )
        ticks = [(distances[s], a) for s, (a, _) in zip(starts, found.segment_ends, strict=True)]
        ticks.append((distances[-1], found.segment_ends[-1][1]))
        names = [_joined(n, found.segment_ends, a) for n, (_, a) in enumerate(ticks)]
        axes.set_xticks([x for x, _ in ticks], names)
        axes.axhline(0.0, color=INK, linewidth=0.7)
        axes.set(xlim=(0.0, distances[-1]), ylabel="frequency [THz]")

    def paint_dos(axes: "Axes") -> None:
        if found.dos_reference is not None and found.dos_frequency_reference is not None:
            axes.fill_between(found.dos_frequency_reference, found.dos_reference, color=GREY, alpha=0.3)
            axes.plot(found.dos_frequency_reference, found.dos_reference, color=BLUE, label="oracle")
        axes.plot(found.dos_frequency, found.dos_predicted, "--", color=ORANGE, label="potential")
        axes.set(xlabel="frequency [THz]", ylabel="states [1/THz/cell]", ylim=(0.0, None))

    return [
        draw("phonons", f"Phonon bands of {found.formula}{both}", paint),
        draw("phonon-dos", f"Density of phonon states of {found.formula}", paint_dos),
    ]


def _joined(number: int, ends: list[tuple[str, str]], name: str) -> str:
    """Name both points where the path jumps."""
    before = ends[number - 1][1] if 0 < number < len(ends) else name
    return name if before == name else f"{before}|{name}"


def _elastic(found: ElasticDoc | None) -> list[Html]:
    if found is None:
        return []
    mine = np.array(found.tensor_predicted)
    theirs = None if found.tensor_reference is None else np.array(found.tensor_reference)
    rows: list[tuple[object, ...]] = []
    for name in found.constants:
        place = int(name[0]) - 1, int(name[1]) - 1
        rows.append(
            _compared(f"C{name}", float(mine[place]), None if theirs is None else float(theirs[place]))
        )
    rows += [
        _compared("bulk modulus (Hill)", found.bulk_modulus, found.bulk_modulus_reference),
        _compared("shear modulus (Hill)", found.shear_modulus, found.shear_modulus_reference),
        _compared("lowest eigenvalue (Born)", found.lowest_eigenvalue, found.lowest_eigenvalue_reference),
    ]
    note = (
        f"{found.formula} at the oracle's equilibrium volume, strains of {found.strain:g}; the atoms "
        "inside the cell follow the strain. A crystal with a negative eigenvalue is not stable."
    )
    head = ("", "oracle [GPa]", "potential [GPa]", "difference [%]")
    return [table(head, rows), element("p", note, "note")]


def _compared(name: str, mine: float, theirs: float | None) -> tuple[object, ...]:
    off = None if not theirs else 100.0 * (mine - theirs) / abs(theirs)
    return name, theirs, mine, off


def _phonon_note(found: PhononDoc | None) -> list[Html]:
    if found is None:
        return []
    size = " × ".join(map(str, found.supercell))
    text = (
        f"Supercell of {size} primitive cells, displacements of {found.displacement:g} Å, {found.n_cells} "
        f"displaced cells; lowest frequency {found.lowest:.3g} THz (negative: imaginary). The splitting of "
        "optical modes by electric fields is in neither."
    )
    return [element("p", text, "note")]


def _defects(found: ValidationDoc) -> list[Html]:
    rows = [
        (row.name, row.n_atoms, row.reference, row.predicted, row.relaxed, row.unit)
        for doc in found.defects
        for row in doc.energies
    ]
    head = ("", "atoms", "oracle", "potential", "potential, relaxed", "unit")
    note = (
        "Oracle and potential on the same cells, atoms not relaxed; the relaxed energy is the potential's. "
        "The atom missing from a compound is free."
    )
    return [table(head, rows), element("p", note, "note") if rows else Html("")]


def _costs(found: ValidationDoc) -> Html:
    rows: list[tuple[object, ...]] = [
        (
            *(cost.kind.replace("_", " "), cost.n_labels, cost.n_atoms),
            None if cost.estimated_time is None else seconds(cost.estimated_time),
            "asked" if cost.asked else cost.reason or "nothing to ask",
        )
        for cost in found.costs
    ]
    rows += [(s.kind.replace("_", " "), None, None, None, f"not run: {s.reason}") for s in found.skipped]
    return table(("check", "labels", "atoms together", "time foreseen", "the oracle"), rows)


def _repairs(campaign: Campaign) -> Html:
    lines = campaign.end.state.repairs if campaign.end else []
    return table(("what failed, and what was learned for it",), [(line,) for line in lines])
