"""Names of the two ways in which the teachers of a study are trained, and of their checkpoints."""

TEACHERS = ("standard", "adversarial")


def checkpoint_name(teacher: str, epoch: int) -> str:
    """Name of a teacher as it was after an epoch, e.g. `adversarial-e040`."""
    return f"{teacher}-e{epoch:03d}"
