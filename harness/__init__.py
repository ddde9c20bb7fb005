"""One reproducible run of the ConvNet, or of a user's own network: README.md says what is where."""
