"""The project's own rules about its files."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from pipeline.provenance.digest import imported_files

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\s*-?\s*([A-Za-z0-9_.-]+)==(\S+)", text, re.M))


def requirements() -> dict[str, str]:
    return {
        name: version
        for file in ("run.txt", "no-deps.txt", "test.txt", "docs.txt", "slurm.txt", "cluster-generic.txt")
        for name, version in pins((ROOT / "requirements" / file).read_text()).items()
    }


@pytest.mark.parametrize("environment", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.name)
def test_conda_pins_equal_pip_pins(environment):
    listed = yaml.safe_load(environment.read_text())["dependencies"][-1]["pip"]
    assert listed
    for name, version in pins("\n".join(listed)).items():
        assert requirements()[name] == version, name
    hook = environment.with_suffix(".post-deploy.sh")
    for name, version in pins(hook.read_text().replace("--no-deps ", "\n")).items() if hook.exists() else ():
        assert requirements()[name] == version, name


def rules() -> list[tuple[str, str, str]]:
    """Environment and script of every rule, with its name."""
    found = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            environment = re.search(r'conda:\s+"\.\./(envs/[\w.]+)"', rule)
            script = re.search(r'script:\s+"\.\./(scripts/[\w/]+\.py)"', rule)
            assert environment, rule
            assert script, rule
            found.append((environment[1], script[1], rule.split(":")[0]))
    return found


def test_conda_environments_hold_what_scripts_import():
    made_of = packages_distributions()
    needed: dict[str, set[str]] = {}
    for environment, script, _ in rules():
        modules = {name for path in imported_files(ROOT, ROOT / script) for name in imported_packages(path)}
        # Digests leave out the files that only name things, which import this.
        modules |= {"lazy_loader"} if "neighborhoods" in modules else set()
        foreign = modules - sys.stdlib_module_names - {"neighborhoods", "pipeline", "scripts", "snakemake"}
        needed.setdefault(environment, set()).update(made_of[name][0].lower().replace("_", "-") for name in foreign)
    # Only where a job computes on a GPU, which none that draws does.
    needed["envs/figures.yaml"].discard("torch")
    assert len(needed) == 2
    for environment, packages in needed.items():
        listed = (ROOT / environment).read_text()
        hook = (ROOT / environment).with_suffix(".post-deploy.sh")
        listed += hook.read_text().replace("--no-deps ", "\n") if hook.exists() else ""
        assert packages <= {name.lower() for name in pins(listed)}, environment


def test_constraints_agree_with_the_direct_pins():
    constraints = {
        name.lower(): version for name, version in pins((ROOT / "requirements/constraints.txt").read_text()).items()
    }
    assert "torch" not in constraints
    for name, version in requirements().items():
        assert constraints.get(name.lower(), version) == version, name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_stay_small_and_never_read_the_configuration(script):
    text = script.read_text()
    assert len(text.splitlines()) <= 160
    assert "snakemake.config" not in text
    guard = ast.parse(text).body[-1]
    assert isinstance(guard, ast.If), "a script ends with its guard"
    assert guard.end_lineno - guard.lineno < 15
    public = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
    assert len(public) == 1
    assert not public[0].args.args, "keyword arguments only"


def imported_names(code: Path | ast.AST) -> set[str]:
    """Dotted names, each with what is taken from it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code.read_text()) if isinstance(code, Path) else code):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported_packages(code: Path | ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported_names(code)}


def test_layers_point_one_way():
    for path in (ROOT / "neighborhoods").rglob("*.py"):
        assert not imported_packages(path) & {"pipeline", "scripts", "snakemake"}, path.name
    for path in (ROOT / "pipeline").rglob("*.py"):
        assert not imported_packages(path) & {"neighborhoods", "scripts"}, path.name
    for path in (ROOT / "scripts" / "figures").rglob("*.py"):
        assert not imported_packages(path) & {"neighborhoods", "torch", "scipy"}, f"{path.name} should only draw"


def test_packages_of_the_pipeline_import_what_the_architecture_lists_above_them():
    tables = re.findall(r"^\| `pipeline\.(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.M)
    assert sorted(tables) == sorted(path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py"))
    for path in (ROOT / "pipeline").rglob("*.py"):
        own = path.parent.name
        allowed = tables[: tables.index(own) + 1] if own in tables else []
        imported = {name.split(".")[1] for name in imported_names(path) if name.startswith("pipeline.")}
        assert imported & set(tables) <= set(allowed), path.relative_to(ROOT)


def test_both_styles_set_the_same_keys_and_colours():
    def keys(name):
        lines = (ROOT / "styles" / name).read_text().splitlines()
        return dict(line.split(":", 1) for line in lines if line and not line.startswith("#"))

    paper, talk = keys("paper.mplstyle"), keys("talk.mplstyle")
    assert paper.keys() == talk.keys()
    assert paper["axes.prop_cycle"] == talk["axes.prop_cycle"]


def test_every_rule_decides_reruns_by_a_spec():
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            assert "spec=" in rule, rule.split(":")[0]
            assert "script:" in rule
            assert "benchmark:" in rule
            assert "log:" in rule
            assert "conda:" in rule


def test_every_rule_that_can_use_a_gpu_asks_for_one():
    rules = [
        rule
        for path in (ROOT / "rules").glob("*.smk")
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]
    ]
    with_device = [rule for rule in rules if "device=configured_device" in rule]
    assert with_device
    for rule in rules:
        assert ("gpu=GPUS" in rule) == (rule in with_device), rule.split(":")[0]
    # Profiles name no rule, so that none can be forgotten there.
    for profile in (ROOT / "profiles").glob("*/config.yaml"):
        assert "set-resources" not in yaml.safe_load(profile.read_text()), profile


def test_the_profile_leaves_the_code_trigger_out():
    for profile in ("default", "slurm", "cluster-generic"):
        settings = yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())
        assert settings["rerun-triggers"] == ["mtime", "params", "input", "software-env"]
        assert settings["rerun-incomplete"] is True


@pytest.mark.parametrize("package", ["neighborhoods", "pipeline"])
def test_package_files_only_name_things(package):
    # Digests leave them out, so nothing that computes may stand there.
    lazily = "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)"
    for path in (ROOT / package).rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            version = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert (
                docstring
                or version
                or ast.unparse(node).replace("(__getattr__, __dir__, __all__)", "__getattr__, __dir__, __all__")
                in ("import lazy_loader", lazily)
            ), path


def rules_with_scripts():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"(?m)^(?=rule \w+:)", path.read_text())[1:]:
            if "    script:\n" in text:
                yield re.match(r"rule (\w+):", text)[1], text


@pytest.mark.parametrize(("rule", "text"), list(rules_with_scripts()), ids=lambda value: value.split("\n")[0])
def test_every_rule_has_a_log_a_benchmark_memory_and_time(rule, text):
    for part in ("log", "benchmark", "threads", "resources"):
        assert re.search(rf"^    {part}:", text, re.M), part
    gpu = ", gpu=True" if re.search(r"^        gpu=GPUS,$", text, re.M) else ""
    assert f'        mem_mb=memory_of("{rule}"{gpu}),' in text
    assert f'        runtime=time_of("{rule}"),' in text
