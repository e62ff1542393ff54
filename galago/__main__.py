"""`python -m galago` is the command line."""

from galago.cli.main import run

if __name__ == "__main__":
    run()
