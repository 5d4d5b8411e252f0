"""Read one input, and print how much memory that took at most: a process of its own for `test_sizes`.

`python measured.py manifest|answer FILE` prints what crmctl says, and on standard error the bytes.
"""

import resource
import sys
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path

from crmctl import cli
from crmctl.answers import Answer, read_object
from crmctl.errors import Ambiguous


def peak() -> int:
    """Return the greatest memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def validate(file: str) -> None:
    """Have a manifest checked: valid, or wrong and told so."""
    said = StringIO()
    with redirect_stderr(said):
        code = cli.run(["validate", "--manifests", file])
    assert code in {0, 1}, said.getvalue()


def decode(body: bytes) -> None:
    """Read the body of an answer: an object, or refused."""
    with suppress(Ambiguous):
        read_object("GET /v1/accounts", Answer(200, {"content-type": "application/json"}, body))


def main(what: str, file: str) -> None:
    """Load all that is needed with an input that is wrong, then measure."""
    if what == "manifest":
        Path("small.yaml").write_text("accounts: [{}]")
        validate("small.yaml")
        before = peak()
        validate(file)
    else:
        decode(b"{}")
        before = peak()
        decode(Path(file).read_bytes())
    sys.stdout.flush()
    sys.stderr.write(f"{peak() - before}\n")


main(*sys.argv[1:])
