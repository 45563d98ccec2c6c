"""HFT Trading Engine: market orders, executed exactly once, on DynamoDB."""

__version__ = "2.0.0"
