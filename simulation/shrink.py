"""Cutting a run that breaks a rule down to the shortest one found that still breaks it.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), over the plan's actions and
over the faults that struck: leave out halves, then quarters, … then single ones, for as long as anything can be left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from chalicelib import engine
from chalicelib.domain.order import Order
from simulation.checks import Rule, judge
from simulation.process import Build
from simulation.run import run
from simulation.workload import Action, Ask, Batch, Feed, Plan

Part = TypeVar("Part")
Breaks = Callable[[Plan], bool]


def shrink(plan: Plan, rule: Rule, build: Build = engine.build) -> Plan:
    """Returns the shortest plan found that still breaks the rule."""

    def breaks(candidate: Plan) -> bool:
        violation = judge(run(candidate, build))
        return violation is not None and violation.rule is rule

    while True:
        shorter = plan
        for without_something in (_no_end, _fewer_actions, _fewer_symbols, _fewer_sends, _fewer_orders):
            shorter = without_something(shorter, breaks)
        shorter = _fewer_faults(shorter, breaks, list(run(shorter, build).struck))
        if shorter == plan:
            return plan
        plan = shorter


def _no_end(plan: Plan, breaks: Breaks) -> Plan:
    shorter = replace(plan, asks_again=False)
    return shorter if breaks(shorter) else plan


def _fewer_actions(plan: Plan, breaks: Breaks) -> Plan:
    kept = _fewest(plan.actions, lambda actions: breaks(replace(plan, actions=tuple(actions))))
    return replace(plan, actions=tuple(kept))


def _fewer_symbols(plan: Plan, breaks: Breaks) -> Plan:
    kept = _fewest(list(plan.opening.items()), lambda opening: breaks(replace(plan, opening=dict(opening))))
    return replace(plan, opening=dict(kept))


def _fewer_faults(plan: Plan, breaks: Breaks, struck: Sequence[str]) -> Plan:
    """Spares the run the faults that it does not need. New ones may strike then, where the run takes another course."""

    def with_only(kept: Sequence[str]) -> Plan:
        return replace(plan, spared=plan.spared | (set(struck) - set(kept)))

    return with_only(_fewest(struck, lambda kept: breaks(with_only(kept))))


def _fewer_sends(plan: Plan, breaks: Breaks) -> Plan:
    """Lets each client and each feed try no more often than it must."""
    for index, action in enumerate(plan.actions):
        if isinstance(action, Ask | Feed):
            for sends in range(1, action.sends):
                candidate = _with(plan, index, replace(action, sends=sends))
                if breaks(candidate):
                    plan = candidate
                    break
    return plan


def _fewer_orders(plan: Plan, breaks: Breaks) -> Plan:
    """Leaves out of each batch what it can do without."""
    for index, action in enumerate(plan.actions):
        if isinstance(action, Ask) and isinstance(action.wanted, Batch):
            plan = _fewer_in_batch(plan, breaks, index, action, action.wanted)
    return plan


def _fewer_in_batch(plan: Plan, breaks: Breaks, index: int, ask: Ask, batch: Batch) -> Plan:
    def with_only(orders: Sequence[Order]) -> Plan:
        return _with(plan, index, replace(ask, wanted=replace(batch, orders=tuple(orders))))

    return with_only(_fewest(batch.orders, lambda orders: bool(orders) and breaks(with_only(orders))))


def _with(plan: Plan, index: int, action: Action) -> Plan:
    return replace(plan, actions=(*plan.actions[:index], action, *plan.actions[index + 1 :]))


def _fewest(parts: Sequence[Part], enough: Callable[[Sequence[Part]], bool]) -> Sequence[Part]:
    """Returns a part of `parts` that is still `enough`, and of which no single one can be left out."""
    size = len(parts)
    while size > 0:
        start = 0
        while start < len(parts):
            rest = [*parts[:start], *parts[start + size :]]
            if enough(rest):
                parts = rest
            else:
                start += size
        size //= 2
    return parts
