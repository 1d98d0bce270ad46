rule record_path:
    input:
        data=lambda wildcards: data_path(
            settings["path_kernel"]["networks"][wildcards.network]["dataset"]
        ),
    output:
        kernel_path("{network}", "path"),
    log:
        "logs/path_kernel/{network}/path.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/path.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("record_path"),
        runtime=time_of("record_path"),
    params:
        spec=spec_of("paths", "network"),
    script:
        "../scripts/path_kernel/record.py"


rule integrate_kernel:
    input:
        data=lambda wildcards: data_path(
            settings["path_kernel"]["networks"][wildcards.network]["dataset"]
        ),
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "kernel"),
    log:
        "logs/path_kernel/{network}/kernel.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/kernel.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("integrate_kernel"),
        runtime=time_of("integrate_kernel"),
    params:
        spec=spec_of("path_kernel", "network"),
    script:
        "../scripts/path_kernel/integrate.py"


rule study_kernel:
    input:
        data=kernel_data,
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "study"),
    log:
        "logs/path_kernel/{network}/study.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/study.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("study_kernel"),
        runtime=time_of("study_kernel"),
    params:
        spec=spec_of("kernel_study", "network"),
    script:
        "../scripts/path_kernel/study.py"


rule map_kernel:
    input:
        data=kernel_data,
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "map"),
    log:
        "logs/path_kernel/{network}/map.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/map.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("map_kernel"),
        runtime=time_of("map_kernel"),
    params:
        spec=spec_of("kernel_map", "network"),
    script:
        "../scripts/path_kernel/map.py"


rule vary_kernel:
    input:
        data=kernel_data,
        path=kernel_path("{network}", "path"),
    output:
        kernel_path("{network}", "variants"),
    log:
        "logs/path_kernel/{network}/variants.log",
    benchmark:
        "results/benchmarks/path_kernel/{network}/variants.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("vary_kernel"),
        runtime=time_of("vary_kernel"),
    params:
        spec=spec_of("kernel_variants", "network"),
    script:
        "../scripts/path_kernel/vary.py"
