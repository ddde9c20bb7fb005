"""One reproducible run of the ConvNet: config, data, model, training, state and tracking.

`config` owns every name, type and default; `training` advances a `state` by epochs and does nothing else; `run`
opens, tracks and closes a run; `tracking` alone knows MLflow's runs, `models` its models and `classifier` what is in
them; `outbox` waits for a store that is away. `reproducibility` is what makes a run repeat, `reproduction` the proof.
`origin` has what a run's numbers come from beside its config, `source` the files of own parts, `repeatable` a second
process that makes their data. Imports nothing of the other packages.
"""

import os

# MLflow reads these when it is imported first, wherever that is
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is for the result
# a request that is sent again after its answer was lost would start a run twice; the outbox looks first
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
