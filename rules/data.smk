rule fetch_mnist5k:
    output:
        data_path("{dataset}"),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "results/benchmarks/data/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=spec_of("data", "dataset"),
    script:
        "../scripts/data/fetch_mnist5k.py"
