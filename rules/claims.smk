rule decide_claims:
    input:
        claims_input,
    output:
        report(
            CLAIMS,
            caption="../report/claims.rst",
            category="Claims",
            labels={"artefact": "published claims and their verdicts"},
        ),
        CLAIM_LIMITS,
    log:
        "logs/claims.log",
    benchmark:
        "results/benchmarks/claims.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=memory_of("decide_claims"),
        runtime=time_of("decide_claims"),
    params:
        spec=claims_param,
        root=checkout,
    script:
        "../scripts/tables/claims.py"
