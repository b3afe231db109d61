"""`python -m stream.cli`: the command line without its script."""

from stream.cli.main import main

main(prog_name="callstream")
