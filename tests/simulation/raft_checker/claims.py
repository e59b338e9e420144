"""Rules on claims: what a node that may have lost bytes must learn before it may forget that it had them.

1. A claim stands in for the log that a voter had, section 5.4.1, until the durable log has reached it.
2. Else the node asks all other voters, in the term after its own, and the claim may sink to the highest answer.
3. Whoever answers leads nobody, has saved a term no older than the question's, and names its durable end.

Why that suffices. What the node may have lost it acknowledged in its own term or before, since a term is never
lost; so only leaders of terms older than the question's can count it. A voter that has answered neither
acknowledges nor commits in such a term again. So whatever such a leader ever commits, it commits before it
answers itself, counting only what its voters said before they answered. A majority of two or more holds another
voter besides the node: that one had the byte durable before its answer. It still has it then, unless its disk
lost it too: to have it cut, a leader without the byte would have to be elected, which section 5.4.3 excludes.
Hence one answer is the end of a log that holds the byte, and by the same section so does the log of every
candidate that reaches this end. Commits of the question's term or later count only what the node said in this
life, which it has not lost.

What this does not cover: a byte of which every durable copy is lost before the answers. A leader may still hold
it in memory, having committed it by the word of others alone; its answer does not tell.
"""

from raft_checker.cluster import Cluster
from raft_checker.log import NOTHING, End, as_end
from raft_checker.node import Inquiry, Node
from raft_checker.rule import Rule
from raft_checker.trace import Message


def check_lowering(cluster: Cluster, node: Node, claim: End) -> None:
    """A claim was saved; if it is lower than before, there must be a reason."""
    own = node.durable_last()
    if claim > node.claim:
        node.inquiries.clear()  # They were asked about an earlier loss; this one may be of a later term.
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
        max(own, *(inquiry.answers[other] for other in others))
        for inquiry in node.inquiries.values()
        if others <= inquiry.answers.keys() and not inquiry.damaged
    ]
    return min(floors, default=None)


def send_status_request(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A node asks how another stands; the same nonce in another term is another question."""
    inquiry = node.inquiries.get(m["nonce"])
    if inquiry is None or inquiry.term != m["term"]:
        node.inquiries[m["nonce"]] = Inquiry(m["term"])


def receive_status_request(node: Node, source: int, m: Message) -> None:
    """Remember what was asked, and in which term."""
    node.questions[source, m["nonce"]] = m["term"]


def send_status_response(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A node tells how it stands."""
    last, own, health = as_end(m["last"]), node.durable_last(), m["health"]
    if health not in ("clean", "doubtful", "damaged"):
        cluster.malformed(f"unknown health {health!r}", node)
    if node.role == "leader":
        cluster.fail(
            Rule.STATUS_ANSWER_TRUE, f"node {node.id} answers while it leads term {node.role_term}", node
        )
    asked_in = node.questions.get((to, m["nonce"]))
    if asked_in is None or m["term"] < asked_in:
        cluster.fail(
            Rule.STATUS_ANSWER_TRUE,
            f"node {node.id} answers a question that it has not received, or in a term before it",
            node,
            asked_in_term=asked_in,
            answered_in_term=m["term"],
        )
    if last != own:
        cluster.fail(
            Rule.STATUS_ANSWER_TRUE,
            f"node {node.id} answers with a log end that is not that of its durable log",
            node,
            named=last,
            durable=own,
            log=node.log.last(),
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
    inquiry = node.inquiries.get(m["nonce"])
    if inquiry is None or m["term"] < inquiry.term:
        return
    inquiry.answers[source] = max(inquiry.answers.get(source, NOTHING), as_end(m["last"]))
    inquiry.damaged = inquiry.damaged or m["health"] == "damaged"
