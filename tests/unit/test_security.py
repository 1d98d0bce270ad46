"""What docs/security.md promises: nothing is unpickled, unpacked onto the disk, run, or taken without a checksum."""

import ast
import gzip
import hashlib
import io
import os
import pickle
import re
import tarfile
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from neighborhoods.networks.architectures import read_state_dict
from neighborhoods.networks.photos import SHA256, published_weights, torchvision_models
from pipeline.config.attack_settings import OWN_METHOD
from pipeline.config.schema import ConfigError, load_schema, resolve
from pipeline.data import cifar, download
from pipeline.data.cifar import ARCHIVES, read_archive
from pipeline.data.download import DownloadError, unpack
from pipeline.data.idx import COLLECTIONS, FILES
from pipeline.data.photos import PhotoError, decode, photos_below
from pipeline.yaml_files import LOADER, read_yaml
from tests.conftest import Checkout

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    *ROOT.glob("Snakefile"),
    *ROOT.glob("rules/*.smk"),
    *(
        path
        for folder in ("pipeline", "neighborhoods", "scripts", "benchmarks")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ),
]
# Calls that run or unpickle what they are given, by the end of their dotted name, and where one is meant.
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "joblib.load",
    "shelve.open", "marshal.loads", "yaml.full_load", "yaml.unsafe_load", "extractall", "unpack_archive",
    "hub.load", "urllib.request.urlopen", "urlretrieve",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "telnetlib", "ftplib"}


def calls(path):
    """Dotted names of all calls in a file of Python, with the keywords of each."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        # Rules are no Python: names alone.
        return [(name, {}) for name in re.findall(r"([A-Za-z_][\w.]*)\s*\(", text)], set(
            re.findall(r"import (\w+)", text)
        )
    found, imported = [], set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            found.append((ast.unparse(node.func), keywords))
        elif isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    return found, imported


def test_no_code_unpickles_or_runs_what_it_reads():
    for path in CODE:
        check_calls(path)


def check_calls(path):
    found, imported = calls(path)
    assert not imported & MODULES, path
    for name, keywords in found:
        # `network.eval()` is torch's evaluation mode.
        parts = name.split(".")
        short = {name, ".".join(parts[-2:]), parts[-1]} - ({"eval"} if len(parts) > 1 else set())
        short -= {"compile"} if len(parts) > 1 else set()
        assert not short & FORBIDDEN, f"{path}: {name}"
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", path
        if name == "np.load":
            assert keywords.get("allow_pickle") == "False", path
        if name == "yaml.load":
            assert keywords.get("Loader") == "LOADER", path
            assert path.name == "yaml_files.py", path
        assert keywords.get("shell", "False") == "False", path


def test_the_only_other_loader_of_yaml_is_a_safe_one(tmp_path):
    assert issubclass(LOADER, yaml.constructor.SafeConstructor)
    (tmp_path / "a.yaml").write_text(f"!!python/object/apply:os.mkdir [{tmp_path / 'proof'}]")
    with pytest.raises(yaml.YAMLError):
        read_yaml(tmp_path / "a.yaml")
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_no_rule_runs_a_shell():
    for path in ROOT.glob("rules/*.smk"):
        assert not re.search(r"^\s*(shell|run)\s*:", path.read_text(), re.M), path


# Only these take a name from the configuration for code, and nothing else may.
FACTORIES = {"models.*.factory", "attacks.*.method"}


def test_only_factories_name_code():
    patterns = {}

    def walk(node, where):
        if ":[A-Za-z_]" in node.get("pattern", ""):
            patterns[where] = node["pattern"]
        for key, sub in node.get("properties", {}).items():
            walk(sub, f"{where}.{key}" if where else key)
        if isinstance(node.get("additionalProperties"), dict):
            walk(node["additionalProperties"], f"{where}.*")

    walk(load_schema(), "")
    assert set(patterns) == FACTORIES - {"attacks.*.method"}
    assert re.fullmatch(OWN_METHOD, "a.b:c")
    for text in ("a;b:c", "a:b()", "a:b.c", "os.system('x'):y", ":b", "a:", "a:b\n", "../a:b", "torchattacks.A.b"):
        assert not re.fullmatch(OWN_METHOD, text)


class Harmful:
    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_weights_that_would_run_code_do_not(tmp_path):
    import torch

    path, proof = tmp_path / "a.pt", tmp_path / "proof"
    for content in ({"a": Harmful(proof)}, Harmful(proof), [Harmful(proof)]):
        for options in ({}, {"_use_new_zipfile_serialization": False}):
            torch.save(content, path, **options)
            with pytest.raises(ValueError, match=r"a\.pt: not a file of tensors saved by torch"):
                read_state_dict(str(path))
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=r"a\.pt: not a file of tensors saved by torch"):
            read_state_dict(str(path))
    assert not proof.exists()
    # What would have happened elsewhere.
    pickle.loads(pickle.dumps(Harmful(proof)))
    assert proof.exists()


def test_tensors_that_are_not_what_they_say_get_a_sentence(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    torch.save({"a": torch.rand(3).to_sparse()}, path)
    with pytest.raises(ValueError, match="expected dense tensors"):
        read_state_dict(str(path))
    torch.save({"a": torch.rand(2), "b": "text"}, path)
    with pytest.raises(ValueError, match="expected a state_dict of tensors"):
        read_state_dict(str(path))
    # One number seen a million million times takes no memory until somebody copies it, and the shape decides first.
    torch.save({"a": torch.rand(1).expand(1 << 40)}, path)
    assert read_state_dict(str(path))["a"].shape == (1 << 40,)
    # A bomb: a megabyte of zeros a thousand times.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 26))
    with pytest.raises(ValueError, match="not a file of tensors"):
        read_state_dict(str(path))


def hostile_members(outside):
    """Members of an archive that would leave its folder, or are no files."""
    for name in ("../evil", str(outside / "evil"), "a/../../evil"):
        yield tarfile.TarInfo(name), b"evil"
    for kind, target in ((tarfile.SYMTYPE, str(outside)), (tarfile.LNKTYPE, "/etc/passwd")):
        link = tarfile.TarInfo("link")
        link.type, link.linkname = kind, target
        yield link, b""
    yield tarfile.TarInfo("link/evil"), b"evil"
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        device = tarfile.TarInfo("device")
        device.type, device.devmajor, device.devminor = kind, 1, 3
        yield device, b""


def archive_with(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_archives_are_read_and_never_unpacked(tmp_path):
    outside = tmp_path / "outside"
    (tmp_path / "inside").mkdir()
    outside.mkdir()
    path = tmp_path / "inside" / "a.tar.gz"
    plain = [(tarfile.TarInfo(name), bytes(3073)) for names in ARCHIVES["cifar10"].members.values() for name in names]
    md5 = archive_with(path, [*hostile_members(outside), *plain])
    found = read_archive(path, ARCHIVES["cifar10"], md5)
    assert [len(labels) for _, labels in found.splits.values()] == [5, 1]
    assert sorted(os.listdir(tmp_path)) == ["inside", "outside"]
    assert os.listdir(tmp_path / "inside") == ["a.tar.gz"]
    assert os.listdir(outside) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_members_that_are_no_files_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    member.type, member.linkname, member.devmajor, member.devminor = kind, "/etc/passwd", 1, 5
    md5 = archive_with(tmp_path / "a.tar.gz", [(member, b"")])
    with pytest.raises(DownloadError, match="is not the binary version of CIFAR-10"):
        read_archive(tmp_path / "a.tar.gz", ARCHIVES["cifar10"], md5)


def test_an_archive_is_not_opened_before_its_checksum_is_right(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar.tarfile, "open", lambda **options: pytest.fail("opened"))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(100)))
    with pytest.raises(DownloadError, match="is damaged: its MD5 is"):
        read_archive(tmp_path / "a.tar.gz", ARCHIVES["cifar10"])


def test_a_bomb_among_downloads_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    with gzip.open(path, "w", 9) as file:
        for _ in range(130):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DownloadError, match="unpacks to more than 134,217,728 bytes"):
        unpack(path, "0" * 32)


def test_every_public_home_has_https_and_a_checksum():
    for collection in COLLECTIONS.values():
        assert all(home.startswith("https://") for home in collection.homes)
        assert collection.md5.keys() == FILES.keys()
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in collection.md5.values())
    assert all(home.startswith("https://") for home in cifar.HOMES)
    assert all(re.fullmatch("[0-9a-f]{32}", archive.md5) for archive in ARCHIVES.values())
    models = torchvision_models()
    for name in models.list_models(module=models):
        place = published_weights("torchvision", name)
        assert place.home.startswith("https://")
        # All digits of those that the sources use, else those that torchvision's file names hold.
        assert re.fullmatch("[0-9a-f]{64}" if place.name in SHA256 else "[0-9a-f]{8,}", place.sha256), name


def test_no_other_address_is_fetched():
    plain = {path: re.findall(r"http://[^\s\"')]+", path.read_text(encoding="utf-8")) for path in CODE}
    assert plain
    assert {path: found for path, found in plain.items() if found} == {}


# Where the answer comes from in the end, and by way of.
@pytest.mark.parametrize("places", [["http://elsewhere/a"], ["http://elsewhere/a", "https://home/b"]])
def test_a_home_that_leads_away_from_https_is_refused(tmp_path, monkeypatch, places):
    class Answer(io.BytesIO):
        url, headers, raw = places[-1], {}, None
        history = [SimpleNamespace(url=place) for place in ["https://home/a", *places[:-1]]]
        raise_for_status = staticmethod(lambda: None)

    monkeypatch.setattr(download.requests, "get", lambda url, **options: Answer())
    with pytest.raises(DownloadError, match="it leads to http://elsewhere/a, which is not HTTPS"):
        download._download("https://home/a", tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_an_answer_without_end_is_cut(tmp_path, monkeypatch):
    class Raw:
        def read1(self, size, decode_content):
            return bytes(size)

    class Answer(io.BytesIO):
        url, headers, history, raw = "https://home/a", {}, [], Raw()
        raise_for_status = staticmethod(lambda: None)

    monkeypatch.setattr(download.requests, "get", lambda url, **options: Answer())
    monkeypatch.setattr(download, "MOST_BYTES", 1 << 22)
    with pytest.raises(DownloadError, match="does not end after 4,194,304 bytes"):
        download._download("https://home/a", tmp_path / "a")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["EPS", "PDF", "GIF", "TIFF", "PPM"])
def test_photos_of_other_formats_are_not_opened(tmp_path, kind):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(path, kind)
    with pytest.raises(PhotoError, match=r"a\.jpg: not a readable photo"):
        decode([path], 8, 8)


def test_a_bomb_among_photos_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(PhotoError, match="exceeds limit"):
        decode([path], 8, 8)


TEMPLATES = ["{dataset}", "{0.__class__}", "{__import__('os')}", "{wildcards.dataset}", "{{}}"]
HARMLESS = ["$(touch proof)", "`touch proof`", "; touch proof", "%(x)s", "$HOME", "__class__", "*"]


@pytest.mark.parametrize("section", ["datasets", "models", "attacks"])
def test_names_are_letters_digits_and_dashes(section):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    names = [
        *TEMPLATES,
        "$(id)",
        "`id`",
        "; id",
        "%(x)s",
        "../up",
        "a/b",
        "a b",
        ".",
        "..",
        "a.b",
        "ü",
        "~",
        "",
        "-x\u2028",
    ]
    config[section] |= dict.fromkeys(names, next(iter(config[section].values())))
    with pytest.raises(ConfigError) as caught:
        resolve(config)
    refused = [line for line in caught.value.lines if "cannot name a result file" in line]
    assert len(refused) == len(names)


def test_paths_hold_no_templates():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for text in TEMPLATES:
        config["datasets"]["own"] = {"source": "hdf5", "file": text, "folder": text}
        config["models"]["own"] = {"architecture": "bell_cnn", "weights": text}
        with pytest.raises(ConfigError) as caught:
            resolve(config)
        expected = [f"{key}: expected text that matches ^[^{{}}]*$" for key in ("file", "folder", "weights")]
        assert all(any(one in line for line in caught.value.lines) for one in expected)


def test_texts_of_a_configuration_are_never_expanded(tmp_path):
    """Files whose names are commands or patterns are looked for under just these names."""
    checkout = Checkout(tmp_path / "checkout")
    files = [f"{text}.h5" for text in HARMLESS]
    names = [f"own{i}" for i in range(len(files))]
    cell = {"model": "fc-100-20-10", "attack": "igsm-all", "measure": ["stability"]}
    overlay = {
        "datasets": {name: {"source": "hdf5", "file": file} for name, file in zip(names, files, strict=True)},
        "experiments": [{"dataset": name, **cell} for name in names],
        "artefacts": [],
        "path_kernel": {"run": []},
    }
    for file in files:
        (checkout.folder / file).write_bytes(b"")
    overlay_file = checkout.overlay(yaml.safe_dump(overlay))
    run = checkout.forked_snakemake("--dry-run", "--cores", "1", "--configfile", overlay_file)
    assert run.returncode == 0, run.stdout
    for file in files:
        assert f"input: {file}" in run.stdout
    assert not (checkout.folder / "proof").exists()


def test_photos_with_braces_in_their_names_get_a_sentence(tmp_path):
    (tmp_path / "{a}.jpg").write_bytes(b"")
    with pytest.raises(PhotoError, match="expected a name without braces"):
        photos_below(tmp_path)
