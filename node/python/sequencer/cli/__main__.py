"""Lets `python -m sequencer.cli` be the `sequencer` command."""

from sequencer.cli.app import main

main()
