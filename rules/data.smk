rule fetch_mnist5k:
    output:
        data_path("{dataset}"),
    params:
        spec=spec_of("data", "dataset"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    threads: settings["threads"]
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/torch.yaml"
    script:
        "../scripts/data/fetch_mnist5k.py"
