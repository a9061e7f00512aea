"""What a national policy costs: Cedar's engine beside the release kernel on the same questions, and remembered answers.

The policy states the kernel's own rule of audiences, so both give the same decisions; that is checked.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice

from bench.figure import Figure

from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.community import Communities, Community
from lezha.sharing.policy import narrowed, toward
from lezha.sharing.release import Facts, Recipient, Released, Standing, release
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Pap, Tlp

KINDS = 2000
ROUNDS = 5
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
    """Yield how the kernel compares with Cedar, and what a decision costs under a policy whose answers are known."""
    yield vs_cedar()
    yield remembered()


def vs_cedar() -> Figure:
    """Compare decisions per second: the kernel's, and those of Cedar's engine, which is asked each question once."""
    asked = questions()
    kernel = _rate(lambda: [release(one, RECIPIENT, ROSTERS, NOW) for one in asked], len(asked))
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
    refuse = toward(CedarPolicy(POLICY), RECIPIENT, ROSTERS, NOW)
    rate = _rate(
        lambda: [narrowed(release(one, RECIPIENT, ROSTERS, NOW), one, refuse) for one in asked], len(asked)
    )
    alone = _rate(lambda: [release(one, RECIPIENT, ROSTERS, NOW) for one in asked], len(asked))
    return Figure(
        "release.under_policy_per_s",
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
