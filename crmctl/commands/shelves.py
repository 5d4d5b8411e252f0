"""Open the journals of a target, for the verbs that look back: whoever plans reads less of them, in another way."""

from pathlib import Path

from crmctl.config import Environment, Target
from crmctl.mirror import Mirror
from crmctl.reconcile import find_runs
from crmctl.shelf import Shelf


def open_shelf(target: Target, environment: Environment, tree: Path) -> Shelf:
    """Return where the journals of a target are; that takes no key."""
    folder = find_runs(target, environment, tree)
    mirror = Mirror(target.journal) if isinstance(target.journal, str) else None
    return Shelf(target.name, folder, mirror, target.formerly)
