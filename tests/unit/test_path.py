import h5py
import pytest
import torch
from torch.nn import functional

from neighborhoods.path_kernel.path import Path, flat_weights, train_path
from tests.unit.path_kernel_cases import data, network

OPTIMISERS = [{}, {"batch_size": 5}, {"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.5, "batch_size": 4}]


@pytest.mark.parametrize("settings", OPTIMISERS)
def test_the_path_is_that_of_torch_s_sgd_and_leaves_the_model(settings):
    x, y = data()
    model, twin = network(), network()
    path = train_path(model, x, y, learning_rate=0.3, steps=7, **settings)
    kept = {key: value for key, value in settings.items() if key != "batch_size"}
    optimizer = torch.optim.SGD(twin.parameters(), 0.3, **kept)
    for step in range(7):
        assert path.weights[step].numpy() == pytest.approx(flat_weights(twin).numpy(), abs=1e-13)
        rows = slice(None) if path.batches is None else path.batches[step]
        optimizer.zero_grad()
        functional.cross_entropy(twin(x[rows]), y[rows]).backward()
        optimizer.step()
    assert torch.equal(path.weights[0], flat_weights(model))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error", "binary_cross_entropy", "own"])
def test_points_are_taken_in_chunks_that_no_step_depends_on(loss, monkeypatch):
    x, y = data(11)
    classes = 1 if loss == "binary_cross_entropy" else 2
    # A loss of one's own may join points, here by the largest error.
    own = {"own": lambda a, b: (a - functional.one_hot(b, 2)).square().sum(1).amax()}
    paths = []
    for values in (11, 3, 1):
        monkeypatch.setattr("neighborhoods.path_kernel.path.TRAIN_CHUNK", values * x[0].numel())
        settings = {"learning_rate": 0.3, "steps": 4, "loss": own.get(loss, loss), "batch_size": 10}
        paths.append(train_path(network(classes=classes), x, y, **settings).weights.numpy())
    assert paths[1] == pytest.approx(paths[0], abs=1e-13)
    assert paths[2] == pytest.approx(paths[0], abs=1e-13)


def test_batches_use_every_point_once_an_epoch():
    x, y = data(10)
    path = train_path(network(), x, y, learning_rate=0.1, steps=6, batch_size=4)
    for epoch in (path.batches[:3], path.batches[3:]):
        assert [len(rows) for rows in epoch] == [4, 4, 2]
        assert sorted(torch.cat(epoch).tolist()) == list(range(10))
    assert path.batches[0].tolist() != path.batches[3].tolist()


@pytest.mark.parametrize("settings", OPTIMISERS)
@pytest.mark.parametrize("steps", [0, 1, 7, 9])
def test_a_streamed_path_is_the_recorded_one_forwards_and_backwards(settings, steps):
    x, y = data()
    model = network()
    recorded = train_path(model, x, y, learning_rate=0.3, steps=steps, **settings)
    streamed = train_path(model, x, y, learning_rate=0.3, steps=steps, record=False, **settings)
    assert streamed.weights is None
    for direction in ("forward", "backward"):
        pairs = zip(getattr(recorded, direction)(model), getattr(streamed, direction)(model), strict=True)
        seen = []
        for old, new in pairs:
            assert old.index == new.index
            assert torch.equal(old.w, new.w)
            assert torch.equal(old.dw, new.dw)
            assert old.rows is new.rows is None or torch.equal(old.rows, new.rows)
            seen.append(new.index)
        assert seen == sorted(range(steps), reverse=direction == "backward")


def test_weights_may_stay_in_a_file(tmp_path):
    x, y = data()
    model = network()
    path = train_path(model, x, y, learning_rate=0.3, steps=3)
    with h5py.File(tmp_path / "path.h5", "w") as file:
        file["weights"] = path.weights.numpy()
        read = Path(
            x=x, y=y, learning_rate=0.3, loss="cross_entropy", start=path.start, steps=3, weights=file["weights"]
        )
        for old, new in zip(path.forward(model), read.forward(model), strict=True):
            assert torch.equal(old.dw, new.dw)


def test_losses_are_batch_means_and_may_be_functions():
    x, y = data()
    squared = train_path(network(), x, y, learning_rate=0.1, steps=2, loss="squared_error")
    onehot = functional.one_hot(y).double()
    own = train_path(network(), x, onehot, learning_rate=0.1, steps=2, loss=lambda a, b: 2 * functional.mse_loss(a, b))
    # Two outputs: the mean over them is half of the sum.
    assert squared.weights.numpy() == pytest.approx(own.weights.numpy(), abs=1e-14)
    binary = train_path(network(classes=1), x, y, learning_rate=0.1, steps=2, loss="binary_cross_entropy")
    assert bool(torch.isfinite(binary.weights).all())


def test_bad_input_gets_a_sentence():
    x, y = data()
    for settings, sentence in [
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"momentum": 1.0}, "momentum < 1"),
        ({"weight_decay": -1.0}, "weight_decay >= 0"),
        ({"batch_size": 13}, "batch_size from 1 to 12"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            train_path(network(), x, y, **{"learning_rate": 0.1, "steps": 1, **settings})
    with pytest.raises(ValueError, match="diverged in step"):
        train_path(network(), x * 1e3, y, learning_rate=1e200, steps=5, loss="squared_error")
    with pytest.raises(ValueError, match="as many labels as points"):
        train_path(network(), x, y[:3], learning_rate=0.1, steps=1)
