"""Where each result lies, below the folder of a run."""


def data_path(dataset: str) -> str:
    """Where a dataset's arrays are stored."""
    return f"results/data/{dataset}.h5"


def model_path(dataset: str, model: str) -> str:
    """Where a network's weights are stored."""
    return f"results/models/{dataset}/{model}.h5"


def cell_path(stage: str, dataset: str, model: str, attack: str) -> str:
    """Where a stage's result for one cell (dataset, model, attack) is stored."""
    return f"results/{stage}/{dataset}/{model}/{attack}.h5"


def natural_path(dataset: str, model: str, images: int | str) -> str:
    """Where the persistence of so many natural images is stored, which all attacks are compared with."""
    return f"results/natural/{dataset}/{model}/{images}.h5"


def kernel_path(network: str, part: str) -> str:
    """Where a path (part "path"), its kernel ("kernel") or what is measured with them is stored.

    The latter are "study", "map", "variants", "geometry" and "importance".
    """
    return f"results/path_kernel/{network}/{part}.h5"


def tilting_path(dataset: str, pair: str) -> str:
    """Where the path of classifiers between two classes, e.g. 2v3, is stored."""
    return f"results/tilting/{dataset}/{pair}.h5"


def decay_path(dataset: str) -> str:
    """Where networks trained under several weight penalties are measured."""
    return f"results/weight_decay/{dataset}.h5"


def interpolated_path(dataset: str, model: str) -> str:
    """Where networks between the start and the end of a training are stored."""
    return f"results/interpolated_weights/{dataset}/{model}.h5"


def plane_path(dataset: str, model: str) -> str:
    """Where the boundaries of a network and of its training points in the plane are stored."""
    return f"results/plane/{dataset}/{model}.h5"


def zoo_path(dataset: str) -> str:
    """Where the comparison of networks on a dataset is stored."""
    return f"results/zoo/{dataset}.h5"
