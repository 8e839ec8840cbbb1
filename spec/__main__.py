"""`python -m eventproof.spec` writes requirements.json; with `--check` it lints and writes nothing.

Exit status 1 with one line per finding on standard error if anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eventproof.spec.check import findings
from eventproof.spec.generate import generated
from eventproof.spec.lint import lint
from eventproof.spec.parse import Finding, read

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(prog="python -m eventproof.spec", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="lint the documents and the generated file")
    if parser.parse_args(arguments).check:
        return _report(findings(folder))
    documents = read(folder)
    if found := lint(documents):
        return _report(found)
    (folder / "requirements.json").write_bytes(generated(documents))
    return 0


def _report(found: Sequence[Finding]) -> int:
    sys.stderr.writelines(f"{one}\n" for one in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
