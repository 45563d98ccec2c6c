"""``python -m hft_client`` is ``hft``."""

from hft_client.cli import main

main()
