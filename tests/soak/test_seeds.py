"""A fixed set of stories. They are told in a process of their own: its time must be theirs before Django is loaded."""

import subprocess
import sys

import pytest

from tests.simulation import ROOT

#: Short ones. `make soak` tells new ones for as long as one likes.
FIRST, HOW_MANY = 201, 3


@pytest.mark.usefixtures("sqlite_only")  # its worlds are copies of one SQLite file
def test_a_fixed_set_of_stories_ends_well_and_a_seed_tells_the_same_story_again():
    command = [sys.executable, "-m", "tests.soak", "--seed", str(FIRST), "--seeds", str(HOW_MANY), "--days", "1"]
    told = subprocess.run([*command, "--twice"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
