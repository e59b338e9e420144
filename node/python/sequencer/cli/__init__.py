"""The `sequencer` command: everything that a person does by hand, one module for each noun.

What is typed and what is printed belongs here. What a command does to a cluster belongs to the node's admin endpoint;
what it does to the log, to the client.
"""

from sequencer.cli.app import main

__all__ = ["main"]
