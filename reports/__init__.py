"""Reading: from MLflow to tidy frames, figures and the report's page. No torch.

`sources` reads a sweep or run, `frames` makes tables of it, `statistics` and `answer` say what they can tell,
`figures` draws, `contents` is all of it computed, `page` writes the files; `comparison` puts two beside each other.
`queries` is the Python API: leaderboard, compare, export.
"""
