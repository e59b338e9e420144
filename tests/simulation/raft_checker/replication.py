"""Rules on how logs grow, shrink and are compared: section 5.3, figure 2; dissertation 3.10."""

from itertools import pairwise

from raft_checker.cluster import Cluster, Origin
from raft_checker.log import End, new_starts
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Event, Message


def append(cluster: Cluster, node: Node, event: Event) -> None:
    """The log grew in memory."""
    start, to = event["from"], event["to"]
    before = node.log.last()[0]
    entries = new_starts(event["terms"], start, before)
    places = [position for _, position in entries]
    terms = [before, *(term for term, _ in entries)]
    ordered = all(a < b for a, b in pairwise(terms))
    ordered = ordered and all(a < b for a, b in zip([start - 1, *places], [*places, to], strict=True))
    if start != node.log.end or to <= start or not ordered or (not entries and before == 0):
        cluster.fail(
            Rule.APPEND_AT_END,
            f"node {node.id} appends [{start}, {to}) to a log that ends at {node.log.last()}",
            node,
            terms=event["terms"],
        )
    if node.is_leader():
        _leader_append(cluster, node, entries, start, to)
    else:
        cluster.check_lineage(node, entries, before, to)
        _follower_append(cluster, node, entries, start, to)
    node.log.extend(entries, to)


def _leader_append(cluster: Cluster, node: Node, entries: list[End], start: int, to: int) -> None:
    term = node.term
    wanted = [(term, start)] if node.frame_start < 0 else []
    if entries != wanted:
        cluster.fail(
            Rule.LEADER_OWN_TERM,
            f"node {node.id}, leader of term {term}, appends terms {entries}, not {wanted}",
            node,
            first=node.frame_start < 0,
        )
    if node.transfer_since >= 0:
        timeout = cluster.config.election_timeout_ns
        if timeout is not None and cluster.now - node.transfer_since < timeout:
            cluster.fail(
                Rule.TRANSFER_STOPS_APPENDS,
                f"node {node.id} appends while it hands over leadership",
                node,
                since_ns=cluster.now - node.transfer_since,
                election_timeout_ns=timeout,
            )
        node.transfer_since = -1
    node.appended_at = cluster.now
    if node.frame_start < 0:
        node.frame_start = start
        cluster.origins[term] = Origin(node.id, start, node.log.last()[0], to)
    elif (origin := cluster.origins.get(term)) is not None:
        origin.end = to


def _follower_append(cluster: Cluster, node: Node, entries: list[End], start: int, to: int) -> None:
    for m in reversed(node.appends):
        if _carries(node, m, entries, start, to):
            return
    newest = node.appends[-1] if node.appends else None
    cluster.fail(
        Rule.FOLLOWER_APPEND,
        f"node {node.id} appends [{start}, {to}), which no message of its term carried",
        node,
        terms=entries,
        newest_message=newest,
        messages_of_term=node.appends_term,
    )


def _carries(node: Node, m: Message, entries: list[End], start: int, to: int) -> bool:
    """Whether the message allows this append: term, range, previous end and what is there all match."""
    if m["term"] != node.term or not (m["from"] <= start and to <= m["to"]):
        return False
    if not node.log.holds(m["previous"]) or node.conflict(m) is not None:
        return False
    if not entries and not m["terms"]:
        return True
    carried = new_starts(m["terms"], m["from"], m["previous"][0])
    return entries == [pair for pair in carried if start <= pair[1] < to]


def cut(cluster: Cluster, node: Node, event: Event) -> None:
    """Bytes were removed from the end of the log."""
    to = event["to"]
    if node.is_leader():
        cluster.fail(
            Rule.LEADER_APPEND_ONLY, f"node {node.id}, leader of term {node.term}, cuts its log", node, to=to
        )
    if to < node.commit:
        cluster.fail(Rule.CUT_KEEPS_COMMITTED, f"node {node.id} cuts to {to}, below its commit", node, to=to)
    if not any(_cuts(node, m, to) for m in reversed(node.appends)):
        newest = node.appends[-1] if node.appends else None
        cluster.fail(
            Rule.CUT_ON_CONFLICT,
            f"node {node.id} cuts to {to}, where no message of its term conflicts",
            node,
            to=to,
            newest_message=newest,
            messages_of_term=node.appends_term,
        )
    node.uncut.append(node.log.copy())
    node.log.cut(to)
    node.durable = min(node.durable, to)
    node.matched = min(node.matched, to)
    if to < node.promised[1]:
        # The current leader's log differs from here on, so nothing above was committed by this promise.
        node.promised = node.log.last()


def _cuts(node: Node, m: Message, to: int) -> bool:
    return m["term"] == node.term and node.log.holds(m["previous"]) and node.conflict(m) == to


def durable(cluster: Cluster, node: Node, event: Event) -> None:
    """The log is durable up to here."""
    to = event["to"]
    if not node.durable <= to <= node.log.end:
        cluster.fail(Rule.DURABLE_WITHIN_LOG, f"node {node.id} reports its log durable to {to}", node, to=to)
    node.durable = max(0, min(to, node.log.end))
    node.uncut.clear()


def send_append(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A leader sends bytes, or a heartbeat."""
    _only_leader(cluster, node, m)
    start, stop, previous = m["from"], m["to"], m["previous"]
    log = node.log
    true = previous[1] == start <= stop <= log.end and log.holds(previous)
    if true and (m["terms"] or (log.starts and log.starts[-1] >= start)):
        true = new_starts(m["terms"], start, previous[0]) == log.starts_inside(start, stop)
    if not true:
        cluster.fail(
            Rule.APPEND_MESSAGE_TRUE,
            f"node {node.id} sends [{start}, {stop}) other than its log has it",
            node,
            previous=previous,
            terms=m["terms"],
            own_terms=log.starts_inside(start, stop),
        )
    if m["commit"] > node.commit:
        cluster.fail(
            Rule.APPEND_COMMIT_TRUE,
            f"node {node.id} tells of commit {m['commit']}, above its own",
            node,
            told=m["commit"],
            own=node.commit,
        )


def send_timeout_now(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A leader hands over. It stopped appending before, when the trace does not say, but since its last append."""
    _only_leader(cluster, node, m)
    node.transfer_since = node.appended_at


def _only_leader(cluster: Cluster, node: Node, m: Message) -> None:
    if not node.is_leader() or m["term"] != node.term:
        cluster.fail(
            Rule.ONLY_LEADER_SENDS,
            f"node {node.id} sends {m['kind']} of term {m['term']}, which it does not lead",
            node,
        )


def send_append_accepted(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A follower reports how far its log matches the leader's, and how far it is durable."""
    matched, on_disk = m["matched"], m["durable"]
    known = node.learn_match(matched) if node.appends_term == node.term else 0
    if matched > known:
        cluster.fail(
            Rule.ACCEPTED_MATCHED,
            f"node {node.id} says its log matches to {matched}",
            node,
            said=matched,
            found_to_match=known,
            messages_of_term=node.appends_term,
        )
    if on_disk > node.durable:
        cluster.fail(
            Rule.ACCEPTED_DURABLE,
            f"node {node.id} says its log is durable to {on_disk}",
            node,
            said=on_disk,
            durable=node.durable,
        )
    if on_disk > node.promised[1]:
        node.promised = node.log.end_at(min(on_disk, node.log.end))


def receive_append(node: Node, source: int, m: Message) -> None:
    """Remember the message and what it says of the commit position, if its term is the newest heard."""
    if m["term"] > node.appends_term:
        node.hear_leader(m["term"])
    elif m["term"] < node.appends_term:
        return
    if node.appends:
        node.matched = max(node.matched, node.match_extent(node.appends[-1]))
    node.appends.append(m)
    node.told_commit = max(node.told_commit, m["commit"])


def receive_append_accepted(node: Node, source: int, m: Message) -> None:
    """A leader counts what is both matched and durable."""
    if node.is_leader() and m["term"] == node.term:
        held = min(m["matched"], m["durable"])
        if held > node.accepted.get(source, 0):
            node.accepted[source] = held
