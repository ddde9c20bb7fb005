"""What we claim: the declared experiments, and the command line; README.md says what is where."""
