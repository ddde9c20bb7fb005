"""Train one reproducible run of the ConvNet, or of a user's own network; README.md maps the modules."""
