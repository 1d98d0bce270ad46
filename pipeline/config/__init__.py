"""The configuration: types, defaults and bounds, and every mistake in it."""
