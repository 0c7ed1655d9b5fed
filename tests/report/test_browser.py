"""The page in a real browser: drawn, without a word on the console, and loaded anew while a run goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlip_autopipec.report import read_campaign, report_page, write_report

MLIP_AUTO = str(Path(sys.executable).with_name("mlip-auto"))
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--window-size=1280,2400"),
]

browser = pytest.mark.skipif(BROWSER is None, reason="no chromium: make programs (root)")


def look(page, folder, *words):
    """Open a page; return what the browser wrote and what stood on its console."""
    done = subprocess.run(
        [BROWSER, *QUIET, f"--user-data-dir={folder / 'browser'}", *words, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, re.findall(r".*CONSOLE.*", done.stderr)


@browser
def test_the_page_is_drawn_and_the_console_is_empty(store, finished, tmp_path):
    page = write_report(store, tmp_path / "report.html")
    dom, console = look(page, tmp_path, "--dump-dom")
    assert console == []
    assert dom.count("<svg") == page.read_text().count("<svg") > 3
    assert "</html>" in dom
    shot = tmp_path / "shot.png"
    _, console = look(page, tmp_path, f"--screenshot={shot}")
    assert console == []
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (2400, 1280)
    drawn = (pixels < 128).mean(axis=1) > 0.0  # rows with something dark in them
    assert 0.2 < drawn.mean() < 0.9


@browser
def test_a_broken_page_is_noticed(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<html><script>undefinedFunction()</script></html>")
    _, console = look(page, tmp_path, "--dump-dom")
    assert len(console) == 1


def test_a_page_that_is_watched_asks_to_be_loaded_again(store, finished):
    campaign = read_campaign(store)
    assert 'http-equiv="refresh"' not in report_page(campaign)
    assert '<meta http-equiv="refresh" content="5">' in report_page(campaign, refresh=5.0)


def test_watch_rewrites_the_page_when_the_store_changes(store, finished):
    folder = Path(store.docs_store.path).parent
    with subprocess.Popen(
        [MLIP_AUTO, "report", "--watch", "--every", "0.2", "-d", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout.readline().startswith("wrote")
            assert process.stdout.readline().startswith("watching")
            page = folder / "report.html"
            assert "refresh" in page.read_text()
            page.unlink()
            time.sleep(0.5)
            assert not page.exists()  # nothing has changed
            store.update(
                [{"uuid": "new", "index": 1, "completed_at": "9999", "output": None, "metadata": {}}]
            )
            assert "documents: wrote" in process.stdout.readline()
            assert page.exists()
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert 'http-equiv="refresh"' not in page.read_text()
