"""Compute and draw the report's figures: each first as a record of data with its finding in words, then drawn."""
