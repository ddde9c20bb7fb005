"""What `make bench` measures: speed, and what is too long for the tests."""
