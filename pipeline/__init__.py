"""What rules and scripts share: store, configuration, digests, seeds, devices. Free of torch."""
