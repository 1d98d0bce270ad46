rule fetch_mnist5k:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "mnist5k")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("fetch_mnist5k"),
        runtime=time_of("fetch_mnist5k"),
    params:
        spec=spec_of("data", "dataset"),
    script:
        "../scripts/data/fetch_mnist5k.py"


rule fetch_idx:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "mnist", "fashion_mnist")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("fetch_idx"),
        runtime=time_of("fetch_idx"),
    params:
        spec=spec_of("data", "dataset"),
        mirror=configured_mirror,
    script:
        "../scripts/data/fetch_idx.py"


rule make_gaussians:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "gaussians")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("make_gaussians"),
        runtime=time_of("make_gaussians"),
    params:
        spec=spec_of("data", "dataset"),
    script:
        "../scripts/data/make_gaussians.py"


rule import_hdf5:
    input:
        file=lambda wildcards: settings["datasets"][wildcards.dataset]["file"],
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "hdf5")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("import_hdf5"),
        runtime=time_of("import_hdf5"),
    params:
        spec=spec_of("data", "dataset"),
        content=own_content("datasets", "dataset", "file"),
    script:
        "../scripts/data/import_hdf5.py"


rule fetch_cifar:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, *ARCHIVES)),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("fetch_cifar"),
        runtime=time_of("fetch_cifar"),
    params:
        spec=spec_of("data", "dataset"),
        mirror=configured_mirror,
    script:
        "../scripts/data/fetch_cifar.py"


rule unpack_photos:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "imagenet20")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("unpack_photos"),
        runtime=time_of("unpack_photos"),
    params:
        spec=spec_of("data", "dataset"),
    script:
        "../scripts/data/import_photos.py"


rule import_photos:
    input:
        photos=photo_files,
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_of(settings, "photos")),
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("import_photos"),
        runtime=time_of("import_photos"),
    params:
        spec=spec_of("data", "dataset"),
        content=photo_content,
        folder=photo_folder,
    script:
        "../scripts/data/import_photos.py"
