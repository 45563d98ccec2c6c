"""Batches of 1, 10 and 99 orders over one connection, on moto and on ministack, compared with a peer's single orders.

A batch is one transaction: its orders share the cost of the request and of the account's item.
"""

from functools import partial

from bench.contenders import MINISTACK, PEER, Contender, Loaded, own_engines, trade
from bench.figures import Figure, of_rounds
from bench.load import generator
from bench.orders import Batches, Singles
from bench.setting import Say, Setting
from bench.targets import at_least, none

PART = "batches"
SIZES = (1, 10, 99)
PACE = {MINISTACK: 12}
"""The targets by store for the largest batches, in multiples of the smallest ones' fills."""


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Loads each engine with each size of batch, in rounds, and the peer with single orders."""
    loads: dict[tuple[str, int], list[Loaded]] = {}
    peer: list[Loaded] = []
    say("starting the engines")
    with own_engines(setting) as contenders, generator() as load:
        for number in range(1, setting.rounds + 1):
            if setting.peer:
                say(f"round {number} of {setting.rounds}: {PEER}, one by one")
                peer.append(trade(Contender(PEER, setting.peer), load, Singles, connections=1))
            for size in SIZES:
                for contender in contenders:
                    say(f"round {number} of {setting.rounds}: batches of {size}, {contender.name}")
                    loaded = trade(contender, load, partial(Batches, size=size), connections=1)
                    loads.setdefault((contender.name, size), []).append(loaded)
    return _figures(loads, peer)


def _figures(loads: dict[tuple[str, int], list[Loaded]], peer: list[Loaded]) -> list[Figure]:
    figures = []
    for (name, size), rounds in loads.items():
        what = f"{name}, batches of {size}"
        if peer:
            paces = [own.fills_a_second / other.fills_a_second for own, other in zip(rounds, peer, strict=True)]
            figures.append(of_rounds(PART, f"{what}: fills beside the peer", paces, "×"))
        if size > min(SIZES):
            alone = loads[name, min(SIZES)]
            paces = [many.fills_a_second / one.fills_a_second for many, one in zip(rounds, alone, strict=True)]
            beside = of_rounds(PART, f"{what}: fills beside batches of {min(SIZES)}", paces, "×")
            figures.append(at_least(beside, PACE[name]) if size == max(SIZES) and name in PACE else beside)
        figures.append(of_rounds(PART, f"{what}: fills", [load.fills_a_second for load in rounds], "/s"))
        figures.append(of_rounds(PART, f"{what}: p99", [load.answers.latency_ms(99) for load in rounds], "ms"))
    if peer:
        figures.append(of_rounds(PART, f"{PEER}, one by one: fills", [load.fills_a_second for load in peer], "/s"))
    sent = [load for rounds in loads.values() for load in rounds]
    return [
        *figures,
        none(PART, "answers without a fill", sum(load.unfilled for load in sent)),
        none(PART, "loads after which the portfolio is not what was acknowledged", sum(bool(load.missing) for load in sent)),
        none(PART, "audits with a difference", sum(load.audit_differs for load in sent)),
    ]
