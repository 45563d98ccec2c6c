"""Who is calling: the authorizer, which checks tokens."""
