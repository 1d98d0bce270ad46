"""Which settings each attack takes, and mistakes in them that a schema cannot see."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.wording import mapping, nearest

STEPS = ("epsilon", "step_size", "steps")

# The keyword arguments of the library's attacks (a test compares).
ATTACK_SETTINGS: dict[str, tuple[str, ...]] = {
    "fgsm": ("epsilon",),
    "fgm_l2": ("epsilon",),
    "igsm": STEPS,
    "bim": STEPS,
    "mifgsm": (*STEPS, "decay"),
    "pgd": STEPS,
    "rfgsm": ("epsilon", "step_size"),
    "rfgsm_iterated": STEPS,
    "apgd_ce": ("epsilon", "steps", "norm"),
    "apgd_dlr": ("epsilon", "steps", "norm"),
    "cw": ("confidence", "c", "learning_rate", "adam_steps", "search_steps"),
    "deepfool": ("overshoot", "max_steps", "candidates"),
    "jsma": ("theta", "pixel_share"),
    "lbfgs": ("mode", "c", "max_steps", "search_steps"),
}
# What `targets` may be, where not all will do.
ATTACK_TARGETS = {"deepfool": ("none",), "apgd_dlr": ("none",), "jsma": ("all", "random", "one")}

OWN_METHOD = r"torchattacks\.[A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*"
# Attacks of other packages and of one's own take these, under one key.
OWN_SETTINGS = ("arguments",)
EVERY_SETTING = frozenset(name for names in (*ATTACK_SETTINGS.values(), OWN_SETTINGS) for name in names)


def settings_of(method: Any) -> tuple[str, ...] | None:
    """Names of the settings that a method takes; None if there is no such method."""
    if isinstance(method, str) and re.fullmatch(OWN_METHOD, method):
        return OWN_SETTINGS
    return ATTACK_SETTINGS.get(method) if isinstance(method, str) else None


def without_foreign_settings(attack: Any) -> Any:
    """An entry of the configuration without what its method does not take (defaults, which are filled in for all)."""
    own = settings_of(mapping(attack).get("method"))
    if own is None:
        return attack
    return {key: value for key, value in attack.items() if key in own or key not in EVERY_SETTING}


def attack_mistakes(given: Mapping[str, Any], resolved: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each mistake in the section `attacks`.

    Args:
        given: the section as somebody wrote it. resolved: with types and defaults.
    """
    for name, attack in mapping(resolved).items():
        attack, where = mapping(attack), f"attacks.{name}"
        method = attack.get("method")
        if not isinstance(method, str):
            continue
        own = settings_of(method)
        if own is None:
            yield (
                f"{where}.method: expected {', '.join(ATTACK_SETTINGS)}, torchattacks.CLASS or "
                f"package.module:function, found '{method}'{nearest(method, ATTACK_SETTINGS)}"
            )
            continue
        written = mapping(mapping(given).get(name))
        for key in sorted(EVERY_SETTING.difference(own).intersection(written)):
            yield f"{where}.{key}: {method} does not take it, only {', '.join(own)}"
        targets, allowed = attack.get("targets"), ATTACK_TARGETS.get(method)
        if allowed and targets not in allowed:
            yield f"{where}.targets: {method} needs {' or '.join(allowed)}, found {targets!r}"
        yield from _numbers_that_do_not_fit(where, method, attack)


def _numbers_that_do_not_fit(where: str, method: str, attack: Mapping[str, Any]) -> Iterator[str]:
    epsilon, step_size = attack.get("epsilon"), attack.get("step_size")
    is_l2 = method == "fgm_l2" or attack.get("norm") == "l2"
    if isinstance(epsilon, float) and epsilon > 1 and not is_l2:
        yield f"{where}.epsilon: expected a value of at most 1, found {epsilon}"
    if method == "rfgsm" and isinstance(epsilon, float) and isinstance(step_size, float) and step_size >= epsilon:
        yield f"{where}.step_size: expected a value below epsilon ({epsilon}), found {step_size}"
    if attack.get("theta") == 0:
        yield f"{where}.theta: expected a value above or below 0, found 0.0"
