"""HFT Trading Engine: market orders, executed exactly once, on DynamoDB."""

__version__ = "1.1.0"
