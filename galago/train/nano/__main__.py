"""`python -m galago.train.nano CONFIG --data SHARDS --packages NODE_MODULES --out DIR`."""

import importlib.util
import sys

from galago.errors import GalagoError, MissingExtraError

__all__ = ["main"]


def main() -> int:
    """The exit code: 2, and a line, for what a person can mend."""
    try:
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("training needs torch and others", "train")
        from galago.train.nano.run import main as run

        run()
    except GalagoError as error:
        print(f"galago: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
