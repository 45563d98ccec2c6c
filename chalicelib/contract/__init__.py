"""The HTTP contract: requests as values, replies as text, errors with their status and code."""
