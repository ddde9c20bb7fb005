"""Read a sweep from MLflow, and make tables, statistics, figures and the page, without torch; see README.md."""
