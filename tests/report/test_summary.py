from mlip_autopipec.report import Campaign, read_campaign, summary_text


def test_sums_a_finished_campaign_up(store, finished):
    lines = summary_text(read_campaign(store)).splitlines()
    assert lines == [
        "campaign     Cu, finished: no walk met anything uncertain any more",
        "oracle       ase:emt 3.29.0 (an interatomic model, not DFT)",
        "labels       3 training, 2 validation (1 shared with training, not computed again), 1 failed",
        "generations  2, with 3 walks over 0.4 ps, 1 halted",
        "gamma        largest 12.5 in generation 0, 1.75 in generation 1",
        "halt rate    below 3.74e+04 per ns (95 %): none in 1 runs, 0.08 ps",
        "errors                   structures         energy RMSE      force RMSE    largest force error",
        "             training             3       2.34 meV/atom     0.0567 eV/Å              0.17 eV/Å",
        "             held-out             1      0.432 meV/atom     0.0321 eV/Å            0.0963 eV/Å",
        "validation   pass  held-out energy RMSE   0.000432  limit 0.005 eV/atom",
        "             pass  bulk modulus              141.7  limit 137.9 ± 11 GPa",
        "             pass  lost atoms in NVE             0  limit 0",
        "wall time    oracle 6 s training, 2 s validation; fits 10 s; MD 90 s (summed over jobs)",
        "verdict      the potential passed the validation",
    ]


def test_sums_an_unfinished_campaign_up(store, generation_zero):
    lines = summary_text(read_campaign(store)).splitlines()
    assert lines[0] == "campaign     Cu, unfinished, in generation 0"
    assert "gamma        largest 12.5 in generation 0" in lines
    assert not any(line.startswith("validation") for line in lines)
    assert lines[-1] == "verdict      the potential is not validated yet"


def test_an_empty_campaign_has_no_numbers():
    assert summary_text(Campaign()).splitlines() == [
        "campaign     empty, no label has finished yet",
        "labels       0 training, 0 validation",
        "verdict      the potential is not validated yet",
    ]


def test_stays_short_and_shows_first_what_did_not_pass(store, write, docs, generation_zero):
    checks = [docs.check(f"check {n} " + 90 * "x", 1.0, 2.0, "eV") for n in range(60)]
    checks[50] = docs.check("the bad one", 3.0, 2.0, "eV", "warn")
    write(docs.validation(checks=checks, verdict="warn"), "validate")
    lines = summary_text(read_campaign(store)).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert next(line for line in lines if line.startswith("validation")).split()[1:5] == [
        "warn", "the", "bad", "one",
    ]  # fmt: skip
    assert "… and 40 more, see the report" in "\n".join(lines)
    assert lines[-1].endswith("passed the validation with warnings")
