"""The scripts of docs/schedulers.md: shells and `xpm-alchem work` take them as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
import yaml
from documented import scripts

from xpm_alchem.cli.work import work_command

SECTIONS = ("Grid Engine", "PBS Pro, OpenPBS, Torque", "LSF", "A second cluster, a workstation")


@pytest.mark.parametrize("section", SECTIONS)
def test_shell(section):
    found = scripts("schedulers.md", section)
    assert found
    for script in found:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        for line in re.findall(r"xpm-alchem work ([^'>\n]*)", script):
            work_command.make_context("work", shlex.split(line))
        assert script.count("xpm-alchem work") >= 1


def test_kubernetes():
    (text,) = scripts("schedulers.md", "Kubernetes", "yaml")
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["xpm-alchem", "work"]
    work_command.make_context("work", container["command"][2:])
