import re
from html.parser import HTMLParser

import matplotlib
import pytest

from mlip_autopipec.errors import StoreError
from mlip_autopipec.report import Campaign, read_campaign, report_page, write_report
from mlip_autopipec.schemas import BaselineDoc, BasisTrial, EmbeddedCell, EmbeddingDoc

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Collect what an honest parser sees: tags in balance, ids, addresses, text of cells."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses, self.tags, self.rows = [], [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.note(tag, attrs)

    def note(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "srcset")
        ]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def parsed(page):
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    return checker


@pytest.fixture
def page(store, finished):
    return report_page(read_campaign(store))


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    checker = parsed(page)
    assert checker.addresses
    assert all(address.startswith("#") for address in checker.addresses)
    assert {address[1:] for address in checker.addresses} <= set(checker.ids)
    assert "http" not in page
    assert "@import" not in page
    assert not checker.tags & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\((?!#)", page)
    assert len(page) < 500_000


def test_the_numbers_are_those_of_the_documents(page):
    rows = parsed(page).rows
    assert ["pass", "bulk modulus", "141.7", "137.9", "11", "GPa", "why bulk modulus"] in rows
    assert ["0", "2", "1", "2", "1", "160", "12.5", "4", "0.08"] in rows
    assert ["1", "3", "0", "1", "0", "40", "1.75", "2.34", "0.0567"] in rows
    assert ["training, dimer", "1", "1", "1", "0.001", "0.001", "0.001"] in rows
    assert ["held out", "1", "0.432", "0.216", "0.0321", "0.01605", "0.0963"] in rows
    md = ["1", "b1", "Cu2", "2", "from MD", "MD at 300 K, step 60", "12.5", "6.125000", "4", "2"]
    assert [*md, ""] in rows
    assert ["0", "bad00001", "Cu2", "from MD", "UnconvergedError: no"] in rows
    assert ["Cu", "3.5", "77"] in rows
    assert ["Cu-Cu", "1.85", "0.4"] in rows
    assert ["oracle, training labels", "6 s", "6 %"] in rows
    assert ["MD of the walks", "90 s", "83 %"] in rows
    assert ["a9 (Cu): isolated atom, gives E0"] in rows


def test_small_cells_are_listed_with_what_they_measured(store, write, finished):
    numbers = {
        "atom": 7, "n_atoms": 90, "n_core": 43, "n_host": 500, "separation": 11.13,
        "descriptor_difference": 3e-15,
        "gamma": 5.25, "gamma_host": 5.25, "gamma_core": 5.25, "gamma_core_host": 5.25, "gamma_buffer": 1.36,
        "gamma_buffer_host": 1.99, "smallest_distance": 1.2, "smallest_distance_host": 1.1,
    }  # fmt: skip
    told = {"kind": "crystal", "detail": "MD at 900 K, step 5", "energy_counts": True}
    cells = [EmbeddedCell(**numbers, **told), EmbeddedCell(**numbers, **told, refusal="too uncertain")]
    assert read_campaign(store).cells == ()
    assert "Small cells" not in report_page(read_campaign(store))
    doc = EmbeddingDoc(
        candidates=[], cells=cells, n_small=0, n_embedded=1, whole=[], dropped=[], wall_time=1.0
    )
    write(doc, "embed", 1)
    found = read_campaign(store)
    assert found.cells == ((1, cells[0]), (1, cells[1]))
    page = report_page(found)
    for text in ("Small cells", "11.1", "1.36", "too uncertain", "MD at 900 K, step 5"):
        assert text in page


def test_the_headline_says_what_it_is_worth(page):
    assert '<span class="badge pass">PASS</span>' in page
    assert "no walk met anything uncertain any more" in page
    assert "3 training, 2 validation (1 shared with training, not computed again), 1 failed" in page
    assert "12.5 → 1.75" in page
    assert "0.432 meV/atom, 0.0321 eV/Å" in page


def test_says_how_rare_halts_are(page):
    assert "below 3.74e+04 per ns (95 %): none in 1 runs, 0.08 ps" in page


def test_files_have_their_hashes(store, finished, page):
    for file in read_campaign(store).potential.files:
        assert file.name in page
        assert file.sha256 in page
        assert file.base64 not in page


@pytest.mark.parametrize("code", ["ase:emt", "ase:lj"])
def test_an_interatomic_model_is_not_dft(store, write, docs, code):
    write(docs.batch([docs.label("a1", code=code)]), "label", 0)
    page = report_page(read_campaign(store))
    assert f"{code} 3.29.0: an interatomic model, not DFT" in page
    assert "not how well it describes the real material" in page


@pytest.mark.parametrize("code", ["pw.x", "ase:espresso"])
def test_dft_is_dft(store, write, docs, code):
    write(docs.batch([docs.label("a1", code=code)]), "label", 0)
    page = report_page(read_campaign(store))
    assert f"{code} 3.29.0: DFT" in page
    assert "not DFT" not in page


def test_an_unknown_calculator_is_not_taken_for_dft(store, write, docs):
    write(docs.batch([docs.label("a1", code="ase:my.package.Calculator")]), "label", 0)
    assert "a calculator not known to be DFT" in report_page(read_campaign(store))


def test_what_is_written_by_others_is_escaped(store, write, docs):
    evil = "<script>alert(1)</script><img src=x onerror='x'>&amp;\""
    labels = [docs.label("<b>", "user", detail=evil, notes=[evil], code=f"ase:{evil}")]
    write(docs.batch(labels, [docs.lost("<i>")]), "label", 0)
    fit = docs.potential([docs.point("a1", "user")])
    fit = fit.model_copy(update={"excluded": [evil], "e0_source": evil, "versions": {evil: evil}})
    write(fit, "fit", 0)
    checks = [docs.check(evil, 1.0, 2.0, evil, "fail")]
    write(docs.validation(checks=checks, verdict="fail"), "validate")
    page = report_page(read_campaign(store))
    assert not parsed(page).tags & {"script", "img", "b", "i"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_baseline_is_shown_with_the_lines_that_add_it(store, write, docs, generation_zero):
    fit = docs.potential([docs.point("a1", "user")])
    lines = ["pair_style hybrid/overlay zbl 1.0 2.0 pace", "pair_coeff * * zbl 29 29"]
    baseline = BaselineDoc(kind="zbl", inner={"Cu-Cu": 1.234}, outer={"Cu-Cu": 2.057}, lammps=lines)
    assert "whoever uses them adds it" not in report_page(read_campaign(store))
    write(fit.model_copy(update={"baseline": baseline}), "fit", 1)
    page = report_page(read_campaign(store))
    parsed(page)
    assert "whoever uses them adds it" in page
    assert all(text in page for text in ("1.234", "2.057", *lines))


def test_the_trials_of_the_tuner_are_shown(store, write, docs, generation_zero):
    fit = docs.potential([docs.point("a1", "user")])
    trial = BasisTrial(
        stage="l_weight", basis=fit.fit.basis, log_evidence=-4321.4, cost=76.5, chosen=True, reason="best <1>"
    )
    assert "How the basis was chosen" not in report_page(read_campaign(store))
    write(fit.model_copy(update={"fit": fit.fit.model_copy(update={"trials": [trial]})}), "fit", 1)
    page = report_page(read_campaign(store))
    parsed(page)
    assert all(
        text in page
        for text in ("How the basis was chosen", "<td>l weight</td>", "-4321", "76.5", "best &lt;1&gt;")
    )


def test_a_template_sign_in_the_data_changes_nothing(store, write, docs):
    write(docs.batch([docs.label("a1", detail="$title ${body} $$")]), "label", 0)
    assert "$title ${body} $$" in report_page(read_campaign(store))


def test_an_unfinished_campaign_shows_what_there_is(store, generation_zero):
    page = report_page(read_campaign(store))
    parsed(page)
    assert "The campaign is not complete (unfinished, in generation 0)" in page
    assert "UNJUDGED" in page
    assert "<h2>Learning</h2>" in page
    assert "<h2>Validation</h2>" not in page
    assert "Equation of state" not in page


def test_an_empty_campaign_is_a_page_without_figures():
    page = report_page(Campaign())
    checker = parsed(page)
    assert "svg" not in checker.tags
    assert "h2" not in checker.tags
    assert "no label has finished yet" in page
    assert 'class="badge' not in page


@pytest.mark.parametrize("reason", ["label_budget", "generation_limit"])
def test_says_when_the_loop_did_not_end_by_itself(store, write, finished, reason):
    state = finished.state.model_copy(update={"stop_reason": reason})
    write(finished.model_copy(update={"state": state}), "conclude", 1)
    assert "walks may still meet uncertain environments" in report_page(read_campaign(store))


def test_warns_of_held_out_structures_that_were_trained_on(store, write, docs, generation_zero):
    write(docs.validation(["h1", "a2"]), "validate")
    assert "1 of the held-out structures were trained on" in report_page(read_campaign(store))


def test_broken_walks_and_given_up_walkers_are_listed(store, write, docs, finished):
    broken = docs.walk(7, end=40, reason="smallest_distance", gamma_max=9.0, value=0.6)
    write(broken, "explore", 1)
    walker = broken.walker.model_copy(update={"given_up": "9 halts in a row", "steps_done": 33})
    state = finished.state.model_copy(update={"walkers": [walker]})
    write(finished.model_copy(update={"state": state}), "conclude", 1)
    rows = parsed(report_page(read_campaign(store))).rows
    assert ["1", "307 K", "40", "smallest distance", "0.6"] in rows
    assert ["307 K", "33", "9 halts in a row"] in rows


def test_the_page_is_the_same_every_time_and_leaves_matplotlib_alone(store, finished):
    before = dict(matplotlib.rcParams)
    campaign = read_campaign(store)
    assert report_page(campaign) == report_page(campaign)
    assert dict(matplotlib.rcParams) == before


def test_writes_the_file(store, finished, tmp_path):
    path = write_report(store, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.glob("*report*")] == ["report.html"]


def test_says_when_the_file_cannot_be_written(store, tmp_path):
    with pytest.raises(StoreError, match=r"the report cannot be written to .*nowhere"):
        write_report(store, tmp_path / "nowhere" / "report.html")
