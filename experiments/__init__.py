"""What we claim: the declared experiments (one TOML file each) and the command line."""
