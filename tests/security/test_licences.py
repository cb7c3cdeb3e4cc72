"""What is installed for the product may be used with it: only licences that ask for no more than their own text."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: LGPL and MPL bind changes of the library itself, which stays as it is.
ALLOWED = re.compile(
    r"MIT|BSD|ISC|Apache|Python Software Foundation|PSF|Mozilla Public License|MPL|Lesser General Public|LGPL|"
    r"The Unlicense|Unlicense|Zope Public|ZPL|CC0|0BSD|HPND|Zlib"
)
FORBIDDEN = re.compile(
    r"(?<!Lesser )(?<!Library or Lesser )General Public License|(?<!L)GPL|AGPL|Affero|SSPL|Commons Clause|Proprietary"
)
#: What the package says of itself is nothing, or misleads; this stands in the licence that it brings along.
KNOWN = {
    "axe-playwright-python": "MIT",
    "qrcode": "BSD",  # "Other/Proprietary" is said of the MIT licence of the JavaScript that it goes back to
}


def _locked(name: str) -> set[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return {_plain(found[1]) for line in lines if (found := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", line))}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(package: Distribution) -> str:
    if known := KNOWN.get(_plain(package.name)):
        return known
    said = package.metadata.json
    words = [said.get("license_expression", ""), *(c for c in said.get("classifier", []) if c.startswith("License"))]
    found = " | ".join(str(word).replace("License :: OSI Approved", "").strip(" :") for word in words if word)
    return found or str(said.get("license", "")).strip()[:200]


INSTALLED = {_plain(package.metadata["Name"]): package for package in distributions()}
LOCKED = sorted((_locked("run.txt") | _locked("dev.txt")) & set(INSTALLED))


def test_the_lock_files_are_read():
    assert {"django", "alpaca-py", "apprise", "pytest"} <= set(LOCKED)


@pytest.mark.parametrize("name", LOCKED)
def test_its_licence_is_one_that_may_be_used(name):
    licence = licence_of(INSTALLED[name])
    assert ALLOWED.search(licence), f"{name}: {licence or 'says no licence'}"
    assert not FORBIDDEN.search(licence), f"{name}: {licence}"
