"""One reproducible run of the ConvNet, or of a user's own network; README.md has a map of the modules."""
