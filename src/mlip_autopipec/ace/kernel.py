r"""The compiled heart of the design matrix: basis functions and their gradients for one structure.

Symbols as in the ACE literature: :math:`A_{\mu v} = \sum_{j \in \mu} \phi_v(r_{ij})` with one-particle
functions :math:`\phi_v = R_{nl}(r)\, \tilde Y_{lm}(\hat r)`, :math:`\tilde Y = \sqrt{4\pi}\, Y`
complex with the Condon-Shortley phase, and :math:`B = \sum_m C_m \operatorname{Re} \prod_t A_{\mu_t v_t}`
(R. Drautz, Phys. Rev. B 99, 014104 (2019); form and normalisation are those of Pacemaker's files).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity must come through


class RadialTable(NamedTuple):
    """Radial functions on a grid, for cubic Hermite interpolation.

    Parameters
    ----------
    step
        Distance of two knots in Å by ordered pair, shape ``(n_elements, n_elements)``.
    cutoff
        Cut-off radius in Å by ordered pair, shape ``(n_elements, n_elements)``.
    values
        Values and derivatives (1/Å) of g_k at the knots, shape
        ``(n_elements, n_elements, n_knots, n_radial, 2)``.
    mixing
        Coefficients of g_k in the radial function of each channel, shape
        ``(n_elements, n_elements, n_channels, n_radial)``.
    """

    step: Array
    cutoff: Array
    values: Array
    mixing: Array


class FunctionTable(NamedTuple):
    """All basis functions, flattened.

    Parameters
    ----------
    channel_l
        Angular momentum of each channel (one R_nl), shape ``(n_channels,)``.
    channel_start
        Number of the channel's m = 0 entry, shape ``(n_channels,)``; m = 1, 2 … l follow.
    first
        First function of each central element, and the number of functions, shape ``(n_elements + 1,)``.
    entry_range
        First of each function's entries, shape ``(n_functions + 1,)``.
    entry_mu
        Neighbour element of each entry.
    entry_v
        Number of its one-particle function (m not negative).
    combo_range
        First of each function's products, shape ``(n_functions + 1,)``.
    rank
        Number of factors of each function.
    factor
        Entry of each factor of each product, counted within the function, shape ``(n_products, max_rank)``.
    negative
        1 where the factor has negative m, and so is a complex conjugate, same shape.
    parity
        Sign of that conjugate, same shape.
    weight
        Coupling coefficient of each product, shape ``(n_products,)``.
    """

    channel_l: Ints
    channel_start: Ints
    first: Ints
    entry_range: Ints
    entry_mu: Ints
    entry_v: Ints
    combo_range: Ints
    rank: Ints
    factor: Ints
    negative: Ints
    parity: Array
    weight: Array


class Rows(NamedTuple):
    """What each basis function contributes.

    Parameters
    ----------
    projections
        Functions of each atom, shape ``(n_atoms, max_functions_of_an_element)``; unused ones are zero.
    energy
        Sums over the atoms, shape ``(n_functions,)``.
    forces
        In 1/Å, shape ``(n_functions, 3 n_atoms)``.
    virial
        Sum of ``dB/dr_a r_b`` over the bonds, six Voigt components xx yy zz yz xz xy, shape
        ``(n_functions, 6)``.
    """

    projections: Array
    energy: Array
    forces: Array
    virial: Array


@njit(cache=True, nogil=True, fastmath=_FAST)
def _harmonics(x: float, y: float, z: float, lmax: int, re: Array, im: Array, q: Array) -> None:
    """Fill values and unprojected gradients of the harmonics for m >= 0; column 0 value, 1-3 gradient."""
    for m in range(lmax + 2):
        q[m, m] = 1.0 if m == 0 else q[m - 1, m - 1] * (2.0 * m - 1.0)
        for l in range(m + 1, lmax + 1):
            below = q[l - 2, m] if l - 2 >= m else 0.0
            q[l, m] = ((2.0 * l - 1.0) * z * q[l - 1, m] - (l + m - 1.0) * below) / (l - m)
    power_re, power_im, less_re, less_im = 1.0, 0.0, 0.0, 0.0  # (x + iy)^m and (x + iy)^(m-1)
    sign = 1.0
    for m in range(lmax + 1):
        ratio = 1.0
        for k in range(1, 2 * m + 1):
            ratio /= k  # (l-m)!/(l+m)! at l = m
        for l in range(m, lmax + 1):
            if l > m:
                ratio *= (l - m) / (l + m)
            c = sign * math.sqrt((2.0 * l + 1.0) * ratio)
            k = l * (l + 1) // 2 + m
            value = c * q[l, m]
            slope = c * q[l, m + 1] if m + 1 <= l else 0.0
            re[k, 0], im[k, 0] = value * power_re, value * power_im
            re[k, 1], im[k, 1] = m * value * less_re, m * value * less_im
            re[k, 2], im[k, 2] = -im[k, 1], re[k, 1]
            re[k, 3], im[k, 3] = slope * power_re, slope * power_im
        less_re, less_im = power_re, power_im
        power_re, power_im = x * less_re - y * less_im, x * less_im + y * less_re
        sign = -sign


@njit(cache=True, nogil=True, fastmath=_FAST)
def _radial(r: float, step: float, knots: Array, g: Array) -> None:
    """Interpolate g_k and its derivative; knot i lies at r = i step."""
    i = int(r / step)
    t = r / step - i
    if i + 1 >= len(knots):
        g[:] = 0.0
        return
    a, b = knots[i], knots[i + 1]
    for k in range(len(g)):
        va, da, vb, db = a[k, 0], a[k, 1] * step, b[k, 0], b[k, 1] * step
        c2 = 3.0 * (vb - va) - 2.0 * da - db
        c3 = 2.0 * (va - vb) + da + db
        g[k, 0] = va + t * (da + t * (c2 + t * c3))
        g[k, 1] = (da + t * (2.0 * c2 + 3.0 * t * c3)) / step


@njit(cache=True, nogil=True, fastmath=_FAST)
def _one_particle(
    mu0: int,
    bonds: Array,
    kinds: Ints,
    radial: RadialTable,
    table: FunctionTable,
    a_re: Array,
    a_im: Array,
    phi: Array,
) -> None:
    """Sum A over the neighbours of one atom, and keep the gradients phi[v, re/im, xyz, neighbour]."""
    n_channels = len(table.channel_l)
    lmax = table.channel_l.max()
    n_lm = (lmax + 1) * (lmax + 2) // 2
    y_re, y_im, q = np.empty((n_lm, 4)), np.empty((n_lm, 4)), np.zeros((lmax + 2, lmax + 2))
    g = np.empty((radial.values.shape[3], 2))
    a_re[:] = 0.0
    a_im[:] = 0.0
    for j in range(len(bonds)):
        mu = kinds[j]
        dx, dy, dz = bonds[j, 0], bonds[j, 1], bonds[j, 2]
        r = math.sqrt(dx * dx + dy * dy + dz * dz)
        u = (dx / r, dy / r, dz / r)
        if r < radial.cutoff[mu0, mu]:
            _radial(r, radial.step[mu0, mu], radial.values[mu0, mu], g)
        else:
            g[:] = 0.0
        _harmonics(u[0], u[1], u[2], lmax, y_re, y_im, q)
        for c in range(n_channels):
            value, slope = 0.0, 0.0
            for k in range(len(g)):
                value += radial.mixing[mu0, mu, c, k] * g[k, 0]
                slope += radial.mixing[mu0, mu, c, k] * g[k, 1]
            l = table.channel_l[c]
            for m in range(l + 1):
                v, k = table.channel_start[c] + m, l * (l + 1) // 2 + m
                a_re[mu, v] += value * y_re[k, 0]
                a_im[mu, v] += value * y_im[k, 0]
                along_re = u[0] * y_re[k, 1] + u[1] * y_re[k, 2] + u[2] * y_re[k, 3]
                along_im = u[0] * y_im[k, 1] + u[1] * y_im[k, 2] + u[2] * y_im[k, 3]
                for x in range(3):
                    phi[v, 0, x, j] = slope * u[x] * y_re[k, 0] + value / r * (
                        y_re[k, x + 1] - u[x] * along_re
                    )
                    phi[v, 1, x, j] = slope * u[x] * y_im[k, 0] + value / r * (
                        y_im[k, x + 1] - u[x] * along_im
                    )


@njit(cache=True, nogil=True, fastmath=_FAST)
def _function(f: int, table: FunctionTable, a_re: Array, a_im: Array, w_re: Array, w_im: Array) -> float:
    """Return B and fill its derivatives by the entries, as dB = Re sum w dA."""
    start = table.entry_range[f]
    n_entries = table.entry_range[f + 1] - start
    w_re[:n_entries] = 0.0
    w_im[:n_entries] = 0.0
    rank = table.rank[f]
    left_re, left_im = np.empty(7), np.empty(7)
    x_re, x_im = np.empty(6), np.empty(6)
    total = 0.0
    for p in range(table.combo_range[f], table.combo_range[f + 1]):
        left_re[0], left_im[0] = table.weight[p], 0.0
        for t in range(rank):
            e = start + table.factor[p, t]
            sign = table.parity[p, t]
            x_re[t] = sign * a_re[table.entry_mu[e], table.entry_v[e]]
            x_im[t] = sign * a_im[table.entry_mu[e], table.entry_v[e]]
            if table.negative[p, t]:
                x_im[t] = -x_im[t]
            left_re[t + 1] = left_re[t] * x_re[t] - left_im[t] * x_im[t]
            left_im[t + 1] = left_re[t] * x_im[t] + left_im[t] * x_re[t]
        total += left_re[rank]
        right_re, right_im = 1.0, 0.0
        for t in range(rank - 1, -1, -1):
            d_re = left_re[t] * right_re - left_im[t] * right_im
            d_im = left_re[t] * right_im + left_im[t] * right_re
            if table.negative[p, t]:
                d_im = -d_im
            w_re[table.factor[p, t]] += table.parity[p, t] * d_re
            w_im[table.factor[p, t]] += table.parity[p, t] * d_im
            right_re, right_im = (
                x_re[t] * right_re - x_im[t] * right_im,
                x_re[t] * right_im + x_im[t] * right_re,
            )
    return total


@njit(cache=True, nogil=True, fastmath=_FAST)
def _gradient(
    f: int, table: FunctionTable, w_re: Array, w_im: Array, phi: Array, starts: Ints, row: Array
) -> None:
    """Fill dB/dr_j for the neighbours j of one atom, shape (3, n_neighbours)."""
    row[:] = 0.0
    first = table.entry_range[f]
    for e in range(table.entry_range[f + 1] - first):
        mu, v = table.entry_mu[first + e], table.entry_v[first + e]
        begin, end = starts[mu], starts[mu + 1]
        wr, wi = w_re[e], w_im[e]
        for x in range(3):
            real, imaginary, out = phi[v, 0, x], phi[v, 1, x], row[x]
            for j in range(begin, end):
                out[j] += wr * real[j] - wi * imaginary[j]


@njit(cache=True, nogil=True, fastmath=_FAST)
def compute_rows(
    kinds: Ints,
    neighbours: Ints,
    ranges: Ints,
    bonds: Array,
    radial: RadialTable,
    table: FunctionTable,
    gradients: bool,
) -> Any:
    """Compute functions and gradients of one structure.

    Parameters
    ----------
    kinds
        Element index of each atom, shape ``(n_atoms,)``.
    neighbours
        Atom index of each bond's end, bonds sorted by centre and then by the element of the end.
    ranges
        First bond of each atom, shape ``(n_atoms + 1,)``.
    bonds
        Vectors from centre to end in Å, shape ``(n_bonds, 3)``.
    radial
        Radial functions.
    table
        Basis functions.
    gradients
        Whether to compute forces and virial; else they are zero.

    Returns
    -------
    tuple
        The fields of :class:`Rows`.
    """
    n_atoms, n_elements = len(kinds), len(table.first) - 1
    n_functions = table.first[-1]
    n_v = table.channel_start[-1] + table.channel_l[-1] + 1
    most = (table.first[1:] - table.first[:-1]).max()
    projections = np.zeros((n_atoms, most))
    energy = np.zeros(n_functions)
    forces = np.zeros((n_functions if gradients else 0, 3 * n_atoms))
    virial = np.zeros((n_functions if gradients else 0, 6))
    a_re, a_im = np.empty((n_elements, n_v)), np.empty((n_elements, n_v))
    most_entries = (table.entry_range[1:] - table.entry_range[:-1]).max()
    w_re, w_im = np.empty(most_entries), np.empty(most_entries)
    most_bonds = (ranges[1:] - ranges[:-1]).max()
    phi = np.empty((n_v, 2, 3, most_bonds))
    row = np.empty((3, most_bonds))
    starts = np.zeros(n_elements + 1, dtype=np.int64)
    for i in range(n_atoms):
        begin, end = ranges[i], ranges[i + 1]
        n_bonds = end - begin
        ends = neighbours[begin:end]
        vectors = bonds[begin:end]
        starts[:] = 0
        for j in range(n_bonds):
            starts[kinds[ends[j]] + 1] += 1
        for mu in range(n_elements):
            starts[mu + 1] += starts[mu]
        _one_particle(kinds[i], vectors, kinds[ends], radial, table, a_re, a_im, phi)
        first = table.first[kinds[i]]
        for f in range(first, table.first[kinds[i] + 1]):
            value = _function(f, table, a_re, a_im, w_re, w_im)
            projections[i, f - first] = value
            energy[f] += value
            if not gradients:
                continue
            _gradient(f, table, w_re, w_im, phi, starts, row[:, :n_bonds])
            _scatter(i, ends, vectors, row, forces[f], virial[f])
    return projections, energy, forces, virial


@njit(cache=True, nogil=True, fastmath=_FAST)
def _scatter(i: int, ends: Ints, vectors: Array, row: Array, forces: Array, virial: Array) -> None:
    """Add one atom's gradients to forces (minus the gradient) and virial."""
    sx, sy, sz = 0.0, 0.0, 0.0
    vxx, vyy, vzz, vyz, vxz, vxy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(ends)):
        x, y, z = row[0, j], row[1, j], row[2, j]
        k = 3 * ends[j]
        forces[k] -= x
        forces[k + 1] -= y
        forces[k + 2] -= z
        sx += x
        sy += y
        sz += z
        vxx += x * vectors[j, 0]
        vyy += y * vectors[j, 1]
        vzz += z * vectors[j, 2]
        vyz += y * vectors[j, 2]
        vxz += x * vectors[j, 2]
        vxy += x * vectors[j, 1]
    forces[3 * i] += sx
    forces[3 * i + 1] += sy
    forces[3 * i + 2] += sz
    virial[0] += vxx
    virial[1] += vyy
    virial[2] += vzz
    virial[3] += vyz
    virial[4] += vxz
    virial[5] += vxy
