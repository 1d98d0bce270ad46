"""Mirrors that cut, refuse, stall, drip or answer with something else: the job says so, and goes on to the next source."""

import gzip
import hashlib
import http.server
import time

import pytest

from pipeline.data import download
from pipeline.data.download import DownloadError, fetch_gzip
from tests.faults.branch import Branch
from tests.faults.kills import unexplained
from tests.servers import serving

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()
OVERLAY = """
mirror: {mirror}
datasets: {{digits: {{source: mnist, train: 100, test: 100}}}}
"""


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        body = gzip.compress(CONTENT, mtime=0)
        if kind == "refused":
            self.send_response(404)
            self.end_headers()
            return
        if kind == "error":
            self.send_response(500)
            self.end_headers()
            return
        if kind == "page":
            body = b"<html>Please log in to this network</html>"
        if kind == "other":
            body = gzip.compress(CONTENT[::-1], mtime=0)
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", "some" if kind == "nonsense" else str(len(body)))
        self.end_headers()
        try:
            if kind == "cut":
                self.wfile.write(body[: len(body) // 2])
            elif kind == "stalled":
                self.wfile.write(body[:10])
                self.server.stop.wait(20)
            elif kind == "dripping":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if self.server.stop.wait(0.05):
                        return
            else:
                self.wfile.write(body)
        except OSError:
            pass  # The other side has left.


@pytest.fixture
def server(monkeypatch):
    with serving(Mirror, monkeypatch) as running:
        yield running


REASONS = {
    "refused": "it answered with status 404",
    "error": "it answered with status 500",
    "page": "truncated or damaged (Not a gzipped file",
    "other": "is damaged: the MD5 of its content is",
    "cut": "the connection ended",
    "stalled": "timed out without an answer",
    "dripping": "it sent only",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_bad_mirror_is_left_for_the_next_source(server, tmp_path, monkeypatch, caplog, kind):
    monkeypatch.setattr(download, "TIMEOUT_S", (1.0, 0.4))
    monkeypatch.setattr(download, "PATIENCE_S", 0.5)
    begin = time.monotonic()
    assert fetch_gzip("a.gz", MD5, [f"{server.url}/good"], tmp_path, mirror=f"{server.url}/{kind}") == CONTENT
    assert time.monotonic() - begin < 15
    assert REASONS[kind] in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["a.gz"]


def test_a_length_that_is_no_number_is_ignored(server, tmp_path):
    assert fetch_gzip("a.gz", MD5, [f"{server.url}/nonsense"], tmp_path) == CONTENT


def test_all_sources_bad_is_one_sentence_with_what_to_do(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", (1.0, 0.4))
    with pytest.raises(DownloadError) as caught:
        fetch_gzip("a.gz", MD5, [f"{server.url}/cut", f"{server.url}/page"], tmp_path, mirror=f"{server.url}/error")
    sentence = str(caught.value)
    assert all(f"{server.url}/{kind}" in sentence for kind in ("cut", "page", "error"))
    assert f"put the file into {tmp_path} by hand or set `mirror`" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["refused", "cut", "page", "other"])
def test_the_workflow_says_where_to_put_what_it_could_not_fetch(server, tmp_path, kind):
    branch = Branch(tmp_path / "work")
    # The public homes are out of reach for this run, whether or not the machine has a network.
    away = {"https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}
    overlay = OVERLAY.format(mirror=f"{server.url}/{kind}")
    status, printed = branch.run("results/data/digits.h5", overlay=overlay, environment=away)
    assert status == 1
    assert "could not be had (" in printed
    assert "by hand or set `mirror` to a folder that holds it" in printed
    assert unexplained(printed) == []
    assert branch.leftovers() == []
    assert not [path for path in branch.folder.rglob("*.gz*")]
