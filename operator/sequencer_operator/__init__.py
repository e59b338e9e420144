"""The Kubernetes operator: it deploys, heals and upgrades sequencer clusters and their services.

Here belongs what reads and writes Kubernetes, in layers that import one way: `handlers > observe, apply > plan > api`.
Native code and anything of the `sequencer` package do not belong: the two share the admin schema alone. No layer exists
yet; the log comes first.
"""

__all__: list[str] = []
