"""Look every locked package up in the public lists of vulnerabilities: `audit_dependencies.py [--unless-offline]`.

Exit status: 0 every package was looked up and none is known to be vulnerable, 1 some are, 2 not all could be looked up.
With --unless-offline the last is told, and is no failure where nothing could be looked up at all: then there is no
network, and the next run with one decides. pip-audit itself calls that "no known vulnerabilities".
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).resolve().parent / "requirements"
NAMES = ("run.txt", "dev.txt", "installer.txt")
SERVICES = ("pypi", "osv")


@dataclass(frozen=True)
class Found:
    looked_up: int
    skipped: tuple[str, ...]
    vulnerable: tuple[str, ...]

    def status(self, *, unless_offline: bool) -> int:
        if self.vulnerable:
            return 1
        if not self.skipped and self.looked_up:
            return 0
        return 0 if unless_offline and not self.looked_up else 2

    def sentences(self) -> list[str]:
        told = [f"audit: VULNERABLE: {line}" for line in self.vulnerable]
        if not self.looked_up:
            return [*told, "audit: NOT AUDITED. No list of vulnerabilities could be reached, so nothing is known."]
        if self.skipped:
            told.append(f"audit: not looked up: {', '.join(self.skipped)}")
        return [*told, f"audit: {self.looked_up} packages looked up, {len(self.vulnerable)} known to be vulnerable."]


def judge(reports: Iterable[dict[str, Any]]) -> Found:
    """Put the reports of pip-audit together; a package that is in two lock files counts once."""
    packages = {entry["name"]: entry for report in reports for entry in report.get("dependencies", [])}
    vulnerable = [
        f"{name} {entry['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version yet'}"
        for name, entry in sorted(packages.items())
        for found in entry.get("vulns", [])
    ]
    skipped = [name for name, entry in sorted(packages.items()) if "skip_reason" in entry]
    return Found(len(packages) - len(skipped), tuple(skipped), tuple(vulnerable))


def ask(lock: Path, service: str) -> dict[str, Any]:
    """Return pip-audit's report; an empty one if it came to none."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", service, "--timeout", "15", "--progress-spinner", "off", "--format", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(answer.stdout)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def main() -> int:
    found = judge([])
    for service in SERVICES:
        found = judge(ask(LOCKS / name, service) for name in NAMES)
        if found.looked_up:
            break
    print("\n".join(found.sentences()), flush=True)
    return found.status(unless_offline="--unless-offline" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
