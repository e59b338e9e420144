"""Rules on claims: what a node that may have lost bytes must learn before it may forget that it had them.

1. A claim stands in for the log that a voter had, section 5.4.1, until the durable log has reached it.
2. Else the node asks all other voters. A committed byte was durable at a majority, so as long as one of its
copies is left, one of the answers reaches it, and the claim may sink to the highest answer.
3. A byte may also be committed later, by a leader that counts what the node said before it lost the byte. So a
leader must answer with all of its log: what is not durable there yet it may still commit.
"""

from raft_checker.cluster import Cluster
from raft_checker.log import NOTHING, End, as_end
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Message


def check_lowering(cluster: Cluster, node: Node, claim: End) -> None:
    """A claim was saved; if it is lower than before, there must be a reason."""
    own = node.durable_last()
    if own < node.claim and claim < node.claim:
        floor = None if node.damaged else _lowest_allowed(cluster, node)
        if floor is None or (claim < floor and not (claim == NOTHING and own >= floor)):
            cluster.fail(
                Rule.CLAIM_KEPT,
                f"node {node.id} lowers its claim before its durable log has reached it",
                node,
                before=node.claim,
                after=claim,
                durable=own,
                damaged=node.damaged,
                lowest_by_answers=floor,
            )
        node.lowered_by_answers = True
    if claim == NOTHING:
        node.damaged = False


def _lowest_allowed(cluster: Cluster, node: Node) -> End | None:
    """The lowest claim that a whole round of status answers allows; None without such a round."""
    others, own = cluster.config.voters - {node.id}, node.durable_last()
    if not others:
        return own
    floors = [
        max(own, *(answers[other] for other in others))
        for nonce, answers in node.answers.items()
        if others <= answers.keys() and others <= node.asked[nonce] and nonce not in node.damaged_answers
    ]
    return min(floors, default=None)


def send_status_request(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A node asks how another stands."""
    node.asked.setdefault(m["nonce"], set()).add(to)


def send_status_response(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A node tells how it stands."""
    last, own, whole, health = as_end(m["last"]), node.durable_last(), node.log.last(), m["health"]
    if health not in ("clean", "doubtful", "damaged"):
        cluster.malformed(f"unknown health {health!r}", node)
    lowest = whole if node.is_leader() else own
    if not (lowest <= last <= whole and node.log.holds(last)):
        cluster.fail(
            Rule.STATUS_ANSWER_TRUE,
            f"node {node.id} answers with a log end that is not its own",
            node,
            named=last,
            lowest=lowest,
            highest=whole,
        )
    if node.damaged and health != "damaged":
        cluster.fail(
            Rule.STATUS_ANSWER_TRUE,
            f"node {node.id} calls its log {health}, having called it damaged under the same claim",
            node,
            health=health,
        )
    if health == "damaged":
        if node.lowered_by_answers:
            cluster.fail(
                Rule.CLAIM_KEPT,
                f"node {node.id} calls its log damaged, having lowered its claim by answers",
                node,
            )
        node.damaged = True


def receive_status_response(node: Node, source: int, m: Message) -> None:
    """Count an answer to an own question of this life; of two to the same question the higher one."""
    nonce = m["nonce"]
    if source not in node.asked.get(nonce, ()):
        return
    answers = node.answers.setdefault(nonce, {})
    answers[source] = max(answers.get(source, NOTHING), as_end(m["last"]))
    if m["health"] == "damaged":
        node.damaged_answers.add(nonce)
