"""Small JSON files that only their owner may read, whole at any moment."""

import json
import os
from pathlib import Path


def write_private(path: Path, document: object) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file, indent=1)
    draft.replace(path)
