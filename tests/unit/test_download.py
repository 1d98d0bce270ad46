import gzip
import hashlib
import http.server
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import download
from pipeline.data.download import DownloadError, fetch_gzip
from pipeline.data.idx import parse_idx
from pipeline.errors import UserError
from tests.servers import serving

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "a.gz"


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers by the first part of the path: good, damaged, cut (ends early), refuse or hang."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        self.server.asked.append(kind)
        body = gzip.compress(CONTENT if kind != "damaged" else CONTENT[:-1])
        if kind == "hang":
            self.server.stop.wait(20)
            return
        self.send_response(503 if kind == "refuse" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "cut" else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", (1.0, 0.5))
    with serving(Mirror, monkeypatch) as running:
        running.asked = []
        yield running


def test_a_good_file_is_fetched_once_and_kept(server, tmp_path):
    assert fetch_gzip(NAME, MD5, [f"{server.url}/good"], tmp_path) == CONTENT
    assert fetch_gzip(NAME, MD5, [f"{server.url}/good"], tmp_path) == CONTENT
    assert server.asked == ["good"]
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("damaged", "MD5 of its content"),
        ("cut", "the connection ended early"),
        ("refuse", "answered with status 503"),
        ("hang", "timed out"),
    ],
)
def test_a_bad_home_is_tried_twice_named_and_leaves_nothing(server, tmp_path, kind, reason):
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch_gzip(NAME, MD5, [f"{server.url}/{kind}"], tmp_path)
    assert server.asked == [kind, kind]
    assert os.listdir(tmp_path) == []
    assert f"put the file into {tmp_path} by hand" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_next_home_is_asked(server, tmp_path):
    homes = [f"{server.url}/refuse", f"{server.url}/good"]
    assert fetch_gzip(NAME, MD5, homes, tmp_path, mirror=f"{server.url}/damaged") == CONTENT
    assert server.asked == ["damaged", "damaged", "refuse", "refuse", "good"]


def test_a_closed_port_is_a_sentence(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match="could not be had .*no connection to it"):
        fetch_gzip(NAME, MD5, [f"http://127.0.0.1:{port}"], tmp_path)


def test_a_folder_serves_as_mirror_whatever_its_gzip_headers(tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with open(mirror / NAME, "wb") as raw, gzip.GzipFile("other name", "wb", 1, raw, mtime=7) as file:
        file.write(CONTENT)
    assert fetch_gzip(NAME, MD5, [], tmp_path / "kept", mirror=str(mirror)) == CONTENT
    assert not (tmp_path / "kept").exists()


def test_a_damaged_kept_file_is_replaced(server, tmp_path):
    (tmp_path / NAME).write_bytes(gzip.compress(CONTENT)[:-20])
    assert fetch_gzip(NAME, MD5, [f"{server.url}/good"], tmp_path) == CONTENT
    assert server.asked == ["good"]


def test_idx_files_are_parsed_and_checked():
    header = b"\x00\x00\x08\x02" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big")
    assert np.array_equal(parse_idx(header + bytes(range(6))), np.arange(6).reshape(2, 3))
    for broken, sentence in [
        (b"", "not an idx"),
        (b"\x00\x00\x0d\x01", "not an idx"),
        (header[:6], "header"),
        (header + b"123", "does not hold 3"),
    ]:
        with pytest.raises(UserError, match=sentence):
            parse_idx(broken)


OFFLINE = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (OFFLINE / "mnist").is_dir(), reason="needs a folder with the official MNIST files")
@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_official_files_become_a_dataset(tmp_path, source):
    from pipeline.results.shared import read_split
    from pipeline.store import Provenance
    from scripts.data.fetch_idx import fetch_idx

    output = str(tmp_path / "a.h5")
    fetch_idx(output=output, source=source, train=300, test=None, seed=0, provenance=Provenance(), mirror=str(OFFLINE))
    train, test = read_split(output, "train"), read_split(output, "test")
    assert train.images.shape == (300, 1, 28, 28)
    assert test.images.shape == (10000, 1, 28, 28)
    # Both test sets hold every class about equally often (Fashion-MNIST: exactly 1000).
    counts = np.bincount(test.labels)
    assert counts.sum() == 10000
    assert counts.min() > 850
    assert list(train.labels[:3]) == ([5, 0, 4] if source == "mnist" else [9, 0, 0])
