"""Market: prices from public sources, set once a minute by a function of its own. The API's function does not import it."""
