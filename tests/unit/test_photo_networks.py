import copy
import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.networks import photos as photo_networks
from neighborhoods.networks.architectures import build, read_state_dict, restore, weights_of
from neighborhoods.networks.photos import CifarResNet, Normalized, published_weights
from neighborhoods.networks.vision import torchvision_models
from neighborhoods.training.minibatch import predict
from pipeline.data.cifar import ARCHIVES, read_archive
from pipeline.data.download import DownloadError, digested
from pipeline.data.photos import decode, packaged_imagenet
from pipeline.results.shared import read_network, read_split
from pipeline.store import Provenance, writing
from scripts.data.fetch_cifar import fetch_cifar
from scripts.train.import_weights import import_weights

LITE = {"input_shape": [3, 224, 224], "classes": 1000, "architecture": "efficientnet_lite0"}


def test_efficientnet_is_right_on_at_least_17_of_the_packaged_photos():
    photos = packaged_imagenet()
    network = restore(LITE, read_state_dict(str(published_weights("efficientnet_lite0").file)))
    pixels = torch.from_numpy(decode(photos.files, 224, 256))
    assert int((predict(network, pixels) == torch.tensor(photos.labels)).sum()) >= 17


def test_normalisation_is_part_of_the_network():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4, 5))
    network = Normalized(inner, (0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    x = torch.rand(6, 3, 2, 2)
    by_hand = torch.stack([(x[:, i] - m) / s for i, (m, s) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0)))], 1)
    torch.testing.assert_close(network(x), inner(by_hand))
    assert set(network.state_dict()) == {"network.1.weight", "network.1.bias"}
    with pytest.raises(ValueError, match="one positive std for each mean"):
        Normalized(inner, (0.1, 0.2, 0.3), (0.5, 0.0, 1.0))


def test_any_architecture_can_have_a_normalisation():
    settings = {"input_shape": (3, 4, 4), "classes": 3, "architecture": "fully_connected"}
    torch.manual_seed(0)
    network = build(**settings, normalization={"mean": [0.5] * 3, "std": [0.25] * 3})
    x = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(network(x), network.network((x - 0.5) / 0.25))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "shufflenet_v2_x0_5"])
def test_weights_of_torchvision_fit_by_their_own_names(name, tmp_path):
    torch.manual_seed(0)
    reference = torchvision_models().get_model(name, weights=None).eval()
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    settings = {"input_shape": [3, 224, 224], "classes": 1000, "architecture": "torchvision", "name": name}
    network = restore(settings, read_state_dict(str(tmp_path / "weights.pth")))
    x = torch.rand(2, 3, 224, 224)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference((x - mean) / std), rtol=1e-4, atol=1e-5)
    # What is stored has the names of the network as a whole.
    torch.testing.assert_close(restore(settings, weights_of(network))(x), network(x))


def test_torchvision_names_its_published_weights():
    vgg, resnet = published_weights("torchvision", "vgg16"), published_weights("torchvision", "resnet18")
    assert (vgg.name, len(vgg.sha256)) == ("vgg16-397923af.pth", 64)
    assert vgg.sha256.startswith("397923af")
    assert resnet.sha256 == resnet.name.removesuffix(".pth").split("-")[1]
    with pytest.raises(ValueError, match="no published weights are known of 'vgg17'"):
        published_weights("torchvision", "vgg17")
    with pytest.raises(ValueError, match="no classifier 'vgg17'"):
        build((3, 224, 224), 10, architecture="torchvision", name="vgg17")


@pytest.mark.parametrize(("depth", "parameters"), [(20, 0.27e6), (56, 0.85e6), (110, 1.7e6)])
def test_residual_networks_have_the_published_sizes(depth, parameters):
    # He et al. 2016, table 6.
    network = CifarResNet(depth, 10)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=0.03)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth


def test_a_residual_network_of_another_depth_is_refused():
    with pytest.raises(ValueError, match="6 n \\+ 2 layers, found 21"):
        CifarResNet(21, 10)
    with pytest.raises(ValueError, match="needs images \\(3, rows, columns\\)"):
        build((1, 28, 28), 10, architecture="cifar_resnet")


def test_shortcuts_carry_the_image_where_convolutions_are_zero():
    network = CifarResNet(8, 10).eval()
    block = copy.deepcopy(network.layer2[0])
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 16, 8, 8)
    out = block(x)
    assert out.shape == (2, 32, 4, 4)
    torch.testing.assert_close(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


@pytest.mark.parametrize(("classes", "parameters"), [(10, 11_173_962), (100, 11_220_132)])
def test_the_resnet18_of_cifar_has_a_small_stem_and_no_pool(classes, parameters):
    # The first number is that of the PyTorch networks for CIFAR-10 of this kind; a class has 512 weights and a bias.
    network = build((3, 32, 32), classes, architecture="cifar_resnet18").eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    found = {}
    for name, module in network.named_children():
        module.register_forward_hook(lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])}))
    x = torch.rand(2, 3, 32, 32)
    assert network(x).shape == (2, classes)
    assert network.conv1.weight.shape == (64, 3, 3, 3)
    assert found["conv1"] == found["maxpool"] == found["layer1"] == (64, 32, 32)
    assert found["layer2"] == (128, 16, 16)
    assert found["layer3"] == (256, 8, 8)
    assert found["layer4"] == (512, 4, 4)


def test_the_resnet18_of_cifar_sees_pixels_unless_told_otherwise():
    normalization = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    settings = {"input_shape": [3, 32, 32], "classes": 10, "architecture": "cifar_resnet18"}
    torch.manual_seed(0)
    bare = build(**settings).eval()
    scaled = restore({**settings, "normalization": normalization}, weights_of(bare))
    x = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(normalization[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    # Eighteen layers in single precision.
    torch.testing.assert_close(scaled(x), bare((x - mean) / std), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"cifar_resnet18 needs images \(3, rows, columns\), found \(1, 28, 28\)"):
        build((1, 28, 28), 10, architecture="cifar_resnet18")


def archive(path, source, records=7, name=None):
    """An archive of the layout that its page describes: one label or two before each image."""
    generator = np.random.default_rng(0)
    made = {}
    known = ARCHIVES[source]
    with tarfile.open(path, "w:gz") as file:

        def add(member, content):
            info = tarfile.TarInfo(name or member)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))

        for split, members in known.members.items():
            rows = []
            for member in members:
                coarse, labels = generator.integers(0, 10, (2, records), np.uint8)
                images = generator.integers(0, 256, (records, 3, 32, 32), np.uint8)
                heads = [
                    [label] if source == "cifar10" else [over, label]
                    for over, label in zip(coarse, labels, strict=True)
                ]
                add(member, b"".join(bytes(head) + image.tobytes() for head, image in zip(heads, images, strict=True)))
                rows.append((images, labels))
            made[split] = [np.concatenate(part) for part in zip(*rows, strict=True)]
        if source == "cifar100":
            add(known.classes, "\n".join(f"class_{i}" for i in range(100)).encode() + b"\n")
    return made, hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("source", "classes", "third"), [("cifar10", 10, "cat"), ("cifar100", 100, "class_3")])
def test_the_archive_of_cifar_becomes_images_and_labels(tmp_path, source, classes, third):
    (tmp_path / "mirror" / source).mkdir(parents=True)
    made, md5 = archive(tmp_path / "mirror" / source / ARCHIVES[source].file, source)
    settings = {"source": source, "train": None, "test": 5, "seed": 0, "provenance": Provenance(), "md5": md5}
    fetch_cifar(
        output=str(tmp_path / "c.h5"), mirror=str(tmp_path / "mirror"), downloads=str(tmp_path / "d"), **settings
    )
    train, test = (read_split(tmp_path / "c.h5", split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.images, made["train"][0])
    np.testing.assert_array_equal(train.labels, made["train"][1])
    np.testing.assert_array_equal(test.images, made["test"][0][:5])
    assert (len(test.classes), test.classes[3]) == (classes, third)


def test_a_wrong_archive_is_one_sentence(tmp_path):
    known = ARCHIVES["cifar10"]
    _, md5 = archive(tmp_path / "a.tar.gz", "cifar10", name="other.bin")
    with pytest.raises(DownloadError, match="not the binary version of CIFAR-10"):
        read_archive(tmp_path / "a.tar.gz", known, md5)
    with pytest.raises(DownloadError, match="is damaged: its MD5 is"):
        read_archive(tmp_path / "a.tar.gz", known)
    with pytest.raises(DownloadError, match="does not exist"):
        digested(tmp_path / "none", "md5", "0")


def test_published_weights_come_from_the_mirror_when_their_checksum_is_right(tmp_path, monkeypatch):
    torch.manual_seed(0)
    name = "squeezenet1_1"
    file = tmp_path / "mirror" / "weights" / published_weights("torchvision", name).name
    file.parent.mkdir(parents=True)
    torch.save(torchvision_models().get_model(name, weights=None, num_classes=4).state_dict(), file)
    with writing(tmp_path / "data.h5", Provenance()) as data:
        data.put("classes", list("abcd"), "name of each class", ("class",))
        data.put("x_test", np.zeros((2, 3, 64, 64), np.uint8), "x", ("image", "channel", "row", "column"))
        for key in ("y_test", "order_test"):
            data.put(key, np.arange(2), "y", ("image",))
    monkeypatch.setattr("pipeline.data.download._download", lambda url, target: target.write_bytes(b"damaged"))
    (tmp_path / "downloads" / "weights").mkdir(parents=True)
    settings = {
        "data": str(tmp_path / "data.h5"), "output": str(tmp_path / "model.h5"), "seed": 0, "provenance": Provenance(),
        "network": {"architecture": "torchvision", "name": name}, "mirror": str(tmp_path / "mirror"),
        "downloads": str(tmp_path / "downloads"),
    }  # fmt: skip
    with pytest.raises(DownloadError, match="is damaged: its SHA256 is"):
        import_weights(**settings)
    assert not (tmp_path / "model.h5").exists()
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(photo_networks.SHA256, file.name, sha)
    import_weights(**settings)
    found = read_network(tmp_path / "model.h5")
    assert found.settings["name"] == name
    assert all(key.startswith("network.") for key in found.weights)
