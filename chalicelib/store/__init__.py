"""The only package that knows DynamoDB."""

import logging

# Both report at INFO where they found settings and credentials: noise in every process, and the first of it during an import.
for _chatty in ("pynamodb", "botocore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)
