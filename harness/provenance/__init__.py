"""What a run's numbers come from beside its config: data, source, environment; found, recorded and compared."""
