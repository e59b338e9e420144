"""An independent second opinion on the consensus core: replays a trace and holds it against the Raft paper.

Here belong the trace reader, the model of what each node's state must be, and the rules, all written from the
paper and dissertation alone. Anything that knows how the core is built does not belong here.
"""

from raft_checker.checker import Summary, check_lines, check_path
from raft_checker.rule import Rule
from raft_checker.violation import Violation

__all__ = ["Rule", "Summary", "Violation", "check_lines", "check_path"]
