"""How long a worker trains at a time. It imports nothing, so that the command line has it at once."""

SLICE_SECONDS = 10.0  # that a slice of a run is to last: what a kill costs, and after which the state is kept
