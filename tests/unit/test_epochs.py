import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from neighborhoods.attacks.contract import AttackError
from neighborhoods.networks.architectures import weights_of
from neighborhoods.networks.modes import evaluating
from neighborhoods.training.epochs import attacked, classify, half_precision, run_epochs, warm_up
from neighborhoods.training.minibatch import TrainingError, accuracy
from neighborhoods.training.schedules import Schedule
from tests.unit.test_robust_training import EPSILON, features, linear, robust_share

pytestmark = pytest.mark.usefixtures("one_thread")

ATTACK = {"epsilon": 0.1, "step_size": 0.04, "steps": 3}


def images(n=50, seed=0):
    """Small images of three classes by their brightest column."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = 0.5 * torch.rand(n, 1, 6, 6, generator=generator)
    x[torch.arange(n), 0, :, 2 * y] += 0.4
    return x, y


def network(seed=0):
    """With all that has a state or a mode: batch normalisation and dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 3)
    )


def plain(seed=0):
    return nn.Sequential(*(layer for layer in network(seed) if not isinstance(layer, nn.Dropout)))


def test_standard_training_is_a_plain_loop_of_torchs_optimizer():
    x, y = images()
    model, twin = plain(), plain()
    seen = []

    def spying(*arguments):
        seen.append(arguments[2])
        return classify(y)(*arguments)

    schedule = Schedule(4, 16, 0.1, momentum=0.9, weight_decay=0.01, drops=(3,))
    trained = run_epochs(model, x, y, spying, schedule, seed=3, test=(x, y))

    stepper = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    losses, hits = [], []
    for step, rows in enumerate(seen):
        if step == 8:
            stepper.param_groups[0]["lr"] = 0.01
        logits = twin.train()(x[rows])
        loss = functional.cross_entropy(logits, y[rows])
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(float(loss.detach()) * len(rows))
        hits.append(int((logits.argmax(1) == y[rows]).sum()))
    assert [len(rows) for rows in seen] == [16, 16, 16, 2] * 4
    orders = torch.cat(seen).reshape(4, 50)
    assert torch.equal(orders.sort(1).values, torch.arange(50).repeat(4, 1))
    assert len({tuple(order.tolist()) for order in orders}) == 4
    for name, weight in twin.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    assert trained.history["loss"] == pytest.approx(np.reshape(losses, (4, 4)).sum(1) / 50)
    assert trained.history["train_accuracy"] == pytest.approx(np.reshape(hits, (4, 4)).sum(1) / 50)
    assert trained.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert trained.history["test_accuracy"][-1] == accuracy(model, x, y)
    assert not model.training


def test_what_else_is_noted_and_kept():
    x, y = images()
    measures = {"ones": lambda logits, rows: torch.ones(()), "rows": lambda logits, rows: rows.double().mean()}
    model = network()
    trained = run_epochs(
        model, x, y, classify(y), Schedule(3, 16, 0.1), seed=0, test=(x, y), validation=images(9, seed=1),
        checkpoints=(1, 3), measures=measures,
    )  # fmt: skip
    assert trained.history["ones"].tolist() == [1, 1, 1]
    assert trained.history["rows"] == pytest.approx([24.5] * 3)
    assert trained.history["validation_accuracy"][-1] == accuracy(model, *images(9, seed=1))
    assert list(trained.checkpoints) == [1, 3]
    for name, array in weights_of(model).items():
        assert np.array_equal(trained.checkpoints[3][name], array)
    assert any(not np.array_equal(trained.checkpoints[1][name], it) for name, it in trained.checkpoints[3].items())


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
def test_training_that_stopped_goes_on_to_the_same_bytes(batch_norm):
    x, y = images()
    objective = classify(y, {**ATTACK, "batch_norm": batch_norm})
    schedule = Schedule(5, 16, 0.1, weight_decay=1e-3, drops=(4,), crop=1, flip=True)
    data = {"seed": 7, "test": (x, y), "checkpoints": (1, 2, 5)}

    class StoppedError(Exception):
        pass

    def run(state=None, stop_after=None):
        # Weights of another start and other global random numbers, which a state must replace.
        model, states = network() if state is None else network(seed=5), []

        def keep(state):
            states.append(state)
            if state.epoch == stop_after:
                raise StoppedError

        try:
            trained = run_epochs(model, x, y, objective, schedule, state=state, keep=keep, **data)
        except StoppedError:
            return states[-1]
        return weights_of(model), trained, states[-1].arrays

    weights, trained, last = run()
    state = run(stop_after=2)
    state = run(state, stop_after=3)
    again_weights, again, again_last = run(state)
    for one, other in ((weights, again_weights), (trained.history, again.history), (last, again_last)):
        assert list(one) == list(other)
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert list(trained.checkpoints) == list(again.checkpoints) == [1, 2, 5]
    for epoch, arrays in trained.checkpoints.items():
        assert all(arrays[name].tobytes() == again.checkpoints[epoch][name].tobytes() for name in arrays)


def test_another_seed_gives_other_weights():
    x, y = images()
    before = torch.get_rng_state()

    def weight(seed):
        with torch.random.fork_rng([]):
            model = plain()
        run_epochs(model, x, y, classify(y), Schedule(1, 16, 0.1), seed=seed, test=(x, y))
        return model[0].weight

    assert torch.equal(weight(2**62), weight(2**62))
    assert not torch.equal(weight(1), weight(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_attack_reaches_the_worst_corner_of_a_linear_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 2))
    x, y = 0.2 + 0.6 * torch.rand(8, 1, 4, 5), torch.arange(8) % 2
    way = (model[1].weight[1] - model[1].weight[0]).detach().sign().reshape(1, 4, 5)
    # The loss of a label rises where the other's logit gains.
    corner = x + 0.1 * way * (1 - 2 * y)[:, None, None, None]
    found = attacked(model, x, y, **ATTACK | {"steps": 8}, generator=torch.Generator().manual_seed(0))
    # A sum of an image and epsilon, rounded once on either side.
    torch.testing.assert_close(found, corner, rtol=0, atol=2e-7)


def test_attacks_stay_in_the_ball_and_the_box_and_start_anywhere_in_it():
    x, y = images()
    x[0], x[1] = 0, 1
    found = attacked(network(), x, y, **ATTACK, generator=torch.Generator().manual_seed(0))
    assert float((found - x).abs().max()) <= 0.1 + 1e-7
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert not found.requires_grad
    # Of no size, steps leave the start alone: uniform in the ball, so that its deviation is 2 epsilon / sqrt(12).
    start = attacked(network(), x[2:], y[2:], **ATTACK | {"step_size": 0.0}, generator=torch.Generator().manual_seed(0))
    inside = (x[2:] > 0.1) & (x[2:] < 0.9)
    assert float((start - x[2:])[inside].std()) == pytest.approx(0.2 / math.sqrt(12), rel=0.05)
    with pytest.raises(AttackError, match="at least one step, found 0"):
        attacked(network(), x, y, **ATTACK | {"steps": 0}, generator=torch.Generator())


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
def test_an_attack_meets_the_statistics_asked_for_and_changes_nothing(batch_norm):
    x, y = images()
    model = network().train()
    # Running statistics far from those of a batch.
    model[1].running_mean += torch.tensor([1.0, -1.0, 0.5, 0.0])
    before, weights = copy.deepcopy(model.state_dict()), [p.grad for p in model.parameters()]
    ours = {**ATTACK, "steps": 1, "step_size": 0.02, "batch_norm": batch_norm}
    found = attacked(model, x, y, **ours, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(before[name], it) for name, it in model.state_dict().items())
    assert [p.grad for p in model.parameters()] == weights
    assert all(module.training for module in model.modules())
    assert model[1].track_running_stats

    twin = copy.deepcopy(model).train(batch_norm == "train")
    twin[4].eval()
    noise = torch.empty_like(x).uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(0))
    start = (x + noise).clamp(0, 1).requires_grad_()
    functional.cross_entropy(twin(start), y, reduction="sum").backward()
    expected = (start + 0.02 * start.grad.sign()).clamp(x - 0.1, x + 0.1).clamp(0, 1)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=2e-7)


def test_modes_come_back_after_an_error():
    model = network()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(KeyError), evaluating(model, "train"):
        assert model[1].training
        assert not model[4].training
        raise KeyError
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ValueError, match="expected eval or train for batch_norm, found 'frozen'"):
        with evaluating(model, "frozen"):
            pass


def test_half_precision_holds_for_attack_and_loss_and_not_for_weights():
    x, y = images()
    model = network()
    full = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with half_precision(torch.device("cpu")):
        loss, logits = classify(y, ATTACK)(model, x, torch.arange(50), generator)
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())
    with half_precision(torch.device("cpu"), False):
        _, logits = classify(y)(full, x, torch.arange(50), generator)
    assert logits.dtype == torch.float32


def test_on_a_cpu_neither_precision_nor_layout_changes():
    x, y = images()
    one, other = plain(), plain()
    for model, more in ((one, {}), (other, {"mixed_precision": True, "channels_last": True})):
        run_epochs(model, x, y, classify(y, ATTACK), Schedule(1, 16, 0.1, **more), seed=0, test=(x, y))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_adversarial_training_learns_what_an_attack_cannot_turn_around():
    (x, y), (x_test, y_test) = features(1000, 0), features(1000, 1)
    attack = {"epsilon": EPSILON, "step_size": EPSILON / 2, "steps": 4}
    standard, hard = linear(), linear()
    for model, objective in ((standard, classify(y)), (hard, classify(y, attack))):
        run_epochs(model, x, y, objective, Schedule(10, 100, 0.1), seed=0, test=(x_test, y_test))
    # Exact, see `robust_share`: nearly everybody against nearly nobody.
    assert robust_share(hard, x_test, y_test) > 0.75
    assert robust_share(standard, x_test, y_test) < 0.5


def test_first_epochs_have_objectives_of_their_own():
    x, y = images()
    seen = []

    def named(name):
        def objective(*arguments):
            seen.append(name)
            return classify(y)(*arguments)

        return objective

    run_epochs(network(), x, y, named("rest"), Schedule(4, 50, 0.1), seed=0, test=(x, y), first=[named(1), named(2)])
    assert seen == [1, 2, "rest", "rest"]


def test_attacks_grow_while_training_warms_up():
    x, y = images()
    x = 0.3 + 0.4 * x
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(36, 3)

        def forward(self, given):
            seen.append(float((given.detach() - x).abs().max()))
            return self.inner(given.flatten(1))

    learnt = []
    for objective in warm_up(y, ATTACK | {"steps": 9}, 4):
        objective(Spy(), x, torch.arange(50), torch.Generator().manual_seed(0))
        learnt.append(seen[-1])
    # Nine steps come from any start to the ball's faces; the first epoch has no attack at all.
    assert learnt == pytest.approx([0, 0.025, 0.05, 0.075], abs=1e-6)
    assert len(seen) == 1 + 3 * 10


def test_what_cannot_be_trained_is_said():
    x, y = images()
    with pytest.raises(TrainingError, match="not finite in epoch 1 of 2 .*smaller learning_rate"):
        run_epochs(network(), x * math.nan, y, classify(y), Schedule(2, 50, 0.1), seed=0, test=(x, y))
    with pytest.raises(ValueError, match=r"expected checkpoints from 1 to 2, found \[1, 3\]"):
        run_epochs(network(), x, y, classify(y), Schedule(2, 50, 0.1), seed=0, test=(x, y), checkpoints=(1, 3))
