"""Define how long a slice lasts. This module imports nothing, so that the command line can start quickly."""

SLICE_SECONDS = 10.0  # the state is kept after each slice, so a kill costs at most about this much work
