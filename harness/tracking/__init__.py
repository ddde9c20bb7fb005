"""Where runs are recorded and found again: MLflow, behind a seam, and a buffer for a store that is away."""
