"""What gamma was worth, in the report."""

from mlip_autopipec.report import read_campaign, report_page, summary_text
from mlip_autopipec.report.trust import calibration_figure
from mlip_autopipec.schemas import ErrorLimit, GammaCalibrationDoc, LiftedHalt, ReplayedFrame


def calibration(**update):
    values = {
        "level": 0.9,
        "tolerated_error": 0.3,
        "gamma": [0.5 + 0.1 * i for i in range(60)],
        "force_error": [0.0] + [0.01 * i for i in range(59)],
        "n_structures": 3,
        "edges": [0.5, 2.5, 4.5],
        "quantiles": [0.18, 0.38, 0.57],
        "counts": [20, 20, 20],
        "threshold": 2.5,
        "chosen_errors": [0.2, 0.4],
        "control_errors": [0.1],
        "n_audited": 4,
        "missed": ["x"],
        "missed_share": (0.006, 0.806),
    }
    return GammaCalibrationDoc(**(values | update))


def test_the_figure_has_points_quantiles_and_the_tolerated_error():
    plot = calibration_figure(calibration())
    assert "γ when it was met [1]" in plot.svg
    assert "90% quantile" in plot.svg
    assert "tolerated" in plot.svg
    calibration_figure(calibration(edges=[], quantiles=[], counts=[], threshold=None))


def test_the_page_says_what_gamma_was_worth(store, write, docs, generation_zero):
    assert "What γ was worth" not in report_page(read_campaign(store))
    write(calibration(), "calibrate", 1)
    again = ReplayedFrame(detail="MD at 300 K, step 60", gamma_before=12.34, gamma_after=0.9876)
    walk = docs.walk(0, start=60).model_copy(update={"replayed": [again]})
    write(walk, "explore", 1)
    page = report_page(read_campaign(store))
    assert "What γ was worth" in page
    assert "10% of the forces are off by more than 0.3 eV/Å" in page
    assert "from γ 2.5 on" in page
    assert "1 of 4 (between 1% and 81%, 95 %)" in page
    assert "0.3 eV/Å (2, before they were learned)" in page
    assert "0.1 eV/Å (1, before they were learned)" in page
    assert "0; too few labels to know what the estimate" in page
    assert "by gamma alone (too few labels yet" in summary_text(read_campaign(store))
    assert "12.34" in page
    assert "0.9876" in page


def test_what_is_not_known_is_not_said(store, write, generation_zero):
    few = calibration(edges=[], quantiles=[], counts=[], threshold=None, n_audited=0, missed=[])
    write(few, "calibrate", 1)
    page = report_page(read_campaign(store))
    assert "not enough atoms to say" in page
    assert "no audit yet" in page


def test_lifted_halts_are_counted_with_their_limit(store, write, docs, generation_zero):
    write(calibration(limit=ErrorLimit(scale=3.14, tolerated_error=0.2)), "calibrate", 1)
    halt = LiftedHalt(step=40, gamma=12.0, force_error=0.1)
    write(docs.walk(0, start=60).model_copy(update={"lifted": [halt, halt]}), "explore", 1)
    campaign = read_campaign(store)
    assert "2 (limit 0.2 eV/Å, estimate 3.1 standard deviations)" in report_page(campaign)
    assert "2 halts lifted as good enough" in summary_text(campaign)
