"""Identity: the authorizer, which checks tokens, and its settings."""
