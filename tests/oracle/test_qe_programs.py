from mlip_autopipec.oracle.qe_programs import which_pseudo_dir, which_pw


def test_which_pw_says_where_from(machine, monkeypatch, tmp_path):
    assert which_pw().value is None
    python = machine / "qepy" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    found = which_pw()
    assert (found.value, found.reason) == (f"{python} -I -m qepy --pw.x", "installed by `mlip-auto setup qe`")
    on_path = tmp_path / "bin" / "pw.x"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert which_pw().reason == f"found on PATH: {on_path}"
    monkeypatch.setenv("MLIP_AUTO_PW_COMMAND", "mpirun -np 2 pw.x")
    assert which_pw().value == "mpirun -np 2 pw.x"


def test_which_pseudo_dir_says_where_from(machine, make_upf, monkeypatch):
    assert which_pseudo_dir().reason == "installed by `mlip-auto setup qe`"
    monkeypatch.setenv("MLIP_AUTO_PSEUDO_DIR", "/somewhere")
    assert which_pseudo_dir().value == "/somewhere"
