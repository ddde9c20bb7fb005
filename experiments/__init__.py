"""What we claim: the declared experiments (one TOML file each) and the command line.

`catalog` reads the files, `spaces` holds what is searched by default, with the evidence; `cli` parses and delegates,
`terminal` prints results, `live` shows a sweep that runs.
"""
