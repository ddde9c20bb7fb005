"""One reproducible run of the ConvNet: config, data, model, training, state and tracking."""
