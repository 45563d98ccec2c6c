"""The operator's tools: ``python -m ops --help``. They run where the operator is; nothing here goes to Lambda."""
