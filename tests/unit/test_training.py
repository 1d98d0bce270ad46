import math

import pytest
import torch
from torch import nn

from neighborhoods.networks import bell_cnn, fully_connected
from neighborhoods.training import TrainingError, accuracy, predict, train, weight_penalty


@pytest.fixture
def toy():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 2
    x = torch.randn(200, 1, 2, 2, generator=generator) * 0.3 + (2.0 * y - 1)[:, None, None, None]
    return x, y


def network(seed=0):
    torch.manual_seed(seed)
    return fully_connected((1, 2, 2), (8,), 2)


@pytest.mark.parametrize(("optimizer", "learning_rate"), [("adam", 0.01), ("sgd", 0.1)])
def test_separable_data_is_learned(toy, optimizer, learning_rate):
    model = network()
    history = train(model, *toy, *toy, optimizer=optimizer, learning_rate=learning_rate, batch_size=20, epochs=10)
    assert history.test_accuracy[-1] == accuracy(model, *toy) == 1.0
    assert history.loss[-1] < history.loss[0]
    assert all(len(values) == 10 for values in vars(history).values())


def test_the_same_seed_gives_the_same_weights(toy):
    def weights(seed):
        model = network()
        train(model, *toy, *toy, epochs=2, seed=seed)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_one_full_batch_step_of_sgd_is_the_gradient_step(toy):
    x, y = toy
    model, twin = network(), network()
    train(model, x, y, x, y, optimizer="sgd", learning_rate=0.5, batch_size=200, epochs=1, penalty=(0.1,))
    loss = nn.functional.cross_entropy(twin(x), y)
    loss = loss + 0.1 * (twin.fc1.weight.square().sum() / 8 + twin.fc2.weight.square().sum() / 2)
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    for p, q, g in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        # Sums of 200 terms in another order: single precision.
        assert p.detach().numpy() == pytest.approx((q - 0.5 * g).detach().numpy(), abs=1e-6)


def test_the_penalty_is_per_unit_and_leaves_biases_free():
    model = bell_cnn((1, 28, 28), 3, 10)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(2.0)
    # Weights of a unit: conv1 25, conv2-4 75, fc1 3 * 36, fc2 256; each square is 4.
    fan_in = [25, 75, 75, 75, 108, 256]
    assert float(weight_penalty(model, [0.5]).detach()) == pytest.approx(0.5 * 4 * sum(fan_in))
    strengths = [1, 0, 2, 0, 3, 0]
    assert float(weight_penalty(model, strengths).detach()) == pytest.approx(4 * (25 + 2 * 75 + 3 * 108))
    assert float(weight_penalty(model, [0.0])) == 0
    with pytest.raises(ValueError, match="expected 1 penalty or 6"):
        weight_penalty(model, [1, 2])


def test_a_penalty_shrinks_weights(toy):
    def norm(strength):
        model = network()
        train(model, *toy, *toy, epochs=10, learning_rate=0.01, penalty=(strength,))
        return float(model.fc1.weight.norm())

    assert norm(1.0) < norm(0.01) < norm(0.0)


def test_a_loss_that_is_not_finite_stops_with_a_sentence(toy):
    x, y = toy
    with pytest.raises(TrainingError, match=r"not finite in epoch 1 of 3 \(sgd, learning_rate 1e\+30\); try a smaller"):
        train(network(), x * 1e4, y, x, y, optimizer="sgd", learning_rate=1e30, epochs=3)
    with pytest.raises(ValueError, match="unknown optimizer 'lbfgs'"):
        train(network(), x, y, x, y, optimizer="lbfgs")


def test_predictions_are_made_in_evaluation_mode(toy):
    x, y = toy
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    assert torch.equal(predict(model, x), predict(model, x, batch_size=7))
    assert model.training
    assert accuracy(model, x, predict(model, x)) == 1.0
    assert math.isclose(accuracy(model, x, y) + accuracy(model, x, 1 - y), 1.0)
