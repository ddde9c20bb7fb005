"""The report's figures. Each is first computed, as a typed record with its finding in words, and then drawn."""
