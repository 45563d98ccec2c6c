"""Feed: prices from a source, written through the operator's API for as long as wanted."""
