import re
from dataclasses import replace

import numpy as np
import pytest

from mlip_autopipec.report import Campaign, figures, figures_potential, read_campaign
from mlip_autopipec.report.svg import draw, log_scale
from mlip_autopipec.schemas import LiftedHalt

PAINTERS = [
    figures.learning_curve,
    figures.gamma,
    figures.cost,
    figures_potential.parity,
    figures_potential.equation_of_state,
    figures_potential.short_range,
    figures_potential.energy_conservation,
]


def texts(plot):
    return re.findall(r"<text[^>]*>([^<]*)</text>", plot.svg)


@pytest.mark.parametrize("paint", PAINTERS)
def test_no_figure_without_data(paint):
    assert paint(Campaign()) == []


@pytest.mark.parametrize("paint", PAINTERS)
def test_every_axis_has_a_unit(store, finished, paint):
    plots = paint(read_campaign(store))
    assert plots
    for plot in plots:
        units = sum("[" in text for text in texts(plot))
        assert units == (1 if plot.name == "cost" else 2), texts(plot)


def test_only_what_is_known_is_drawn_of_an_unfinished_campaign(store, generation_zero):
    campaign = read_campaign(store)
    known = {paint.__name__ for paint in PAINTERS if paint(campaign)}
    assert known == {"learning_curve", "gamma", "cost", "parity"}
    assert "held-out structures" not in texts(figures.learning_curve(campaign)[0])


def test_tick_labels_keep_their_digits():
    def paint(axes):
        axes.plot([0.0, 1.0], [0.0, 0.004])
        axes.set_yticks([0.0, 0.002, 0.00412])

    assert {"0.00200", "0.00412"} <= set(texts(draw("a", "b", paint)))


def test_lifted_halts_are_marked_and_do_not_move_the_limit(store, finished):
    campaign = read_campaign(store)
    first, *others = campaign.walks
    halt = LiftedHalt(step=first.start_step + 1, gamma=first.gamma_max, force_error=0.05)
    raised = replace(first, lifted=[halt], gamma_limit=90.0)
    plain, marked = (figures.gamma(replace(campaign, walks=(walk, *others)))[0] for walk in (first, raised))
    assert "one that was lifted" not in plain.caption
    assert "one that was lifted" in marked.caption
    assert marked.svg.count("<use") == plain.svg.count("<use") + 1


def test_the_gamma_limit_is_drawn(store, finished):
    assert "limit" in texts(figures.gamma(read_campaign(store))[0])


def test_gamma_has_a_figure_for_each_temperature(store, finished):
    plots = figures.gamma(read_campaign(store))
    assert [next(t for t in texts(plot) if t.endswith(" K")) for plot in plots] == ["300 K", "301 K"]


def test_gammas_that_are_not_finite_are_not_drawn(store, write, docs, generation_zero):
    broken = docs.walk(2, gamma_max=5.0)
    thermo = broken.thermo.model_copy(update={"gamma": [1.0, 2.0, np.inf, np.nan, np.inf, np.nan]})
    write(broken.model_copy(update={"thermo": thermo, "end_reason": "not_finite"}), "explore", 0)
    assert len(figures.gamma(read_campaign(store))) == 3


def test_the_label_of_a_dimer_is_set_against_the_curve(store, finished):
    (plot,) = figures_potential.short_range(read_campaign(store))
    assert {"potential", "oracle", "core below 1.85 Å"} <= set(texts(plot))
    # 6.125 eV of the label less twice the 3.5 eV of the free atom.
    found = figures_potential._labelled_dimers(read_campaign(store))
    assert found == {"Cu-Cu": [(2.5, pytest.approx(-0.875))]}


def test_the_fitted_curve_has_its_minimum_and_curvature(store, finished):
    fit = read_campaign(store).validation.eos.curves[0].reference
    v = fit.v0 + np.array([-1e-3, 0.0, 1e-3])
    low, least, high = figures_potential._birch_murnaghan(fit, v)
    assert least == pytest.approx(fit.e0)
    bulk = fit.v0 * (low - 2.0 * least + high) / 1e-6 * 160.21766
    assert bulk == pytest.approx(fit.b0, rel=1e-4)


def test_thinning_keeps_the_largest_errors():
    errors = np.zeros(10_000)
    errors[[17, 5000, 9999]] = [1.0, -3.0, 2.0]
    kept = figures_potential.thinned(errors, 100)
    assert len(kept) <= 100
    assert {17, 5000, 9999} <= set(kept.tolist())
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert kept.tolist() == figures_potential.thinned(errors, 100).tolist()
    assert figures_potential.thinned(np.zeros(5), 100).tolist() == [0, 1, 2, 3, 4]


def test_many_rows_of_a_walk_keep_its_largest_gamma(store, write, docs, generation_zero):
    long = docs.walk(3, end=100_000, gamma_max=2.0)
    gamma = list(long.thermo.gamma)
    gamma[777] = 4.5
    thermo = long.thermo.model_copy(update={"gamma": gamma})
    write(long.model_copy(update={"thermo": thermo}), "explore", 0)
    time, grades = figures._graded(read_campaign(store).walks[-1])
    assert len(grades) <= 250
    assert grades.max() == 4.5
    assert time[np.argmax(grades)] == pytest.approx(777 * 20 * 2.0e-3)


def test_a_short_logarithmic_axis_has_ticks_between():
    plot = draw("a", "b", lambda axes: log_scale(axes, 0.3, 12.0))
    assert {"0.5", "1", "2", "5", "10"} <= set(texts(plot))
    plot = draw("a", "b", lambda axes: log_scale(axes, 0.3, 1200.0))
    assert {"1", "10", "100", "1000"} <= set(texts(plot))
    assert "500" not in texts(plot)


def test_many_walks_do_not_make_a_heavy_page(store, write, docs, generation_zero):
    write(docs.walk(3, end=20_000, gamma_max=2.0), "explore", 0)
    campaign = read_campaign(store)
    walk = campaign.walks[-1]
    many = replace(campaign, walks=(walk,) * 300)
    (plot,) = figures.gamma(many)
    assert len(plot.svg) < 400_000
