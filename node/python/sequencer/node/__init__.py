"""The process of one cluster member: its configuration, its life from start to stop, its admin endpoint, its metrics.

What runs around the native node belongs here: whatever may wait or fail without the log noticing. What decides, stores
or sends belongs to the Rust crates behind `sequencer._native`; what a person types belongs to `sequencer.cli`.
"""

from sequencer.node.config import NodeConfig
from sequencer.node.config_file import read_config

__all__ = ["NodeConfig", "read_config"]
