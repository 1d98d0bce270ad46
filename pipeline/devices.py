import contextlib


@contextlib.contextmanager
def choose_device(setting, lock_folder=None, timeout_s=None):
    yield "cpu"


def device_kind(d):
    return d
