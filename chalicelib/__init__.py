"""HFT Trading Engine: market orders, executed exactly once, on DynamoDB."""

__version__ = "1.0.0"
