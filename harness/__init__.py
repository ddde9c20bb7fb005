"""One reproducible run of the ConvNet, or of a user's own network: README.md says what is where."""

import os

# MLflow reads these when it is imported first, wherever that is
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is for the result
# a request that is sent again after its answer was lost would start a run twice; the outbox looks first
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
