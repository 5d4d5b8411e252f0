from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "github"
ACTIONS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}


def jobs(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["jobs"]
    return loaded


def secrets(job: dict[str, Any]) -> set[str]:
    text = str(job)
    return {name for name in ("CRM_READ_KEY", "CRM_WRITE_KEY", "GH_TOKEN") if name in text}


@pytest.mark.parametrize("name", ["plan.yml", "apply.yml"])
def test_nothing_is_granted_that_a_job_does_not_ask_for(name: str) -> None:
    """The workflow grants nothing, each job what it needs, and no foreign action runs."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    triggers = yaml.safe_load(text)[True]  # YAML 1.1 reads the word "on" so
    assert "pull_request_target" not in triggers
    for job in jobs(name).values():
        used = {step["uses"].split("@")[0] for step in job["steps"] if "uses" in step}
        assert used <= ACTIONS
        assert "timeout-minutes" in job


def test_who_may_comment_sees_no_key_and_no_tree() -> None:
    """The job with the key can't write to GitHub; the job that can has neither key nor checkout."""
    plan = jobs("plan.yml")
    assert secrets(plan["validate"]) == set()
    assert secrets(plan["plan"]) == {"CRM_READ_KEY"}
    assert plan["plan"]["permissions"] == {"contents": "read"}
    assert secrets(plan["comment"]) == {"GH_TOKEN"}
    assert all("uses" not in step for step in plan["comment"]["steps"])


def test_only_apply_has_the_key_that_writes() -> None:
    """Planning and applying use different keys, and each just one step of its job."""
    apply = jobs("apply.yml")["apply"]
    assert secrets(apply) == {"CRM_WRITE_KEY"}
    assert "env" not in apply
    assert apply["permissions"] == {"contents": "read"}
