"""Workflows and images: what they use is pinned, and what is released is what was tested."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.pinned_images import pinned_images, with_pinned_images

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

Workflow = dict[str, Any]


def read(name: str) -> Workflow:
    workflow: Workflow = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return workflow


def steps(job: Workflow, action: str) -> list[Workflow]:
    """Return the inputs of the steps of a job that use `action`."""
    return [
        step.get("with", {})
        for step in job.get("steps", ())
        if step.get("uses", "").startswith(f"{action}@")
    ]


def test_actions_are_pinned() -> None:
    """Each action is a commit with its version in a comment, and is the same in all workflows."""
    commits = defaultdict(set)
    for path in WORKFLOWS:
        for use in re.findall(r"uses: (.*)", path.read_text()):
            if not use.startswith("./"):
                match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/[\w-]+)*@([0-9a-f]{40} # v[\d.]+)", use)
                assert match, use
                commits[match[1]].add(match[2])
    assert all(len(versions) == 1 for versions in commits.values()), commits


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions(path: Path) -> None:
    """Permissions are granted to jobs and not to workflows, and no checkout keeps the token."""
    workflow = read(path.name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]
        assert "uses" in job or job["timeout-minutes"] <= 45
        for checkout in steps(job, "actions/checkout"):
            assert checkout["persist-credentials"] is False


def test_dangerous_triggers() -> None:
    """No workflow runs with the token of this repository on the code of a fork."""
    for path in WORKFLOWS:
        assert not re.search("pull_request_target|workflow_run", path.read_text())


def test_all_checks_run() -> None:
    """Dependency review, CodeQL and Scorecard have workflows; zizmor is a part of scripts/lint."""
    used = "".join(path.read_text() for path in WORKFLOWS)
    for action in (
        "actions/dependency-review-action",
        "github/codeql-action/analyze",
        "ossf/scorecard-action",
    ):
        assert f"uses: {action}@" in used
    assert "\nzizmor --offline " in (ROOT / "scripts/lint").read_text()
    assert "run: scripts/lint" in used


def test_the_released_image_is_the_tested_one() -> None:
    """It is built once, without a tag; tests and the tag use its digest, and it is signed."""
    jobs = read("release.yml")["jobs"]
    builds = [build for job in jobs.values() for build in steps(job, "docker/build-push-action")]
    (build,) = builds
    assert "push-by-digest=true" in build["outputs"]
    assert "tags" not in build
    assert (build["sbom"], build["provenance"]) == (True, "mode=max")
    digest = "${{ needs.image.outputs.digest }}"
    (test,) = (step for step in jobs["test-image"]["steps"] if "run" in step)
    assert test["run"] == "scripts/container-test"
    assert test["env"]["IMAGE"].endswith(f"@{digest}")
    publish = jobs["publish-image"]
    assert "test-image" in publish["needs"]
    assert jobs["pypi"]["needs"] == "test-image"
    assert publish["steps"][-1]["env"]["DIGEST"] == digest
    (attestation,) = steps(publish, "actions/attest-build-provenance")
    assert attestation["subject-digest"] == digest
    assert attestation["push-to-registry"] is True


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml"])
def test_images_have_digests(name: str) -> None:
    """All public images are pinned as in the file that Dependabot updates."""
    text = (ROOT / name).read_text()
    images = re.findall(r"(?m)^ARG PYTHON_IMAGE=(.*)|^ +image: \$\{\w+:-(.*)\}", text)
    names = {first or second for first, second in images}
    assert names
    assert names <= {reference for _, reference in pinned_images()}
    bases = re.findall(r"(?m)^FROM (\S+)", text) if name == "Dockerfile" else []
    assert set(bases) <= {"${PYTHON_IMAGE}"}
    direct = re.findall(r"(?m)^ +image: (?!\$)(\S+)", text)
    assert set(direct) <= {"inference-probe"}


def test_a_new_digest_is_copied() -> None:
    """`tools.generate` replaces an old reference, and refuses an image that is not in the file."""
    reference = dict(pinned_images())["python"]
    old = f"python:3.12-slim@sha256:{'0' * 64}"
    assert with_pinned_images(f"ARG A={old}\n") == f"ARG A={reference}\n"
    with pytest.raises(KeyError):
        with_pinned_images(f"FROM other:1@sha256:{'0' * 64}")


def test_dependabot_updates_what_is_pinned() -> None:
    """Actions, digests and lock files get updates, some days after their release."""
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    directories = {update["package-ecosystem"]: update["directory"] for update in updates}
    assert directories == {"github-actions": "/", "docker": "/.github/images", "pip": "/"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
