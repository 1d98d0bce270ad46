rule tabulate_persistence:
    input:
        models=table_models,
        attacks=table_input("attacks"),
        persistence=table_input("persistence"),
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/persistence_by_network.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: networks, L-BFGS distortion and persistence"
            },
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "persistence_by_network")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_persistence"),
        runtime=time_of("tabulate_persistence"),
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/persistence_by_network.py"


rule tabulate_layers:
    input:
        models=table_models,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/network_layers.rst",
            category="Bell, Part I: persistence",
            labels={"artefact": "{artefact}: layers of the networks as built"},
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "network_layers")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_layers"),
        runtime=time_of("tabulate_layers"),
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/network_layers.py"


rule tabulate_detection:
    input:
        persistence=paired_input("persistence"),
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/detection.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: persistence as a detector of adversarial images"
            },
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "detection")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_detection"),
        runtime=time_of("tabulate_detection"),
    params:
        spec=table_param,
    script:
        "../scripts/tables/detection.py"


rule compare_attacks:
    input:
        attacks=paired_input("attacks"),
        times=attack_times,
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/attack_comparison.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: success, distortion, cost and time of attacks"
            },
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "attack_comparison")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("compare_attacks"),
        runtime=time_of("compare_attacks"),
    params:
        spec=table_param,
    script:
        "../scripts/tables/attack_comparison.py"


rule tabulate_attacks:
    input:
        attacks=paired_input("attacks"),
        persistence=paired_input("persistence"),
    output:
        report(
            "results/tables/{artefact}.csv",
            caption="../report/persistence_by_attack.rst",
            category="Bell, Part I: persistence",
            labels={
                "artefact": "{artefact}: networks, attacks, distortion and persistence"
            },
        ),
    log:
        "logs/tables/{artefact}.log",
    benchmark:
        "results/benchmarks/tables/{artefact}.tsv"
    wildcard_constraints:
        artefact=one_of(tables_of(settings, "persistence_by_attack")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("tabulate_attacks"),
        runtime=time_of("tabulate_attacks"),
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/persistence_by_attack.py"
