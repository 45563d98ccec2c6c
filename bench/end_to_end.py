"""Orders over HTTP, one in each request, on moto and on ministack, compared with a peer where one is named.

All engines run the whole time. They get the same orders in turn, round by round.
"""

from collections import defaultdict
from decimal import Decimal

from bench.contenders import MINISTACK, MOTO, PEER, Contender, Loaded, own_engines, trade
from bench.figures import Figure, of_rounds
from bench.load import generator
from bench.orders import Singles
from bench.setting import Say, Setting
from bench.targets import at_least, at_most, none

PART = "over HTTP"
CONNECTIONS = (1, 8, 32)
PACE = {MOTO: {1: 2.3, 8: 4, 32: 6}, MINISTACK: {1: 2.5, 8: 5, 32: 8}}
"""The targets by store and number of connections, in multiples of the peer's fills."""
SCALE = {MOTO: {8: 1.9, 32: 2.8}, MINISTACK: {8: 2.3, 32: 3.5}}
"""The targets by store and number of connections, in multiples of one connection's fills, all of them on one account."""
WAIT = {1: 1, 8: 1, 32: 0.2}
"""The targets for p99 by number of connections, in multiples of the peer's."""

Loads = dict[tuple[str, int], list[Loaded]]
"""The loads of each contender with each number of connections, round by round."""


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Loads each engine over 1, 8 and 32 connections, in rounds."""
    loads: Loads = defaultdict(list)
    say("starting the engines")
    with own_engines(setting) as contenders, generator() as load:
        if setting.peer:
            contenders.append(Contender(PEER, setting.peer))
        for number in range(1, setting.rounds + 1):
            for connections in CONNECTIONS:
                for contender in contenders:
                    say(f"round {number} of {setting.rounds}: {connections} connections, {contender.name}")
                    loads[contender.name, connections].append(trade(contender, load, Singles, connections))
    return [*_speed(loads), *_books(loads)]


def _speed(loads: Loads) -> list[Figure]:
    figures = []
    for (name, connections), rounds in loads.items():
        what = f"{name}, {connections} connection{'s' if connections > 1 else ''}"
        peer = loads.get((PEER, connections))
        if peer is not None and name != PEER:
            paces = [own.fills_a_second / other.fills_a_second for own, other in zip(rounds, peer, strict=True)]
            waits = [own.answers.latency_ms(99) / other.answers.latency_ms(99) for own, other in zip(rounds, peer, strict=True)]
            figures += [
                at_least(of_rounds(PART, f"{what}: fills beside the peer", paces, "×"), PACE[name][connections]),
                at_most(of_rounds(PART, f"{what}: p99 beside the peer", waits, "×"), WAIT[connections]),
            ]
        if connections > 1:
            alone = loads[name, 1]
            scales = [many.fills_a_second / one.fills_a_second for many, one in zip(rounds, alone, strict=True)]
            scale = of_rounds(PART, f"{what}: fills beside 1 connection", scales, "×")
            figures.append(at_least(scale, SCALE[name][connections]) if name in SCALE else scale)
        figures.append(of_rounds(PART, f"{what}: fills", [load.fills_a_second for load in rounds], "/s"))
        figures += [
            of_rounds(PART, f"{what}: p{percent}", [load.answers.latency_ms(percent) for load in rounds], "ms")
            for percent in (50, 99)
        ]
    return figures


def _books(loads: Loads) -> list[Figure]:
    figures = []
    for name in dict.fromkeys(name for name, _ in loads):
        sent = [load for (whose, _), rounds in loads.items() if whose == name for load in rounds]
        wrong = sum(bool(load.missing) for load in sent)
        if name == PEER:
            usd = sum((abs(load.missing.get("USD", Decimal(0))) for load in sent), Decimal(0))
            figures += [
                Figure(PART, f"{name}: loads after which its portfolio is not what it acknowledged", wrong, f"of {len(sent)}"),
                Figure(PART, f"{name}: by how much", float(usd), "USD"),
            ]
            continue
        figures += [
            none(PART, f"{name}: orders not filled", sum(load.unfilled for load in sent)),
            none(PART, f"{name}: loads after which its portfolio is not what it acknowledged", wrong),
        ]
        if name == MINISTACK:
            figures.append(none(PART, f"{name}: audits with a difference", sum(load.audit_differs for load in sent)))
    return figures
