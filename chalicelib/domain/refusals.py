"""Reasons why nothing can be decided: nothing is stored, and the key stays unused."""

from collections.abc import Mapping, Sequence


class Undecided(Exception):
    """Nothing can be decided now.

    `needs_account`: the reason depends on the account, so it must be confirmed against the account as it is.
    """

    needs_account = False


class UnknownAsset(Undecided):
    """Nothing by these symbols is listed."""

    def __init__(self, symbols: Sequence[str]) -> None:
        super().__init__(*symbols)
        self.symbols = symbols


class HaltedAsset(Undecided):
    """An operator halted trading in these assets."""

    def __init__(self, symbols: Sequence[str]) -> None:
        super().__init__(*symbols)
        self.symbols = symbols


class StalePrice(Undecided):
    """Prices too old to decide an order by. `price_at`: when the market set each, by symbol; `max_age_s`: the limit."""

    def __init__(self, price_at: Mapping[str, str], max_age_s: int) -> None:
        super().__init__(*price_at)
        self.price_at = price_at
        self.max_age_s = max_age_s


class BrokenRule(Undecided):
    """The order breaks a trading rule. `field`: which field of the order; `rule`: the rule's name; the message explains it."""

    def __init__(self, field: str, rule: str, message: str, *, needs_account: bool) -> None:
        super().__init__(f"{message} (rule {rule})")
        self.field = field
        self.rule = rule
        self.needs_account = needs_account


class UndecidedTogether(Undecided):
    """A refusal of all-or-nothing orders, some of which cannot be decided. `places`: those, from 0; `reason`: the first one's."""

    def __init__(self, places: Sequence[int], reason: Undecided, *, needs_account: bool) -> None:
        super().__init__(*reason.args)
        self.places = places
        self.reason = reason
        self.needs_account = needs_account


class TransferRejected(Undecided):
    """A transfer that may not be made; the message says why. `overdraws`: the balance does not cover it."""

    needs_account = True

    def __init__(self, message: str, *, overdraws: bool = False) -> None:
        super().__init__(message)
        self.overdraws = overdraws
