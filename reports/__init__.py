"""Reading: from MLflow to tidy frames, figures and the report's page. No torch."""
