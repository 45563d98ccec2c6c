"""The figures of a trade, as what must hold between them: each inequality has exactly one solution.

Amounts are integers in units of 10⁻⁸, prices in units of 10⁻¹⁶ USD, rates in 10⁻⁶. Every rounding is against the client.
"""

_RATE_PER_ONE = 10**6
_PRICE_OF_USD = 10**16


def is_cost(cost: int, quantity: int, symbol_price: int, other_price: int) -> bool:
    """Returns whether a buy's cost before its fee is the least that is not in the client's favour."""
    value = quantity * symbol_price
    return (cost - 1) * other_price < value <= cost * other_price


def is_gross(gross: int, quantity: int, symbol_price: int, other_price: int) -> bool:
    """Returns whether a sell's proceeds before the fee are the most that are not in the client's favour."""
    value = quantity * symbol_price
    return gross * other_price <= value < (gross + 1) * other_price


def is_fee(fee: int, base: int, rate: int) -> bool:
    """Returns whether a fee is the least that covers its rate of `base`; without a rate it is 0."""
    return (fee - 1) * _RATE_PER_ONE < base * rate <= fee * _RATE_PER_ONE


def total_cost(quantity: int, symbol_price: int, other_price: int, rate: int) -> int:
    """Returns a buy's cost with its fee."""
    cost = _least(quantity * symbol_price, other_price)
    return cost + _least(cost * rate, _RATE_PER_ONE)


def net_proceeds(quantity: int, symbol_price: int, other_price: int, rate: int) -> int:
    """Returns a sell's proceeds after its fee."""
    gross, _ = divmod(quantity * symbol_price, other_price)
    return gross - _least(gross * rate, _RATE_PER_ONE)


def largest_quantity(total: int, step: int, symbol_price: int, other_price: int, rate: int) -> int:
    """Returns the largest quantity on the step that costs `total` at most, its fee included."""
    before_fee, _ = divmod(total * _RATE_PER_ONE, _RATE_PER_ONE + rate)
    steps, _ = divmod(before_fee * other_price, symbol_price * step)
    return steps * step


def buy_rounds_badly(total: int, quantity: int, symbol_price: int, other_price: int, rate: int) -> bool:
    """Returns whether rounding costs a buyer more than 1 % of the exact value before fee."""
    value = quantity * symbol_price
    return 100 * (total * other_price * _RATE_PER_ONE - value * (_RATE_PER_ONE + rate)) > value * _RATE_PER_ONE


def sell_rounds_badly(net: int, quantity: int, symbol_price: int, other_price: int, rate: int) -> bool:
    """Returns whether rounding costs a seller more than 1 % of the exact value before fee, or leaves nothing."""
    value = quantity * symbol_price
    return net == 0 or 100 * (value * (_RATE_PER_ONE - rate) - net * other_price * _RATE_PER_ONE) > value * _RATE_PER_ONE


def is_beyond(limit_price: int, symbol_price: int, other_price: int, *, buys: bool) -> bool:
    """Returns whether the market's price is worse than a limit, exactly."""
    market, limit = symbol_price * _PRICE_OF_USD, limit_price * other_price
    return market > limit if buys else market < limit


def share(basis: int, part: int, whole: int) -> int:
    """Returns the part's share of a basis, half up: the one y with 2·whole·y <= 2·basis·part + whole < 2·whole·(y + 1)."""
    return _nearest(basis * part, whole)


def value_usd(units: int, price: int) -> int:
    """Returns an amount's value in units of USD, half up."""
    return _nearest(units * price, _PRICE_OF_USD)


def _least(dividend: int, divisor: int) -> int:
    """Returns the least integer that is not below a quotient."""
    quotient, rest = divmod(dividend, divisor)
    return quotient + (rest > 0)


def _nearest(dividend: int, divisor: int) -> int:
    """Returns the integer nearest to a quotient; of two, the larger."""
    quotient, rest = divmod(dividend, divisor)
    return quotient + (2 * rest >= divisor)
