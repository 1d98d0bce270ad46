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
        artefact=one_of(settings["tables"]),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=table_param,
        published=published_numbers,
    script:
        "../scripts/tables/persistence_by_network.py"
