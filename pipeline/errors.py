"""The one exception family that a user is meant to read."""


class UserError(Exception):
    """A problem the user can mend: its text is one sentence naming the key or file, what was expected
    and what was found. Jobs print it without a traceback."""
