"""Chalice blueprints, one module a group of routes. A view reads a request, makes one call and renders the result."""
