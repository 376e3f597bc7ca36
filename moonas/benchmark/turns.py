"""Contenders that take turns, so that whatever slows the machine for a while slows all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from time import perf_counter
from typing import Any

from moonas.benchmark.contenders import Contender, Judged
from moonas.benchmark.networks import Network

_SAID = ("key", "params", "flops", *(field.name for field in fields(Judged)))
RANK_COLUMNS = ("contender", "seed", *_SAID)
"""One row is a network judged once."""
TURN_COLUMNS = ("encoding", "pass", "block", "contender", "turn_seconds", *_SAID)
"""One row is a network in a turn; `turn_seconds` are of the whole turn, from its first network to its last."""


def take_turns(
    contenders: Sequence[Contender], networks: Sequence[Network], *, space: str, block: int, passes: int = 1
) -> Iterator[list[dict[str, Any]]]:
    """Let each contender judge a block of networks, then each the next block; who begins changes.

    Args:
        contenders: each gets one network beforehand, unrecorded, to warm up.
        networks: to be judged.
        space: the name of the encoding that they are from.
        block: networks in a turn.
        passes: how often all this is done, each time with other seeds.

    Yields:
        The rows of one turn, `TURN_COLUMNS` by name.
    """
    for contender in contenders:
        contender.judge([networks[0]] * contender.at_once, seed=passes)
    for repetition in range(passes):
        for number, start in enumerate(range(0, len(networks), block)):
            first = (number + repetition) % len(contenders)
            for contender in [*contenders[first:], *contenders[:first]]:
                turn = {"encoding": space, "pass": repetition, "block": number, "contender": contender.name}
                yield _turn(contender, networks[start : start + block], repetition, turn)


def _turn(contender: Contender, networks: Sequence[Network], seed: int, turn: dict[str, Any]) -> list[dict[str, Any]]:
    start = perf_counter()
    judgements = contender.judge(networks, seed=seed)
    turn = {**turn, "turn_seconds": round(perf_counter() - start, 4)}
    return [{**turn, **row(network, each)} for network, each in zip(networks, judgements, strict=True)]


def row(network: Network, judgement: Judged) -> dict[str, Any]:
    """What is written of a network and what was said of it."""
    return {
        "key": network.key,
        "params": network.params,
        "flops": network.flops,
        **asdict(judgement),
        "seconds": round(judgement.seconds, 4),
    }
