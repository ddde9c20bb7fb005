"""Record runs in MLflow and read them back, behind one interface, with a buffer for a store that is unavailable."""
