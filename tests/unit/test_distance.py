import math

import foolbox
import numpy as np
import pytest
import torch

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.networks.architectures import fully_connected
from neighborhoods.training.minibatch import train

# Bisection ends within 64 roundings and searches within 1e-6 of their step, whose error in the distance is its square.
EXACT = 1e-9


def linear(weight, bias):
    return lambda x: x.flatten(1) @ weight.T + bias


def offsets(x, found):
    return (found.point - x).flatten(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_half_space(dtype):
    generator = torch.Generator().manual_seed(0)
    normal, x = (
        torch.randn(12, generator=generator, dtype=dtype),
        torch.randn(9, 3, 4, generator=generator, dtype=dtype),
    )
    level = x.flatten(1) @ normal - 0.4
    found = boundary_distance(lambda z: torch.stack([z.flatten(1) @ normal - 0.4, 0 * z.flatten(1)[:, 0]], 1), x)
    exact = level.abs() / normal.norm()
    assert found.distance.dtype == torch.float64
    assert found.point.dtype == dtype
    # 64 roundings of 1.2e-7, against distances that are up to 50 times smaller than the images.
    rel = EXACT if dtype == torch.float64 else 1e-3
    assert found.distance.numpy() == pytest.approx(exact.double().numpy(), rel=rel)
    assert found.neighbor.tolist() == [int(v > 0) for v in level]
    foot = -level[:, None] * normal / normal.square().sum()
    assert offsets(x, found).numpy() == pytest.approx(foot.numpy(), abs=1e-5)


def test_many_classes_of_a_linear_model():
    # The nearest boundary of argmax W x + b: min over j of (z_i - z_j) / |w_i - w_j|, unless a class hides it, which
    # cannot happen for the nearest one.
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(8, 20, generator=generator, dtype=torch.float64)
    bias = torch.randn(8, generator=generator, dtype=torch.float64)
    x = torch.randn(40, 20, generator=generator, dtype=torch.float64)
    model = linear(weight, bias)
    logits = model(x)
    own = logits.argmax(1)
    gap = logits.max(1).values[:, None] - logits
    exact = gap / (weight[own][:, None] - weight).norm(dim=2)
    exact[torch.arange(40), own] = math.inf
    found = boundary_distance(model, x)
    assert found.distance.numpy() == pytest.approx(exact.min(1).values.numpy(), rel=EXACT)
    assert found.neighbor.tolist() == exact.argmin(1).tolist()
    assert len(set(found.neighbor.tolist())) > 3
    # The runner-up alone is the nearest class for some images and not for others.
    one = boundary_distance(model, x, classes=1)
    second = logits.topk(2).indices[:, 1]
    reached = one.distance <= exact[torch.arange(40), second] * (1 + EXACT)
    assert bool(reached.all())
    assert 0 < int((one.distance > found.distance * 1.001).sum()) < 40


def orthant(x):
    """Class 1 where all coordinates are positive."""
    lowest = x.flatten(1).amin(1)
    return torch.stack([-lowest, lowest], 1)


def test_an_orthant_from_inside_and_from_outside():
    x = torch.tensor(
        [[1.0, 2.0, 3.0], [0.5, 0.5, 4.0], [-1.0, 2.0, 3.0], [-3.0, -4.0, 1.0], [-1.0, -2.0, -2.0]]
    ).double()
    found = boundary_distance(orthant, x, steps=400)
    # From inside the nearest face; from outside the nearest point of the cone, on an edge or the apex for the
    # last two: there one linearisation at a time zigzags between faces and finds no point of the cone. The second and
    # the last lie equally far from several faces.
    assert found.neighbor.tolist() == [0, 0, 1, 1, 1]
    assert found.distance[:3].numpy() == pytest.approx([1.0, 0.5, 1.0], rel=EXACT)
    assert found.distance[3:].numpy() == pytest.approx([5.0, 3.0], rel=1e-4)
    assert bool((found.distance[3:] >= torch.tensor([5.0, 3.0]).double()).all())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_ball_from_inside_and_outside(share):
    # The boundary bends towards the image inside, away from it outside: undamped steps diverge from far outside.
    generator = torch.Generator().manual_seed(2)
    center = torch.randn(6, generator=generator, dtype=torch.float64)
    directions = torch.nn.functional.normalize(torch.randn(10, 6, generator=generator, dtype=torch.float64))
    radius = 2.0

    def model(x):
        inside = radius**2 - (x - center).square().sum(1)
        return torch.stack([inside, torch.zeros_like(inside)], 1)

    for at in (share * radius, radius / share):
        x = center + at * directions
        found = boundary_distance(model, x, steps=200)
        assert found.distance.numpy() == pytest.approx(np.full(10, abs(radius - at)), rel=1e-6)
        assert found.neighbor.tolist() == [int(at < radius)] * 10
        assert found.point.numpy() == pytest.approx((center + radius * directions).numpy(), abs=1e-2)


@pytest.fixture(scope="module", params=[(2, (40, 40), 3), (12, (20, 20), 4), (30, (50,), 4)])
def trained(request):
    """Classes on the turns of a spiral, and small networks that learned them."""
    dimensions, hidden, classes = request.param
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(400) % classes
    radius = 0.3 + 2 * torch.rand(400, generator=generator)
    angle = 2 * radius + y * 2 * math.pi / classes
    x = 0.1 * torch.randn(400, dimensions, generator=generator)
    x[:, 0] += radius * angle.cos()
    x[:, 1] += radius * angle.sin()
    torch.manual_seed(3)
    model = fully_connected((dimensions,), hidden, classes)
    train(model, x, y, x, y, epochs=25, learning_rate=0.01)
    model.double().requires_grad_(False)
    x = x.double()
    right = model(x).argmax(1) == y
    assert float(right.double().mean()) > 0.85
    return model, x[right][:40], y[right][:40]


def test_the_class_changes_at_the_point_and_not_before(trained):
    model, x, y = trained
    found = boundary_distance(model, x)
    r = offsets(x, found)
    assert found.distance.numpy() == pytest.approx(r.norm(dim=1).numpy(), rel=1e-12)
    assert bool((found.neighbor != y).all())
    assert torch.equal(model(found.point).argmax(1), found.neighbor)
    beyond = model(x + (1 + 1e-4) * r).argmax(1)
    assert bool((beyond != y).all())
    for share in (*np.linspace(0, 0.99, 200), 1 - 1e-4, 1 - 1e-6):
        assert torch.equal(model(x + share * r).argmax(1), y), f"the class changes before {share}"


def test_no_farther_than_foolbox(trained):
    model, x, y = trained
    found = boundary_distance(model, x)
    # Bounds so wide that they never bind, and so FMN's largest step, which is relative to them, so small.
    attacked = foolbox.PyTorchModel(model.float(), bounds=(-10, 10), device="cpu")
    images, misled = x.float(), foolbox.criteria.Misclassification(y)
    attacks = [
        foolbox.attacks.DDNAttack(init_epsilon=0.3, steps=200),
        foolbox.attacks.DDNAttack(init_epsilon=1.0, steps=300, gamma=0.02),
        foolbox.attacks.L2FMNAttack(steps=200, max_stepsize=0.1),
    ]
    distances = []
    try:
        for attack in attacks:
            _, adversarial, success = attack(attacked, images, misled, epsilons=None)
            length = (adversarial - images).flatten(1).norm(dim=1).double()
            assert float(adversarial.abs().max()) < 9.9
            distances.append(torch.where(success, length, math.inf))
    finally:
        model.double()
    best = torch.stack(distances).min(0).values
    assert bool(torch.isfinite(best).all())
    assert float((found.distance / best).mean()) < 1.01
    # Local minima: single images may lie somewhat farther, not many.
    assert float((found.distance > 1.02 * best).double().mean()) <= 0.1


def test_rotations_and_batches_change_nothing(trained):
    model, x, _ = trained
    found = boundary_distance(model, x)
    generator = torch.Generator().manual_seed(4)
    rotation = torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=generator, dtype=torch.float64)).Q
    turned = boundary_distance(lambda z: model(z @ rotation.T), x @ rotation)
    small = boundary_distance(model, x, batch_size=50)
    alone = boundary_distance(model, x[5:6])
    # The first step is turned by .001 in a direction that does not rotate along: searches that settle in the same local
    # minimum stop there within their tolerance of each other, some few at kinks next to it.
    ratio = (turned.distance / found.distance).numpy()
    assert ratio == pytest.approx(np.ones(len(x)), rel=0.01)
    assert np.median(abs(ratio - 1)) < 1e-6
    # Rounding differs with the batch.
    assert small.distance.numpy() == pytest.approx(found.distance.numpy(), rel=1e-6)
    assert float(alone.distance) == pytest.approx(float(found.distance[5]), rel=1e-6)


def test_an_image_outside_its_class_has_distance_zero():
    x = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    found = boundary_distance(lambda z: z, x, label=torch.tensor([2, 1]))
    assert found.distance.numpy() == pytest.approx([0.0, math.sqrt(2)], rel=1e-5)
    assert found.neighbor.tolist() == [0, 2]
    assert torch.equal(found.point[0], x[0])


def test_images_without_another_class_are_censored():
    def model(z):
        # No class but 0 where the first coordinate is negative, and no gradient there.
        return torch.stack([torch.ones_like(z[:, 0]), 2 * z[:, 0].relu()], 1)

    x = torch.tensor([[-1.0, 0.0], [0.25, 0.0]], dtype=torch.float64)
    found = boundary_distance(model, x)
    assert found.distance.tolist() == [math.inf, pytest.approx(0.25, rel=EXACT)]
    assert found.neighbor.tolist() == [-1, 1]
    assert bool(found.point[0].isnan().all())
    assert found.point[1].tolist() == pytest.approx([0.5, 0.0], rel=EXACT)

    # The other class is approached and never reached: 1 - 1 / (1 + |z|) stays below 1.
    never = boundary_distance(lambda z: torch.stack([0 * z[:, 0] + 1, 1 - 1 / (1 + z.norm(dim=1))], 1), x)
    assert never.distance.tolist() == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("x", "settings", "text"),
    [
        (torch.zeros(3), {}, "expected floating-point images"),
        (torch.zeros(0, 3), {}, "expected floating-point images"),
        (torch.zeros(2, 3, dtype=torch.int64), {}, "found torch.int64"),
        (torch.full((2, 3), math.nan), {}, "the images must be finite"),
        (torch.zeros(2, 3), {"steps": 0}, "must be at least 1, found 0, 512, None"),
        (torch.zeros(2, 3), {"batch_size": 0}, "must be at least 1"),
        (torch.zeros(2, 3), {"classes": 0}, "must be at least 1"),
        (
            torch.zeros(2, 3),
            {"label": torch.tensor([0])},
            r"a class for each of 2 images .* found torch.int64 of shape \(1,\)",
        ),
        (torch.zeros(2, 3), {"label": torch.tensor([0, 3])}, r"classes in 0\.\.2, found 0 to 3"),
        (torch.zeros(2, 1), {}, r"expected finite logits .* found shape \(2, 1\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(x, settings, text):
    with pytest.raises(ValueError, match=text):
        boundary_distance(lambda z: z, x, **settings)


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="logits must be finite"):
        boundary_distance(lambda z: z / 0, torch.ones(2, 3))
