"""Chalice blueprints, one module for each group of routes. A view reads a request, makes one call and renders the result."""
