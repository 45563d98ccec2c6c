"""The rules of the market, pure: no AWS, no HTTP, no clock of their own."""
