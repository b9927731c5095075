"""`homeostat arm`: write a policy to loop.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Json
from cli.output import command_output, short_version


def arm(
    project: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Folder of the model project, with its loop.yaml."),
    ],
    policy: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="YAML file with the policy, as for `homeostat backtest`."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write the policy of a file to the project's loop.yaml, and record the back-test that the choice is based on.

    Only the values that the file gives are changed; comments, order and everything else stay. The policy takes
    effect with the next `homeostat deploy` of the project.
    """
    from backtest.policy import PARTS, policy_digest, read_policy
    from backtest.record import RECORD, record_armed, recorded
    from cli.backtesting.loop_file import with_values
    from shared.contracts.loop_yaml import parse_loop_spec, read_loop_spec
    from shared.errors import ProjectError
    from shared.files import write_atomic

    with command_output(as_json) as output:
        path = project / "loop.yaml"
        loop = read_loop_spec(project)
        chosen = read_policy(policy, loop)
        text = path.read_text(encoding="utf-8")
        for part in PARTS:
            if chosen.given.get(part):
                text = with_values(text, part, chosen.given[part])
        written = parse_loop_spec(text, origin=str(path))
        if written != chosen.loop:
            raise ProjectError(
                f"{path} has a form in which its values cannot be replaced one by one; nothing was changed",
                hint=f"copy the keys of {policy} to it by hand",
            )
        result = recorded(project, chosen.digest)
        write_atomic(path, text.encode(), mode=path.stat().st_mode & 0o777)
        record_armed(project, policy_digest(written), result["digest"] if result else "")
        if result is None:
            output.warning(
                f"this policy has no back-test in {project / RECORD}; run `homeostat backtest {project}` before you deploy it"
            )
        deploy = f"homeostat deploy {project}"
        output.result(
            {
                "project": str(project),
                "policy": chosen.digest,
                "backtest": result,
                "deploy": deploy,
            },
            f"{path} has policy {short_version(chosen.digest)} of {policy}"
            + (f", back-test {short_version(result['digest'])}" if result else "")
            + f"; `{deploy}` with rows or an artifact makes it live",
        )
