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
        mem_mb=memory_of("measure_cones", gpu=True),
        runtime=time_of("measure_cones"),
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
        mem_mb=memory_of("sample_norms"),
        runtime=time_of("sample_norms"),
    params:
        spec=spec_of("norms"),
    script:
        "../scripts/norms/sample.py"
