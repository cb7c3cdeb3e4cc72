"""A fixed set of stories. Each is a process of its own: the story's time must be in force before Django is loaded."""

import subprocess
import sys

from tests.simulation import ROOT

#: Chosen to be short and to have, between them, every sort of trouble. `make soak` tells new ones.
SEEDS = (200, 2)


def test_a_fixed_set_of_stories_ends_well():
    command = [sys.executable, "-m", "tests.soak", "--seed", str(SEEDS[0]), "--seeds", str(SEEDS[1]), "--days", "1"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"


def test_a_seed_tells_the_same_story_again():
    command = [sys.executable, "-m", "tests.soak", "--seed", "203", "--seeds", "1", "--days", "1", "--tell", "--twice"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
