"""Two networks side by side: manifolds of their classes layer by layer, and the tilt of a linear boundary in pixels."""

# %%
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import neighborhoods as nb

digits = load_digits()
x, y = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None], torch.tensor(digits.target)

# %% A network before and after training: what training does to the manifolds of the classes.
torch.manual_seed(0)
network = nb.fully_connected((1, 8, 8), hidden=[100], classes=10)
for state in ("before training", "after training"):
    if state == "after training":
        nb.train(network, x[:-400], y[:-400], x[-400:], y[-400:], epochs=10)
    analysis = nb.class_manifolds(network, x[-400:], y[-400:], layers=["relu1"], samples=30)["relu1"]
    print(state, analysis)
    if analysis.geometry is not None:
        print("capacity", analysis.geometry.capacity, "of balls", f"{analysis.ball:.3f}")

# %% Logistic regression of threes and eights under two penalties, judged by images that it has not seen.
threes, eights = digits.data[digits.target == 3] / 16, digits.data[digits.target == 8] / 16
for strength in (1e4, 1e-2):
    model = LogisticRegression(C=strength, max_iter=5000)
    model.fit([*threes[::2], *eights[::2]], [0] * len(threes[::2]) + [1] * len(eights[::2]))
    tilt = nb.boundary_tilt(threes[1::2], eights[1::2], model.coef_[0], model.intercept_)
    print("C", strength, tilt)
