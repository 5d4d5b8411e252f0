"""Pipelines of Octolane and their stages (docs/octolane.md).

No route makes a pipeline, so one is built in. Out: stages in their order, and the one that an opportunity is in.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.problems import RequestError

PIPELINE_ID = "018f13b3-8239-7ef8-a8f1-93ad10b76110"

STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS octolane_pipelines(id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID",
    f"INSERT OR IGNORE INTO octolane_pipelines VALUES('{PIPELINE_ID}', 'Sales')",
    """
    CREATE TABLE IF NOT EXISTS octolane_stages(
      stage_id TEXT PRIMARY KEY, pipeline_id TEXT, label TEXT, stage_order INTEGER, color TEXT, is_active INTEGER,
      is_default INTEGER, probability NUMERIC, stage_type TEXT
    )
    """,
    f"""
    INSERT OR IGNORE INTO octolane_stages VALUES
      ('018f13b3-8239-7ef8-a8f1-93ad10b76201', '{PIPELINE_ID}', 'Lead', 1, '#6B7280', 1, 1, 10, 'default'),
      ('018f13b3-8239-7ef8-a8f1-93ad10b76202', '{PIPELINE_ID}', 'Qualified', 2, '#2563EB', 1, 0, 25, 'default'),
      ('018f13b3-8239-7ef8-a8f1-93ad10b76203', '{PIPELINE_ID}', 'Proposal', 3, '#7C3AED', 1, 0, 50, 'default'),
      ('018f13b3-8239-7ef8-a8f1-93ad10b76204', '{PIPELINE_ID}', 'Negotiation', 4, '#D97706', 1, 0, 75, 'default'),
      ('018f13b3-8239-7ef8-a8f1-93ad10b76205', '{PIPELINE_ID}', 'Closed won', 5, '#059669', 1, 0, 100, 'positive'),
      ('018f13b3-8239-7ef8-a8f1-93ad10b76206', '{PIPELINE_ID}', 'Closed lost', 6, '#DC2626', 1, 0, 0, 'negative')
    """,  # noqa: S608  constants
)
_COLUMNS = "stage_id, pipeline_id, label, stage_order, color, is_active, is_default, probability"


class Stage(NamedTuple):
    """One stage, as it is read."""

    stage_id: str
    pipeline_id: str
    label: str
    stage_order: int
    color: str | None
    is_active: bool
    is_default: bool
    probability: float | None


def read_stages(connection: sqlite3.Connection, pipeline_id: str) -> list[Stage]:
    """Read the stages of a pipeline by stage_order; raise `RequestError` when there is no such pipeline."""
    wanted = (pipeline_id.lower(),)
    if connection.execute("SELECT 1 FROM octolane_pipelines WHERE id = ?", wanted).fetchone() is None:
        raise RequestError(404, f"pipeline_id: there is no pipeline {pipeline_id}")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM octolane_stages WHERE pipeline_id = ? AND is_active ORDER BY stage_order, rowid",  # noqa: S608  a constant
        wanted,
    )
    return [
        Stage(id_, pipeline, label, order, color, bool(active), bool(default), probability)
        for id_, pipeline, label, order, color, active, default, probability in rows
    ]


def describe_stages(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Return stages as they are answered."""
    return [stage._asdict() for stage in stages]


def find_stage(stages: Sequence[Stage], id_: str | None, name: str | None, switches: OctolaneSwitches) -> Stage | None:
    """Find the stage that an id, a name (as it is spelled) or both stand for; None when neither is given."""
    found = [
        _find(stages, "stage_id", id_ and id_.lower(), switches),
        _find(stages, "label", name, switches),
    ]
    by_id, by_name = found
    if by_id and by_name and by_id != by_name:
        if switches.named_twice == "reject":
            raise RequestError(400, "stage_id and stage_name differ")
        return by_id if switches.named_twice == "id" else by_name
    return by_id or by_name


def create_stages(
    connection: sqlite3.Connection,
    pipeline_id: str,
    items: Sequence[Mapping[str, Any]],
    switches: OctolaneSwitches,
    make_id: Callable[[], str],
) -> list[Stage]:
    """Add stages; one without an order goes to the end, and a new default takes over."""
    ids = [_create_stage(connection, pipeline_id.lower(), item, switches, make_id) for item in items]
    stages = {stage.stage_id: stage for stage in read_stages(connection, pipeline_id)}
    return [stages[id_] for id_ in ids]


def _create_stage(
    connection: sqlite3.Connection,
    pipeline_id: str,
    item: Mapping[str, Any],
    switches: OctolaneSwitches,
    make_id: Callable[[], str],
) -> str:
    stages = read_stages(connection, pipeline_id)
    same = next((stage for stage in stages if stage.label == item["label"]), None)
    if same and switches.repeated_stage == "reject":
        raise RequestError(400, f"label: the pipeline has a stage {item['label']}")
    if same and switches.repeated_stage == "resolve":
        return same.stage_id
    order = item.get("stage_order") or max((stage.stage_order for stage in stages), default=0) + 1
    default = item.get("is_default", False)
    if default:
        connection.execute("UPDATE octolane_stages SET is_default = 0 WHERE pipeline_id = ?", (pipeline_id,))
    id_ = make_id()
    connection.execute(
        f"INSERT INTO octolane_stages({_COLUMNS}, stage_type) VALUES(?, ?, ?, ?, ?, 1, ?, ?, ?)",
        (
            *(id_, pipeline_id, item["label"], order, item.get("color"), default, item.get("probability")),
            item.get("stage_type", "default"),
        ),
    )
    return id_


def _find(stages: Sequence[Stage], attribute: str, wanted: str | None, switches: OctolaneSwitches) -> Stage | None:
    if wanted is None:
        return None
    for stage in stages:
        if getattr(stage, attribute) == wanted:
            return stage
    raise RequestError(int(switches.unknown_reference), f"{attribute}: the pipeline has no stage {wanted}")
