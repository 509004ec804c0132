"""The CI job that a process belongs to, as a link where the server says enough for one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote


def job_of(variables: Mapping[str, str]) -> str | None:
    """The job by the variables of GitHub, GitLab, Jenkins or Azure Pipelines; ``None`` outside of them."""
    known = (_github(variables), variables.get("CI_JOB_URL"), variables.get("BUILD_URL"), _azure(variables))
    return next((job for job in known if job), None)


def _github(variables: Mapping[str, str]) -> str | None:
    server, repository, run = (variables.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if not (server and repository and run):
        return run
    attempt = variables.get("GITHUB_RUN_ATTEMPT")
    return f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt else "")


def _azure(variables: Mapping[str, str]) -> str | None:
    server, project, build = (
        variables.get(name) for name in ("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID")
    )
    if not (server and project and build):
        return variables.get("BUILD_BUILDURI")
    return f"{server.rstrip('/')}/{quote(project)}/_build/results?buildId={build}"
