rule train_teacher:
    input:
        data=study_data,
    output:
        teacher_path("{study}", "{teacher}", "{seed}"),
    log:
        "logs/logits/{study}/teachers/{teacher}-s{seed}.log",
    benchmark:
        "results/benchmarks/logits/{study}/teachers/{teacher}-s{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("train_teacher", gpu=True),
        runtime=time_of("train_teacher"),
    params:
        spec=spec_of("teachers", "study", "teacher", "seed"),
        device=configured_device,
    script:
        "../scripts/logits/train_teacher.py"


rule record_outputs:
    input:
        data=study_data,
        networks=teachers_of_study,
    output:
        outputs_path("{study}", "{teacher}"),
    log:
        "logs/logits/{study}/outputs/{teacher}.log",
    benchmark:
        "results/benchmarks/logits/{study}/outputs/{teacher}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("record_outputs", gpu=True),
        runtime=time_of("record_outputs"),
    params:
        spec=spec_of("outputs", "study", "teacher"),
        device=configured_device,
    script:
        "../scripts/logits/record_outputs.py"


rule average_targets:
    input:
        data=study_data,
        teacher=teacher_path("{study}", "{teacher}", "{seed}"),
    output:
        target_path("{study}", "{teacher}", "{epoch}", "{seed}"),
    log:
        "logs/logits/{study}/targets/{teacher}-e{epoch}-s{seed}.log",
    benchmark:
        "results/benchmarks/logits/{study}/targets/{teacher}-e{epoch}-s{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("average_targets", gpu=True),
        runtime=time_of("average_targets"),
    params:
        spec=spec_of("targets", "study", "teacher", "epoch", "seed"),
        device=configured_device,
    script:
        "../scripts/logits/average_targets.py"


rule distil_student:
    input:
        unpack(targets_of_student),
        data=study_data,
    output:
        student_path("{study}", "{student}", "{seed}"),
    log:
        "logs/logits/{study}/students/{student}-s{seed}.log",
    benchmark:
        "results/benchmarks/logits/{study}/students/{student}-s{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("distil_student", gpu=True),
        runtime=time_of("distil_student"),
    params:
        spec=spec_of("students", "study", "student", "seed"),
        device=configured_device,
    script:
        "../scripts/logits/distil.py"


rule measure_robustness:
    input:
        data=study_data,
        networks=judged_networks,
    output:
        robustness_path("{study}", "{judged}"),
    log:
        "logs/logits/{study}/robustness/{judged}.log",
    benchmark:
        "results/benchmarks/logits/{study}/robustness/{judged}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        gpu=GPUS,
        mem_mb=memory_of("measure_robustness", gpu=True),
        runtime=time_of("measure_robustness"),
    params:
        spec=spec_of("robustness", "study", "judged"),
        device=configured_device,
    script:
        "../scripts/logits/measure_robustness.py"


rule describe_logits:
    input:
        unpack(analysis_input("distributions")),
    output:
        study_path("{study}", "distributions"),
    log:
        "logs/logits/{study}/distributions.log",
    benchmark:
        "results/benchmarks/logits/{study}/distributions.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("describe_logits"),
        runtime=time_of("describe_logits"),
    params:
        spec=spec_of("distributions", "study"),
    script:
        "../scripts/logits/describe.py"


rule compare_answers:
    input:
        unpack(analysis_input("answers")),
    output:
        study_path("{study}", "answers"),
    log:
        "logs/logits/{study}/answers.log",
    benchmark:
        "results/benchmarks/logits/{study}/answers.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("compare_answers"),
        runtime=time_of("compare_answers"),
    params:
        spec=spec_of("answers", "study"),
    script:
        "../scripts/logits/compare_answers.py"


rule compare_images:
    input:
        unpack(analysis_input("images")),
        data=study_data,
    output:
        study_path("{study}", "images"),
    log:
        "logs/logits/{study}/images.log",
    benchmark:
        "results/benchmarks/logits/{study}/images.tsv"
    conda:
        "../envs/torch.yaml"
    threads: settings["threads"]
    resources:
        mem_mb=memory_of("compare_images"),
        runtime=time_of("compare_images"),
    params:
        spec=spec_of("images", "study"),
    script:
        "../scripts/logits/compare_images.py"
