"""What a decision costs: the kernel alone, for 40 peers, and under a national policy, beside Cedar's own engine.

The policy states the kernel's own rule of audiences, so both give the same decisions; that is checked.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice

from bench.figure import Figure

from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.community import Communities, Community
from lezha.sharing.policy import PolicedGate, toward
from lezha.sharing.release import Facts, Gate, Recipient, Released, Standing, release
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Pap, Tlp

KINDS = 2000
PEERS = 40
KERNEL_FACTS = 25_000  # a backlog
ROUNDS = 5
KERNEL_GOAL = 1_000_000.0  # decisions/s
REMEMBERED_GOAL = 200_000.0  # decisions/s
NOW, BEFORE, LATER = (f"2022-07-{day}T09:00:00.000000Z" for day in (15, 1, 30))
US, ALLY = (f"identity--a{number}000000-0000-4000-8000-000000000000" for number in (1, 2))
NATO, EU = "community--nato", "community--eu"
ROSTERS: Communities = {
    NATO: Community(NATO, "NATO", 1, LATER, {US: 1, ALLY: 1}),
    EU: Community(EU, "EU", 1, LATER, {US: 1}),
}
RECIPIENT = Recipient(ALLY, Standing.MEMBER, Tlp.RED, BEFORE)
AUDIENCES = (
    Audience(everyone=True),
    Audience(members=(ALLY,)),
    Audience(communities=(CommunityTerm(NATO, 1),)),
    Audience(communities=(CommunityTerm(EU, 1),)),
)
POLICY = """
@id("as the kernel has it")
permit (principal, action, resource)
when { resource.audience.everyone || resource.audience.named || principal in resource.audience.communities };
"""


def figures() -> Iterator[Figure]:
    """Yield what the kernel decides, what it decides under a policy whose answers are known, and Cedar beside it."""
    yield alone()
    yield remembered()
    yield vs_cedar()


def alone() -> Figure:
    """Measure the kernel's decisions per second: mixed statements, own and relayed, for 40 peers one after another."""
    rng = random.Random(1)
    members = [f"identity--{number:08d}-0000-4000-8000-000000000000" for number in range(PEERS)]
    rosters = {
        key: Community(key, key, 3, LATER, {one: 1 for one in members if rng.random() < 0.6})
        for key in (NATO, EU)
    }
    said = [_terms(rng, members) for _ in range(300)]
    asked = [_mixed(rng, number, said, members) for number in range(KERNEL_FACTS)]
    peers = [Recipient(one, Standing.MEMBER, rng.choice(list(Tlp)), BEFORE) for one in members]

    def decide() -> int:
        found = 0
        for peer in peers:
            gate = Gate(peer, rosters, NOW)
            found += sum(isinstance(gate.decide(one), Released) for one in asked)
        return found

    rate = _rate(decide, len(asked) * PEERS)
    one_by_one = _rate(lambda: [release(one, peers[0], rosters, NOW) for one in asked], len(asked))
    released = decide() / (len(asked) * PEERS)
    kinds = len({(one.terms, one.markings, one.author_here) for one in asked})
    beside = {"one gate for each decision": one_by_one, "kinds": kinds, "share released": released}
    return Figure(
        "release.kernel_per_s", rate, "decisions/s", f">= {KERNEL_GOAL:,.0f}", rate >= KERNEL_GOAL, beside
    )


def _terms(rng: random.Random, members: Sequence[str]) -> Terms:
    audience = rng.choice(
        [
            Audience(everyone=True),
            Audience(communities=(CommunityTerm(rng.choice((NATO, EU)), 3),)),
            Audience(members=tuple(rng.sample(members, 3))),
        ]
    )
    return Terms(
        rng.choice(list(Tlp)), audience, onward=rng.random() < 0.5, future_members=rng.random() < 0.5
    )


def _mixed(rng: random.Random, number: int, said: Sequence[Terms], members: Sequence[str]) -> Facts:
    own = rng.random() < 0.5
    return Facts(
        statement=f"statement {number}",
        content=f"content {number}",
        terms=rng.choice(said),
        origin=US if own else rng.choice(members),
        author_here=own,
        issued=NOW,
        came_from=frozenset() if own else frozenset({rng.choice(members)}),
        markings=(rng.choice(list(Tlp)),) if rng.random() < 0.6 else (),
    )


def vs_cedar() -> Figure:
    """Compare decisions per second: the kernel's, and those of Cedar's engine, which is asked each question once."""
    asked = questions()
    gate = Gate(RECIPIENT, ROSTERS, NOW)
    kernel = _rate(lambda: [gate.decide(one) for one in asked], len(asked))
    cedar = max(_asking(asked) for _ in range(ROUNDS))
    return Figure(
        "release.vs_cedar",
        kernel / cedar,
        "x",
        "reported: the kernel's decisions/s over Cedar's",
        met=True,
        beside={"kernel decisions/s": kernel, "Cedar decisions/s": cedar},
    )


def remembered() -> Figure:
    """Measure whole decisions per second, kernel and policy, once the policy's answers are known."""
    asked = list(islice(cycle(questions()[:100]), KINDS))
    policed = PolicedGate(RECIPIENT, ROSTERS, NOW, CedarPolicy(POLICY))
    rate = _rate(lambda: [policed.decide(one) for one in asked], len(asked))
    gate = Gate(RECIPIENT, ROSTERS, NOW)
    alone = _rate(lambda: [gate.decide(one) for one in asked], len(asked))
    return Figure(
        "release.cached_per_s",
        rate,
        "decisions/s",
        f">= {REMEMBERED_GOAL:,.0f}",
        rate >= REMEMBERED_GOAL,
        {"without a policy": alone},
    )


def questions(count: int = KINDS) -> list[Facts]:
    """Return facts of so many kinds, no two of which a policy sees alike; a quarter is not for the recipient."""
    return [
        Facts(
            statement=f"statement {number}",
            content=f"content {number}",
            terms=Terms(Tlp.GREEN, AUDIENCES[number % len(AUDIENCES)], Pap.GREEN, future_members=True),
            origin=US,
            author_here=True,
            issued=NOW,
            type=f"x-kind-{number}",
        )
        for number in range(count)
    ]


def _asking(asked: Sequence[Facts]) -> float:
    """Ask a policy that remembers nothing yet, and return decisions per second. The kernel must agree with all."""
    policy = CedarPolicy(POLICY)
    refuse = toward(policy, RECIPIENT, ROSTERS, NOW)
    assert refuse is not None
    began = time.process_time()
    answers = [refuse(one) for one in asked]
    took = time.process_time() - began
    assert policy.asked == len(asked)
    decided = [isinstance(release(one, RECIPIENT, ROSTERS, NOW), Released) for one in asked]
    assert decided == [one is None for one in answers]
    return len(asked) / took


def _rate(work: Callable[[], object], count: int) -> float:
    """Return how many of `count` are done in a second of CPU time, in the best of some rounds."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        rounds.append(count / (time.process_time() - began))
    return max(rounds)
