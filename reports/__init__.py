"""Reading: from MLflow to tables, statistics, figures and the page, without torch; README.md says what is where."""
