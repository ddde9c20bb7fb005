"""One reproducible run of the ConvNet: config, data, model, training, state and tracking.

`config` owns every name, type and default; `training` advances a `state` by epochs and does nothing else; `run`
opens, tracks and closes a run; `tracking` alone knows MLflow, and `outbox` waits for it where it is away.
`reproducibility` is what makes a run repeat, `reproduction` the proof. Imports nothing of the other packages.
"""
