"""Natural and adversarial images of one's own network: what noise they withstand, and how near the boundary is."""

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn

import neighborhoods as nb
from neighborhoods.persistence import persistence

# %% Data as NumPy has it, and a network that trains in a loop of one's own.
digits = load_digits()
images, labels = (digits.images[:, None] / 16).astype("float32"), digits.target
x_train, y_train = torch.from_numpy(images[:-400]), torch.from_numpy(labels[:-400])
x_test, y_test = images[-400:], labels[-400:]

torch.manual_seed(0)
network = nn.Sequential(
    *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10)),
)
optimizer = torch.optim.Adam(network.parameters(), 3e-3)
for _ in range(10):
    for rows in torch.randperm(len(x_train)).split(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x_train[rows]), y_train[rows]).backward()
        optimizer.step()

correct = nb.predict(network, torch.from_numpy(x_test)).numpy() == y_test
print("accuracy", nb.share(correct))

# %% Adversarial images of the first twenty that are classified right. The network may be in training mode.
rows = correct.nonzero()[0][:20]
x_adv, verdict = nb.attack("lbfgs", network, x_test[rows], y_test[rows], (y_test[rows] + 1) % 10, c=0.05)
print("attack", verdict)

# %% Persistence, and the distance to the nearest boundary, of both.
originals = rows[verdict.success.numpy()]
groups = {"natural": x_test[rows], "adversarial": x_adv[verdict.success]}
found = {name: persistence(network, group) for name, group in groups.items()}
distances = {name: nb.boundary_distance(network, group) for name, group in groups.items()}
for name in groups:
    print(name, "persistence:", found[name].summary())
    print(name, "distance:", distances[name].summary())

# %% Persistence in units of the distance: what the shape of the neighbourhood adds to how near the boundary is.
per_distance = {name: found[name].sigma / distances[name].distance for name in groups}
print("ratio", nb.ratio(per_distance["adversarial"], per_distance["natural"], originals, rows))
