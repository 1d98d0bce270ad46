"""What a command line of Snakemake and its profiles say, read before Snakemake is started."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import yaml

from pipeline.config.text import text_mistakes

ROOT = Path(__file__).resolve().parents[2]
LOOKING = frozenset({"-n", "--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--summary"})
PROFILE_FILE = re.compile(r"(profile|config)(\.v\d+\+)?\.ya?ml")


def option(arguments: Sequence[str], *names: str) -> str | None:
    """Value of an option in any form that Snakemake's parser takes; the last one counts.

    The forms are `--name value`, `--name=value`, a beginning of the name (`--exec slurm`), `-n value`,
    `-nvalue` and `-n=value`.
    """
    values = _values(arguments, *names)
    return values[-1] if values else None


def _values(arguments: Sequence[str], *names: str) -> list[str]:
    long = [name for name in names if name.startswith("--")]
    short = tuple(name for name in names if name not in long)
    found = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            break
        given, equals, value = word.partition("=")
        # Four letters tell these options from all others.
        begins = len(given) >= len("--") + 4 and any(name.startswith(given) for name in long)
        if begins or given in short:
            following = value if equals else next(words, None)
            found += [] if following is None else [following]
        elif word.startswith(short):
            found.append(word[2:])
    return found


def only_looks(arguments: Sequence[str]) -> bool:
    """Whether Snakemake is asked what it would do or has done, and changes nothing."""
    asked = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(word in LOOKING for word in asked)


def config_files(arguments: Sequence[str]) -> list[Path]:
    """Files of configuration: the checkout's own, and those of the arguments, each option of which takes several."""
    files, is_file = [ROOT / "config.yaml"], False
    for word in arguments:
        if word == "--":
            break
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            is_file = name in ("--configfile", "--configfiles") and not equals
            files += [Path(value)] if equals and name in ("--configfile", "--configfiles") else []
        elif is_file:
            files.append(Path(word))
    return files


def configuration_mistakes(arguments: Sequence[str]) -> str:
    """`text_mistakes` of every file that Snakemake's arguments name, a line for each; empty where there is none."""
    lines = [line for file in config_files(arguments) for line in text_mistakes(file)]
    return "\n".join(f"configuration: {line}" for line in lines)


def working_folder(arguments: Sequence[str]) -> Path:
    """The folder Snakemake will work in."""
    return Path(option(arguments, "--directory", "-d") or ".").resolve()


def on_cluster(arguments: Sequence[str], folder: Path) -> bool:
    """Whether jobs run elsewhere: an executor other than local, in the arguments or in a profile.

    As for Snakemake, arguments count before the workflow profile, and that before other profiles; where
    a profile's file cannot be read, jobs may run elsewhere.
    """
    if executor := option(arguments, "--executor", "-e"):
        return executor != "local"
    snakefile = Path(option(arguments, "--snakefile", "-s") or ".")
    own_places = [Path(), folder, Path("profiles"), snakefile.parent / "profiles"]
    shared_places = [
        Path(),
        folder,
        platformdirs.user_config_path("snakemake", "snakemake"),
        platformdirs.site_config_path("snakemake", "snakemake"),
    ]
    profiles = [(option(arguments, "--workflow-profile") or "default", own_places)]
    shared = _values(arguments, "--profile") or [os.environ.get("SNAKEMAKE_PROFILE", "none")]
    profiles += [(name, shared_places) for name in reversed(shared)]
    for name, places in profiles:
        if name != "none" and (executor := _executor_of(name, places)):
            return executor != "local"
    return False


def _executor_of(profile: str, places: Sequence[Path]) -> str | None:
    path = next((place / profile for place in places if (place / profile).exists()), None)
    if path is None:
        return None
    files = [path] if path.is_file() else [file for file in path.iterdir() if PROFILE_FILE.fullmatch(file.name)]
    executors = []
    for file in files:
        try:
            settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return "unreadable"
        if isinstance(settings, dict) and settings.get("executor"):
            executors.append(str(settings["executor"]))
    # Files for several versions of Snakemake may lie side by side.
    return next((executor for executor in executors if executor != "local"), "local") if executors else None
