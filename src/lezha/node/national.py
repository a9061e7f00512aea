"""The member's national policy: the file that `policy` in lezha.toml names. Without it the node does not start."""

from pathlib import Path

import structlog

from lezha.node.errors import NodeError
from lezha.node.settings import FILE, Settings
from lezha.sharing.cedar import MAX_BYTES, CedarPolicy
from lezha.sharing.errors import PolicyError
from lezha.store import policies
from lezha.store.log import Log

_logger = structlog.get_logger()


def wanted(home: Path, settings: Settings) -> CedarPolicy | None:
    """Read the policy that the settings name; None if they name none.

    Raises NodeError if it can't be used: a node that should ask its policy must not tell anybody anything without it.
    """
    if not settings.policy:
        return None
    try:
        return read(home / settings.policy)
    except NodeError as error:
        raise NodeError(
            f"{error} {FILE} says policy = {settings.policy!r}, so the node does not start without it: mend the file, "
            "or take that line out to tell without a national policy."
        ) from error.__cause__


def read(path: Path) -> CedarPolicy:
    """Read a policy from a file. Raises NodeError that says what is wrong, and in which line."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        return CedarPolicy(raw.decode(), str(path))
    except OSError as error:
        raise NodeError(f"The national policy {path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise NodeError(f"The national policy {path} is not text in UTF-8.") from error
    except PolicyError as error:
        raise NodeError(f"The national policy can't be used: {error}") from error


def put_into_force(log: Log, policy: CedarPolicy | None) -> None:
    """Have the log decide by this policy from now on, or by none."""
    changed = log.write_now(lambda tx: policies.adopt(tx, policy, "node"))
    if policy is None:
        if changed:
            _logger.warning("policy.ended")
        return
    _logger.info("policy.in_force", sha256=policy.digest, rules=len(policy.rules), changed=changed)
    if not any(rule.permits for rule in policy.rules):
        _logger.warning(
            "policy.permits_nothing", reason="no rule of it permits anything: nobody is told anything"
        )
