import numpy as np
import pytest
import torch
from PIL import Image

from neighborhoods.networks.vision import imagenet_classes, torchvision_models
from pipeline.data.photos import chosen, decode, find_photos, packaged_imagenet, photos_below, synset_numbers
from pipeline.errors import UserError
from pipeline.results.shared import read_split
from pipeline.store import Provenance
from scripts.data.import_photos import import_photos

SETTINGS = {"train": None, "test": None, "only": [], "size": 32, "resize": 40, "interpolation": "bicubic", "seed": 0}


def photo(path, size=(60, 48), colour=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(abs(hash(path.name)) % 1000).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels if colour is None else np.full_like(pixels, colour)).save(path)
    return path


def stored(tmp_path, **settings):
    output = tmp_path / "out.h5"
    import_photos(output=str(output), provenance=Provenance(), **SETTINGS | settings)
    return {split: read_split(output, split) for split in ("train", "test")}


def test_synsets_are_the_classes_of_imagenet():
    numbers, names = synset_numbers(), imagenet_classes()
    assert len(numbers) == len(names) == 1000
    assert list(numbers) == sorted(numbers)
    known = {"n01440764": "tench", "n01531178": "goldfinch", "n02123045": "tabby", "n15075141": "toilet tissue"}
    assert {synset: names[numbers[synset]] for synset in known} == known


@pytest.mark.parametrize("resampling", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(60, 48), (48, 61), (33, 33), (500, 90)])
def test_pixels_are_those_of_torchvision(tmp_path, size, resampling):
    torchvision_models()
    from torchvision.transforms import functional

    path = photo(tmp_path / "a.png", size)
    with Image.open(path) as image:
        resized = functional.resize(image, 40, functional.InterpolationMode(resampling))
        expected = functional.pil_to_tensor(functional.center_crop(resized, 32))
    assert torch.equal(torch.from_numpy(decode([path], 32, 40, resampling)[0]), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_kind_of_photo_becomes_three_colours(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("L", "CMYK") else "a.png")
    Image.new("RGB", (50, 50), (200, 100, 50)).convert(mode).save(path)
    pixels = decode([path], 32, 40)
    assert pixels.shape == (1, 3, 32, 32)
    if mode != "L":
        assert np.abs(pixels[0].mean((1, 2)) - [200, 100, 50]).max() < 30


def test_folders_of_synsets_and_names_that_begin_with_them_are_imagenet(tmp_path):
    photo(tmp_path / "a" / "n01531178" / "1.jpg")
    photo(tmp_path / "a" / "n01440764" / "deep" / "2.JPEG")
    photo(tmp_path / "b" / "n01531178_goldfinch.jpg")
    found = find_photos(tmp_path / "a")
    assert set(found) == {"test"}
    assert (found["test"].labels, found["test"].classes) == ([0, 11], None)
    assert find_photos(tmp_path / "b")["test"].labels == [11]
    splits = stored(tmp_path, folder=str(tmp_path / "a"))
    assert splits["test"].images.shape == (2, 3, 32, 32)
    assert splits["train"].images.shape == (0, 3, 32, 32)
    assert [splits["test"].classes[label] for label in splits["test"].labels] == ["tench", "goldfinch"]


def test_folders_of_own_classes_have_one_numbering_in_both_splits(tmp_path):
    for split, names in (("train", "abc"), ("val", "ac")):
        for name in names:
            photo(tmp_path / "own" / split / name / "1.png")
    splits = stored(tmp_path, folder=str(tmp_path / "own"))
    assert splits["train"].classes == ["a", "b", "c"]
    assert splits["train"].labels.tolist() == [0, 1, 2]
    assert splits["test"].labels.tolist() == [0, 2]


def test_classes_and_numbers_of_photos_can_be_limited(tmp_path):
    for name in "abcd":
        for i in range(5):
            photo(tmp_path / "own" / name / f"{i}.png")
    splits = stored(tmp_path, folder=str(tmp_path / "own"), only=["b", 3], test=6)
    labels = splits["test"].labels
    assert len(labels) == 6
    assert set(labels) <= {1, 3}
    assert (np.diff(labels) >= 0).all()
    other = stored(tmp_path, folder=str(tmp_path / "own"), only=["b", 3], test=6, seed=1)
    assert not np.array_equal(splits["test"].images, other["test"].images)


def test_the_packaged_photos_show_what_they_say(tmp_path):
    photos = packaged_imagenet()
    assert len(photos.files) == 20
    splits = stored(tmp_path, folder=None)
    assert splits["test"].images.shape == (20, 3, 32, 32)
    assert splits["test"].labels.tolist() == photos.labels


@pytest.mark.parametrize(
    ("files", "settings", "sentence"),
    [
        ([], {}, "expected a folder of photos, found none"),
        (["empty/readme.txt"], {}, "expected photos .*, found none"),
        (["own/photo.jpg"], {}, "photos in a folder for each class, or names that begin with a synset"),
        (["own/a/photo.jpg"], {"only": ["b"]}, "there is no class 'b' among 1 classes; valid are a"),
        (["own/n01531178/photo.jpg"], {"only": [5]}, "no photo shows one of the classes 5"),
        (["own/test/a/photo.jpg", "own/val/a/photo.jpg"], {}, "photos for testing in test or val, found both"),
        (["own/a/damaged.jpg"], {}, "not a readable photo"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, files, settings, sentence):
    folder = tmp_path / "nothing"
    for name in files:
        path, folder = tmp_path / name, tmp_path / name.split("/")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "damaged" in name:
            path.write_bytes(photo(tmp_path / "good.jpg").read_bytes()[:300])
        elif path.suffix == ".jpg":
            photo(path)
        else:
            path.write_text("nothing")
    with pytest.raises(UserError, match=sentence):
        stored(tmp_path, folder=str(folder), **settings)
    assert not (tmp_path / "out.h5").exists()


def test_chosen_photos_keep_their_order():
    photos = packaged_imagenet()
    some = chosen(photos, imagenet_classes(), [], 7, seed=3)
    places = [photos.files.index(file) for file in some.files]
    assert places == sorted(places)
    assert [photos.labels[i] for i in places] == some.labels


def test_a_class_may_be_called_train_where_others_lie_beside_it(tmp_path):
    for name in ("train", "ship"):
        photo(tmp_path / "own" / name / "1.png")
    found = find_photos(tmp_path / "own")
    assert found["test"].classes == ["ship", "train"]


def test_every_photo_decides_whether_the_import_runs_again(tmp_path):
    assert photos_below(photo(tmp_path / "a" / "deep" / "er" / "1.PNG").parents[2]) == [
        str(tmp_path / "a" / "deep" / "er" / "1.PNG")
    ]
