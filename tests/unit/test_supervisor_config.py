"""What supervisord itself reads out of the files that are written for it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from services.runtime.supervisor.config import Program, conf_folder, program_section, supervisord_config
from services.settings import StatePaths


@pytest.mark.parametrize(
    "argument",
    ["models:/m-1", "/my models/x", "/runs/#1", "/runs #1", "/runs ;old", "/it's #1; x", "s3://b/50%/%(x)s", '/"q" #'],
)
def test_every_argument_reaches_its_program_as_it_is(tmp_path: Path, argument: str) -> None:
    paths = StatePaths(tmp_path).create()
    conf_folder(paths).mkdir(parents=True)
    program = Program("model.x", ["serve", "--model-uri", argument, "--port", "8100"])
    (conf_folder(paths) / "x.ini").write_text(program_section(program, paths))
    main = tmp_path / "main.conf"
    main.write_text(supervisord_config([], paths))
    options = ServerOptions()
    options.realize(args=["-n", "-c", str(main)])
    [group] = options.process_group_configs
    [process] = group.process_configs
    assert process.name == "model.x"
    assert shlex.split(process.command)[-5:] == list(program.command)
