"""Find, record and compare what decides a run's numbers beside its config: data, source, environment."""
