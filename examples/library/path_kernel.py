"""Which training images made a network's decision: the path kernel of a training loop of one's own."""

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn

from neighborhoods.path_kernel import path_kernel
from neighborhoods.path_kernel.path import flat_weights, recorded

# %% Full-batch gradient descent in double precision, with the weights of every step kept.
digits = load_digits()
x = torch.tensor(digits.images / 16)[:300].flatten(1)
y = torch.tensor(digits.target)[:300]
queries, classes = torch.tensor(digits.images / 16)[-5:].flatten(1), digits.target[-5:]

torch.manual_seed(0)
network = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).double()
optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
weights = [flat_weights(network)]
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()
    weights.append(flat_weights(network))

# %% The network as a kernel machine on new images.
path = recorded(x, y, torch.stack(weights), learning_rate=0.5, loss="cross_entropy")
kernel = path_kernel(network, path, queries)
print(kernel)
error = (kernel.prediction - network(queries).detach()).abs().max()
print(f"largest difference to the network: {float(error):.1e}")

# %% What each class of training images added to the logit of the first query's class.
worth = kernel.contributions[0, :, classes[0]]
for label in range(10):
    print(label, f"{float(worth[y == label].sum()):+.2f}")
print("sum:", f"{float(worth.sum() + kernel.start[0, classes[0]]):.2f}")
