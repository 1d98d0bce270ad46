rule measure_cones:
    output:
        SINGLE["cones"],
    log:
        "logs/cones.log",
    benchmark:
        "results/benchmarks/cones.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=30,
    params:
        spec=spec_of("cones"),
        device=configured_device,
    script:
        "../scripts/cones/measure.py"


rule sample_norms:
    output:
        SINGLE["norms"],
    log:
        "logs/norms.log",
    benchmark:
        "results/benchmarks/norms.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        spec=spec_of("norms"),
    script:
        "../scripts/norms/sample.py"
