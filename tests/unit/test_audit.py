import http.server
import json
import time

import pytest

from pipeline.provenance import audit
from tests.servers import serving

ADVISORIES = {
    "A-1": {"affected": [{"package": {"name": "Jinja2"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]},
        {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abcdef"}]},
    ]}]},
    "A-2": {"affected": [{"package": {"name": "numpy"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]},
    "A-3": {"affected": [{"package": {"name": "jupyter-core"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.8.1"}]},
    ]}]},
}  # fmt: skip


class Osv(http.server.BaseHTTPRequestHandler):
    """Answers as OSV does."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {("jinja2", "3.1.2"): ["A-1"], ("numpy", "1.0"): ["A-2"], ("jupyter-core", "5.8.0"): ["A-3"]}
        found = [known.get((one["package"]["name"], one["version"]), []) for one in asked]
        self.answer({"results": [{"vulns": [{"id": name} for name in names]} if names else {} for names in found]})

    def do_GET(self):
        self.answer(ADVISORIES[self.path.rsplit("/", 1)[-1]])

    def answer(self, content):
        body = json.dumps(content).encode() if self.server.kind == "good" else b"<html>"
        self.send_response(404 if self.server.kind == "missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def osv(monkeypatch):
    with serving(Osv, monkeypatch) as running:
        running.kind = "good"
        yield running


@pytest.mark.parametrize(
    ("pins", "status", "said"),
    [
        ("Jinja2==3.1.2  # old\nscipy==1.0", 1, ["jinja2 3.1.2: A-1, mended in 3.1.3", "2 packages, 1 known"]),
        ("Jupyter_Core==5.8.0", 1, ["jupyter-core 5.8.0: A-3, mended in 5.8.1"]),
        ("numpy==1.0", 0, ["numpy 1.0: A-2, not mended yet", "1 packages, 1 known"]),
        ("# numpy==1.0\nscipy==1.0 ; python_version>'3'", 0, ["1 packages, 0 known"]),
    ],
)
def test_vulnerabilities_are_named_and_those_that_can_be_mended_count(osv, tmp_path, capsys, pins, status, said):
    (tmp_path / "r.txt").write_text(pins)
    assert audit.main([str(tmp_path / "r.txt")], osv.url) == status
    output = capsys.readouterr().out
    assert all(text in output for text in said)


@pytest.mark.parametrize("kind", ["missing", "html"])
def test_without_data_the_audit_is_skipped_and_says_so(osv, tmp_path, capsys, kind):
    osv.kind = kind
    (tmp_path / "r.txt").write_text("numpy==1.0")
    assert audit.main([str(tmp_path / "r.txt")], osv.url) == 0
    assert capsys.readouterr().out.startswith("dependency audit skipped: http")


def test_without_a_network_the_audit_is_skipped_soon(tmp_path, capsys, monkeypatch):
    (tmp_path / "r.txt").write_text("numpy==1.0")
    monkeypatch.setattr(audit, "TIMEOUT_S", (1.0, 1.0))
    started = time.monotonic()
    # A discard port that nobody listens to.
    assert audit.main([str(tmp_path / "r.txt")], "http://127.0.0.1:9") == 0
    assert time.monotonic() - started < 20
    assert "skipped" in capsys.readouterr().out
