"""What there is: scripts of the stages, kinds of plots and tables, and the settings that each depends on."""

from pathlib import Path

# Script of each compute stage, and the parts of the configuration its result depends on.
SCRIPTS = {
    "mnist5k": "scripts/data/fetch_mnist5k.py",
    "mnist": "scripts/data/fetch_idx.py",
    "fashion_mnist": "scripts/data/fetch_idx.py",
    "cifar10": "scripts/data/fetch_cifar.py",
    "cifar100": "scripts/data/fetch_cifar.py",
    "imagenet20": "scripts/data/import_photos.py",
    "photos": "scripts/data/import_photos.py",
    "gaussians": "scripts/data/make_gaussians.py",
    "hdf5": "scripts/data/import_hdf5.py",
    "models": "scripts/train/train.py",
    "weights": "scripts/train/import_weights.py",
    "attacks": "scripts/attack/generate.py",
    "natural": "scripts/persistence/measure_natural.py",
    "persistence": "scripts/persistence/bracket.py",
    "stability": "scripts/persistence/sweep.py",
    "paths": "scripts/path_kernel/record.py",
    "path_kernel": "scripts/path_kernel/integrate.py",
    "kernel_study": "scripts/path_kernel/study.py",
    "kernel_map": "scripts/path_kernel/map.py",
    "kernel_variants": "scripts/path_kernel/vary.py",
    "kernel_agreement": "scripts/figures/kernel_agreement.py",
    "kernel_values": "scripts/figures/kernel_values.py",
    "kernel_neighbours": "scripts/figures/kernel_neighbours.py",
    "kernel_detection": "scripts/figures/kernel_detection.py",
    "kernel_relations": "scripts/figures/kernel_relations.py",
    "kernel_map_figure": "scripts/figures/kernel_map.py",
    "kernel_convergence": "scripts/figures/kernel_convergence.py",
    "kernel_signs": "scripts/figures/kernel_signs.py",
    "path_geometry": "scripts/path_kernel/measure_geometry.py",
    "importance": "scripts/path_kernel/rank_importance.py",
    "interpolated_weights": "scripts/path_kernel/interpolate_weights.py",
    "path_geometry_figure": "scripts/figures/path_geometry.py",
    "sample_importance": "scripts/figures/sample_importance.py",
    "datamodeling_score": "scripts/figures/datamodeling_score.py",
    "interpolated_weights_figure": "scripts/figures/interpolated_weights.py",
    "interpolation": "scripts/interpolation/trace.py",
    "asymmetry": "scripts/persistence/compare_sides.py",
    "sensitivity": "scripts/persistence/vary.py",
    "voronoi": "scripts/boundary/compare_voronoi.py",
    "plane": "scripts/boundary/map_plane.py",
    "voronoi_angles": "scripts/figures/voronoi_angles.py",
    "boundary_plane": "scripts/figures/boundary_plane.py",
    "dropout": "scripts/boundary/trace_dropout.py",
    "zoo": "scripts/boundary/compare_networks.py",
    "spectra": "scripts/boundary/decompose.py",
    "level_sets": "scripts/boundary/measure_level_sets.py",
    "boundary": "scripts/boundary/measure.py",
    "factors": "scripts/sensitivity/decompose.py",
    "cones": "scripts/cones/measure.py",
    "norms": "scripts/norms/sample.py",
    "wedges": "scripts/wedges/measure.py",
    "teachers": "scripts/logits/train_teacher.py",
    "outputs": "scripts/logits/record_outputs.py",
    "targets": "scripts/logits/average_targets.py",
    "students": "scripts/logits/distil.py",
    "robustness": "scripts/logits/measure_robustness.py",
    "distributions": "scripts/logits/describe.py",
    "answers": "scripts/logits/compare_answers.py",
    "images": "scripts/logits/compare_images.py",
    "manifolds": "scripts/manifolds/measure.py",
    "manifold_layers": "scripts/figures/manifold_layers.py",
    "manifold_capacity": "scripts/figures/manifold_capacity.py",
    "logit_surfaces": "scripts/logit_model/evaluate.py",
    "capacities": "scripts/manifolds/measure_capacities.py",
    "logit_model": "scripts/logit_model/respond.py",
    "surrogate_logits": "scripts/figures/surrogate_logits.py",
    "loss_surface": "scripts/figures/loss_surface.py",
    "gap_response": "scripts/figures/gap_response.py",
    "logit_model_table": "scripts/tables/logit_model.py",
    "max_logits": "scripts/figures/max_logits.py",
    "logit_gaps": "scripts/figures/logit_gaps.py",
    "gap_epochs": "scripts/figures/gap_epochs.py",
    "network_disagreement": "scripts/figures/network_disagreement.py",
    "confident_images": "scripts/figures/confident_images.py",
    "nearest_by_logits": "scripts/figures/nearest_by_logits.py",
    "overlap": "scripts/figures/overlap.py",
    "manipulated_logits": "scripts/figures/manipulated_logits.py",
    "teacher_epochs": "scripts/figures/teacher_epochs.py",
    "distillation_losses": "scripts/figures/distillation_losses.py",
    "logit_accuracies": "scripts/tables/logit_accuracies.py",
    "training_times": "scripts/tables/training_times.py",
    "tilting": "scripts/tilting/trace_path.py",
    "weight_decay": "scripts/tilting/decay_weights.py",
    "weight_decay_figure": "scripts/figures/weight_decay.py",
    "toy": "scripts/tilting/build_toy.py",
    "tilted_digits": "scripts/figures/tilted_digits.py",
    "toy_images": "scripts/figures/toy_images.py",
    "toy_planes": "scripts/figures/toy_planes.py",
    "tilting_plane": "scripts/figures/tilting_plane.py",
    "tilting_path": "scripts/figures/tilting_path.py",
    "tilting_rotation": "scripts/figures/tilting_rotation.py",
    "tilting_atlas_figure": "scripts/figures/tilting_atlas.py",
    "tilting_page": "scripts/pages/tilting_path.py",
    "rotation_page": "scripts/pages/tilting_rotation.py",
    "tilting_atlas": "scripts/tables/tilting_atlas.py",
    "tilting_residuals": "scripts/tables/tilting_residuals.py",
    "persistence_by_network": "scripts/tables/persistence_by_network.py",
    "network_layers": "scripts/tables/network_layers.py",
    "detection": "scripts/tables/detection.py",
    "attack_comparison": "scripts/tables/attack_comparison.py",
    "persistence_by_attack": "scripts/tables/persistence_by_attack.py",
    "persistence_along_line": "scripts/figures/persistence_along_line.py",
    "class_frequencies": "scripts/figures/class_frequencies.py",
    "persistence_histogram": "scripts/figures/persistence_histogram.py",
    "persistence_histograms": "scripts/figures/persistence_histograms.py",
    "class_frequencies_of_cells": "scripts/figures/class_frequencies_of_cells.py",
    "class_frequencies_by_target": "scripts/figures/class_frequencies_by_target.py",
    "adversarial_examples": "scripts/figures/adversarial_examples.py",
    "distortion_histogram": "scripts/figures/distortion_histogram.py",
    "asymmetry_figure": "scripts/figures/asymmetry.py",
    "sensitivity_figure": "scripts/figures/sensitivity.py",
    "dropout_crossings": "scripts/figures/dropout_crossings.py",
    "zoo_figure": "scripts/figures/zoo.py",
    "boundary_spectra": "scripts/figures/boundary_spectra.py",
    "boundary_classes": "scripts/figures/boundary_classes.py",
    "skewness": "scripts/figures/skewness.py",
    "normals": "scripts/figures/normals.py",
    "persistence_reexamined": "scripts/figures/persistence_reexamined.py",
    "factors_figure": "scripts/figures/factors.py",
    "flatness": "scripts/figures/flatness.py",
    "growth": "scripts/figures/growth.py",
    "cone_views": "scripts/figures/cone_views.py",
    "cone_persistence": "scripts/figures/cone_persistence.py",
    "norms_figure": "scripts/figures/norms.py",
    "orthant_spectra": "scripts/figures/orthant_spectra.py",
    "wedge_crossings": "scripts/figures/wedge_crossings.py",
}

# Stages of studies in which nothing is drawn at random.
SEEDLESS = ("outputs", "distributions", "logit_surfaces")

# Numbers of the sources. Part of a table's digest and not an input, whose path would depend on the checkout's place.
PUBLISHED = {
    "persistence_by_network": Path("published") / "bell.yaml",
    "persistence_by_attack": Path("published") / "bell.yaml",
    "network_layers": Path("published") / "bell_table3.yaml",
    "logit_accuracies": Path("published") / "seguin.yaml",
    "training_times": Path("published") / "seguin.yaml",
}

# Settings of persistence that say what to measure, not how.
NOT_SAMPLING = ("gamma",)

# What each plot shows, besides its cell.
PLOT_SETTINGS = {
    "class_frequencies": ("target",),
    "persistence_along_line": ("pair", "gammas"),
    "persistence_reexamined": ("pair", "gammas"),
    "adversarial_examples": ("examples", "amplify", "target"),
    "distortion_histogram": ("published",),
    "dropout_crossings": ("pair",),
    "tilted_digits": ("alphas",),
    "tilting_plane": ("alphas",),
    "tilting_path": ("alphas",),
    "manifold_layers": ("kinds",),
}

# The stage whose results each plot of a cell shows.
PLOT_STAGE = {
    "class_frequencies": "stability",
    "persistence_histogram": "persistence",
    "persistence_along_line": "interpolation",
    "class_frequencies_by_target": "stability",
    "persistence_histograms": "persistence",
    "adversarial_examples": "attacks",
    "distortion_histogram": "attacks",
    "asymmetry": "asymmetry",
    "sensitivity": "sensitivity",
    "voronoi_angles": "voronoi",
    "dropout_crossings": "dropout",
    "boundary_spectra": "spectra",
    "boundary_classes": "level_sets",
    "skewness": "boundary",
    "normals": "boundary",
    "persistence_reexamined": "boundary",
    "factors": "factors",
    "flatness": "factors",
    "growth": "factors",
}

# Plots of one attack on several networks, the rows of their entry.
ROW_PLOTS = ("persistence_histograms", "factors")

# Stages that also read the persistence of natural images.
WITH_NATURAL = ("persistence", "factors")

# Measurements of no network, and the plots that show them.
SINGLE = {
    "cones": "results/cones/orthants.h5",
    "norms": "results/norms/gaussian_and_ball.h5",
    "wedges": "results/wedges/spectra_and_crossings.h5",
    "toy": "results/tilting/toy.h5",
    "logit_surfaces": "results/logit_surfaces/surfaces.h5",
    "capacities": "results/capacities/points_and_balls.h5",
}
PLOT_SINGLE = {
    "cone_views": "cones",
    "cone_persistence": "cones",
    "norms": "norms",
    "orthant_spectra": "wedges",
    "wedge_crossings": "wedges",
    "toy_images": "toy",
    "toy_planes": "toy",
    "surrogate_logits": "logit_surfaces",
    "loss_surface": "logit_surfaces",
    "gap_response": "logit_surfaces",
    "manifold_capacity": "capacities",
}

# Plots and tables of networks that a section names, by their section.
NAMED_PLOTS = {"gap_response": "logit_model", "manifold_layers": "manifolds", "manifold_capacity": "manifolds"}
NAMED_TABLES = {"logit_model": "logit_model"}


# Plots of a pair of classes, those that are pages, and what shows every pair of `tilting.pairs`.
PAGES = ("tilting_page", "rotation_page")
PLOT_PAIR = ("tilted_digits", "tilting_plane", "tilting_path", "tilting_rotation", *PAGES)
ATLAS = ("tilting_atlas", "tilting_residuals")

# The part of a path kernel's results that each plot of a network shows.
PLOT_KERNEL = {
    "kernel_agreement": "kernel",
    "kernel_values": "study",
    "kernel_neighbours": "study",
    "kernel_detection": "study",
    "kernel_relations": "study",
    "kernel_map": "map",
    "kernel_convergence": "variants",
    "kernel_signs": "variants",
    "path_geometry": "geometry",
    "sample_importance": "importance",
    "datamodeling_score": "importance",
}

# The stage that tables of several networks under several attacks read.
PAIRED = {"detection": "persistence", "attack_comparison": "attacks", "persistence_by_attack": "persistence"}

# Classes of the sources of which that is known, and images of their train splits.
CLASSES = {"mnist5k": 10, "mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100": 100}
TRAIN_IMAGES = {"mnist5k": 5000, "mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000, "cifar100": 50_000}

# The test split of `mnist5k` when its size is not given.
MNIST5K_TEST_IMAGES = 1000

PHOTO_SETTINGS = ("train", "test", "only", "size", "resize", "interpolation")

# What the arrays of a dataset depend on, by its source; a file of one's own is an input of its rule.
DATA_SETTINGS = {
    "mnist5k": ("train", "test"),
    "mnist": ("source", "train", "test"),
    "fashion_mnist": ("source", "train", "test"),
    "cifar10": ("source", "train", "test"),
    "cifar100": ("source", "train", "test"),
    "imagenet20": PHOTO_SETTINGS,
    "photos": PHOTO_SETTINGS,
    "gaussians": ("means", "variance", "per_class"),
    "hdf5": (),
}

# What builds a network, by its architecture. Widths do not matter to a CNN, nor channels to a fully connected network.
ARCHITECTURE_SETTINGS = {
    "fully_connected": ("hidden",),
    "bell_cnn": ("channels",),
    "strided_cnn": ("channels",),
    "cifar_resnet": ("depth",),
    "cifar_resnet18": (),
    "torchvision": ("name",),
    "efficientnet_lite0": (),
}

# Architectures with layers for dropout and for principal directions. Where these are off, specs do not name them.
WITH_OPTIONS = ("fully_connected", "bell_cnn")
OPTIONS = ("dropout", "principal")

# Those that certainly have no dropout.
WITHOUT_DROPOUT = ("strided_cnn", "cifar_resnet", "cifar_resnet18")

# Which folder of photos shows which class of ImageNet.
SYNSETS = Path("published") / "imagenet_synsets.txt"

# Stands for a file of weights in the configuration.
PUBLISHED_WEIGHTS = "published"
