import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neighborhoods.networks.architectures import bell_cnn, fully_connected
from neighborhoods.training.minibatch import TrainingError, accuracy, predict, train, weight_penalty

pytestmark = pytest.mark.usefixtures("one_thread")


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


def gradients_of(model, x, y):
    return torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))


def test_sgd_has_a_momentum_of_nine_tenths(toy):
    x, y = toy
    model, twin = network().double(), network().double()
    x = x.double()
    train(model, x, y, x, y, optimizer="sgd", learning_rate=0.3, batch_size=200, epochs=5)
    velocity = [torch.zeros_like(p) for p in twin.parameters()]
    for _ in range(5):
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients_of(twin, x, y), strict=True)]
        with torch.no_grad():
            for p, v in zip(twin.parameters(), velocity, strict=True):
                p -= 0.3 * v
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        # Double precision; five steps of means of 200 in another order.
        assert p.detach().numpy() == pytest.approx(q.detach().numpy(), abs=1e-12)


def test_adam_is_kingma_and_bas(toy):
    # Algorithm 1 of Kingma and Ba 2015 with its default constants.
    x, y = toy
    x = x.double()
    model, twin = network().double(), network().double()
    train(model, x, y, x, y, learning_rate=0.02, batch_size=200, epochs=5)
    first = [torch.zeros_like(p) for p in twin.parameters()]
    second = [torch.zeros_like(p) for p in twin.parameters()]
    for t in range(1, 6):
        gradients = gradients_of(twin, x, y)
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, gradients, strict=True)]
        with torch.no_grad():
            for p, m, v in zip(twin.parameters(), first, second, strict=True):
                p -= 0.02 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        # Gradients near zero are divided by their own size, which magnifies rounding a little.
        assert p.detach().numpy() == pytest.approx(q.detach().numpy(), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 250), st.integers(0, 2**31))
def test_the_history_averages_over_images_whatever_the_batches(batch_size, seed):
    # With a step of zero the network stays, so every epoch must report the loss of the whole set.
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(53, 1, 2, 2, generator=generator)
    y = torch.randint(2, (53,), generator=generator)
    model = network(1)
    history = train(model, x, y, x[:7], y[:7], learning_rate=0.0, batch_size=batch_size, epochs=2, penalty=(0.1,))
    logits = model(x).detach().double().numpy()
    loss = sum(
        math.log(math.exp(a) + math.exp(b)) - (a, b)[label] for (a, b), label in zip(logits, y.tolist(), strict=True)
    )
    penalty = 0.1 * (model.fc1.weight.square().sum() / 8 + model.fc2.weight.square().sum() / 2)
    right = [int(row[1] > row[0]) == label for row, label in zip(logits, y.tolist(), strict=True)]
    # Means of 53 terms of size 1 in single precision.
    assert history.loss == pytest.approx([loss / 53] * 2, rel=1e-5)
    assert history.penalty == pytest.approx([float(penalty.detach())] * 2, rel=1e-5)
    assert history.train_accuracy == pytest.approx([sum(right) / 53] * 2)
    assert history.test_accuracy == pytest.approx([sum(right[:7]) / 7] * 2)


def test_training_neither_reads_nor_moves_the_global_random_state(toy):
    def weights(state):
        model = network()
        torch.manual_seed(state)
        before = torch.random.get_rng_state()
        train(model, *toy, *toy, epochs=1)
        assert torch.equal(torch.random.get_rng_state(), before)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(2))


def test_training_ends_in_evaluation_mode(toy):
    model = network().train()
    train(model, *toy, *toy, epochs=1)
    assert not model.training


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.floats(0, 10), st.integers(0, 2**31))
def test_the_penalty_is_a_plain_sum(widths, strength, seed):
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)]
    expected = 0.0
    for layer in layers:
        for unit in layer.weight.tolist():
            expected += strength * sum(w * w for w in unit) / layer.out_features
    # At most 75 squares in single precision.
    assert float(weight_penalty(nn.Sequential(*layers), [strength]).detach()) == pytest.approx(
        expected, rel=1e-5, abs=1e-7
    )


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


def test_units_of_a_transposed_convolution_are_its_outputs():
    layer = nn.ConvTranspose2d(2, 5, 3)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    # Ninety weights, five output channels.
    assert float(weight_penalty(layer, [1.0]).detach()) == pytest.approx(90 / 5)


def test_a_network_without_common_layers_can_be_trained(toy):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 2))

        def forward(self, x):
            return x.flatten(1) @ self.weight

    history = train(Own(), *toy, *toy, learning_rate=0.01, epochs=5)
    assert history.test_accuracy[-1] == 1.0
    assert history.penalty == [0.0] * 5


def test_predicting_leaves_a_frozen_layer_frozen(toy):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    model[1].eval()
    predict(model, toy[0])
    assert [module.training for module in model] == [True, False, True]


def test_a_penalty_shrinks_weights(toy):
    def norm(strength):
        model = network()
        train(model, *toy, *toy, epochs=10, learning_rate=0.01, penalty=(strength,))
        return float(model.fc1.weight.detach().norm())

    # Far more than a step of Adam, 0.01 for each weight: the penalty decides.
    assert norm(1.0) < 0.8 * norm(0.01) < 0.8 * norm(0.0)


def test_a_loss_that_is_not_finite_stops_with_a_sentence(toy):
    x, y = toy
    with pytest.raises(TrainingError, match=r"not finite in epoch 1 of 3 \(sgd, learning_rate 1e\+30\); try a smaller"):
        train(network(), x * 1e4, y, x, y, optimizer="sgd", learning_rate=1e30, epochs=3)
    with pytest.raises(TrainingError, match=r"not finite in epoch 1 of 2 \(adam, learning_rate 0\.001\)"):
        train(network(), x.clone().fill_(math.nan), y, x, y, epochs=2)
    with pytest.raises(TrainingError, match="not finite"):
        # In the only batch the cross-entropy is still finite.
        train(network(), x, y, x, y, epochs=1, batch_size=200, penalty=(math.inf,))
    with pytest.raises(ValueError, match="expected 1 penalty or 2"):
        train(network(), x, y, x, y, epochs=1, penalty=(0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="unknown optimizer 'lbfgs'"):
        train(network(), x, y, x, y, optimizer="lbfgs")


def test_predictions_are_made_in_evaluation_mode(toy):
    x, y = toy
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    assert torch.equal(predict(model, x), predict(model, x, batch_size=7))
    assert model.training
    model.eval()
    predict(model, x)
    assert not model.training
    assert accuracy(model, x, predict(model, x)) == 1.0
    assert math.isclose(accuracy(model, x, y) + accuracy(model, x, 1 - y), 1.0)
