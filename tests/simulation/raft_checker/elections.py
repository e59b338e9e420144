"""Rules on terms, votes and campaigns: figure 2, sections 5.1, 5.2, 5.4.1; dissertation 3.10 and 9.6."""

from raft_checker.claims import check_lowering
from raft_checker.cluster import Cluster
from raft_checker.log import NOTHING, as_end
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Event, Message


def check_term_and_vote(cluster: Cluster, node: Node, term: int, vote: int | None) -> None:
    """What is saved (or found again after a crash) never takes a term or a vote back."""
    if term < node.term:
        cluster.fail(Rule.TERM_MONOTONE, f"node {node.id} goes from term {node.term} to {term}", node)
    if term == node.term and node.vote is not None and vote != node.vote:
        cluster.fail(
            Rule.ONE_VOTE,
            f"node {node.id} voted for {node.vote} in term {term} and now says {vote}",
            node,
            term=term,
            before=node.vote,
            after=vote,
        )


def hard_state(cluster: Cluster, node: Node, event: Event) -> None:
    """Term, vote and claim were saved."""
    term, vote, claim = event["term"], event["vote"], as_end(event["claim"])
    check_term_and_vote(cluster, node, term, vote)
    if term > node.term and term not in node.heard_terms:
        campaigns = vote == node.id or (node.role == "candidate" and node.role_term == term)
        if not (campaigns and term == node.term + 1):
            if term in node.pre_vote_terms:
                cluster.fail(
                    Rule.PRE_VOTE_KEEPS_TERM, f"node {node.id} took term {term} from a pre-vote", node
                )
            else:
                cluster.fail(Rule.TERM_HAS_CAUSE, f"node {node.id} goes to term {term} without cause", node)
    check_lowering(cluster, node, claim)
    node.saved_at, node.saved_before = cluster.now, (node.term, node.vote, node.claim)
    node.term, node.vote, node.claim = term, vote, claim


def role(cluster: Cluster, node: Node, event: Event) -> None:
    """The node changed its role."""
    new, term = event["role"], event["term"]
    if term < node.term:
        cluster.fail(
            Rule.TERM_MONOTONE, f"node {node.id} in term {node.term} takes a role of term {term}", node
        )
    match new:
        case "follower":
            pass
        case "halted":
            node.halt(cluster.now)
        case "pre_candidate":
            _pre_candidate(cluster, node, term)
        case "candidate":
            _candidate(cluster, node, term)
        case "leader":
            _leader(cluster, node, term)
        case _:
            cluster.malformed(f"unknown role {new!r}", node)
    node.role, node.role_term = new, term


def _quiet_below_claim(cluster: Cluster, node: Node, role_name: str) -> None:
    if node.log.last() < node.claim:
        cluster.fail(
            Rule.CLAIM_KEEPS_QUIET,
            f"node {node.id} becomes {role_name} below its claim",
            node,
            claim=node.claim,
            end=node.log.last(),
        )


def _pre_candidate(cluster: Cluster, node: Node, term: int) -> None:
    _quiet_below_claim(cluster, node, "pre-candidate")
    if term != node.term:
        cluster.fail(
            Rule.PRE_VOTE_KEEPS_TERM,
            f"node {node.id} asks for pre-votes and calls its own term {term}",
            node,
            term=term,
        )
    node.pre_votes.clear()


def _candidate(cluster: Cluster, node: Node, term: int) -> None:
    if (node.role, node.role_term) == ("candidate", term):
        return
    _quiet_below_claim(cluster, node, "candidate")
    # The role may be told before or after the new term is saved, so both terms are in order here.
    if term in node.campaigns or term > node.term + 1:
        cluster.fail(
            Rule.CAMPAIGN_NEW_TERM, f"node {node.id} cannot begin a campaign in term {term}", node, term=term
        )
    granted = (node.pre_votes | {node.id}) & cluster.config.voters
    if len(granted) < cluster.config.majority and term - 1 not in node.transfer_terms:
        cluster.fail(
            Rule.CAMPAIGN_AFTER_PRE_VOTE,
            f"node {node.id} campaigns in term {term} without being asked or let",
            node,
            pre_votes=sorted(granted),
            needed=cluster.config.majority,
            timeout_now_terms=sorted(node.transfer_terms),
        )
    node.pre_votes.clear()
    node.campaigns.add(term)


def _leader(cluster: Cluster, node: Node, term: int) -> None:
    if node.is_leader() and node.term == term:
        return
    granted = (node.votes.get(term, set()) | {node.id}) & cluster.config.voters
    stands = node.role == "candidate" and node.role_term == term == node.term and node.vote == node.id
    if not stands or len(granted) < cluster.config.majority:
        cluster.fail(
            Rule.LEADER_BY_MAJORITY,
            f"node {node.id} leads term {term} without having won it",
            node,
            granted=sorted(granted),
            needed=cluster.config.majority,
            candidate_in_this_term=stands,
        )
    if term in cluster.leaders:
        cluster.fail(
            Rule.ONE_LEADER,
            f"node {node.id} is elected in term {term}, which node {cluster.leaders[term]} led",
            node,
            cluster.nodes[cluster.leaders[term]],
        )
    cluster.leaders[term] = node.id
    cluster.leader_logs[term] = node.log.copy()
    position = max((end for earlier, end in cluster.committed_in.items() if earlier < term), default=0)
    shared = node.log.common(cluster.committed)
    if shared < position:
        cluster.fail(
            Rule.LEADER_COMPLETENESS,
            f"node {node.id} is elected in term {term} without all that is committed",
            node,
            committed=cluster.committed.end_at(position),
            shared_to=shared,
        )
    node.accepted.clear()
    node.frame_start, node.transfer_since, node.appended_at = -1, -1, cluster.now


def _request_last(cluster: Cluster, node: Node, m: Message) -> None:
    if as_end(m["last"]) != node.durable_last():
        cluster.fail(
            Rule.REQUEST_LAST_TRUE,
            f"node {node.id} asks with a log end that is not that of its durable log",
            node,
            named=m["last"],
            durable=node.durable_last(),
            log=node.log.last(),
        )


def send_pre_vote_request(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A pre-vote is asked for."""
    _request_last(cluster, node, m)


def send_pre_vote_response(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A pre-vote is granted by the measure of a vote."""
    if m["granted"]:
        last = node.pre_vote_requests.get(to)
        needed = max(node.durable_last(), node.claim)
        if last is None or last < needed:
            cluster.fail(
                Rule.PRE_VOTE_UP_TO_DATE,
                f"node {node.id} grants a pre-vote to node {to}, whose log is behind",
                node,
                asked_with=last,
                needed=needed,
            )


def send_vote_request(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A candidate asks for a vote."""
    term = m["term"]
    if (node.role, node.role_term) != ("candidate", term) or node.term != term or node.vote != node.id:
        cluster.fail(
            Rule.CANDIDATE_SELF_VOTE,
            f"node {node.id} asks for votes in term {term} without its own vote saved",
            node,
        )
    _request_last(cluster, node, m)
    if m["transfer"] and term - 1 not in node.transfer_terms:
        cluster.fail(
            Rule.TRANSFER_WAS_ASKED,
            f"node {node.id} says that it was told to campaign in term {term}",
            node,
            timeout_now_terms=sorted(node.transfer_terms),
        )


def send_vote_response(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """A voter answers; only a granted vote binds it."""
    if not m["granted"]:
        return
    if node.vote != to:
        cluster.fail(
            Rule.VOTE_DURABLE,
            f"node {node.id} grants its vote to node {to}, having saved {node.vote}",
            node,
            term=m["term"],
        )
    last, own = node.vote_requests.get((to, m["term"])), node.durable_last()
    if last is None or last < own:
        cluster.fail(
            Rule.VOTE_UP_TO_DATE,
            f"node {node.id} votes for node {to}, whose log is behind or which never asked",
            node,
            asked_with=last,
            own=own,
        )
    elif last < node.claim:
        cluster.fail(
            Rule.VOTE_RESPECTS_CLAIM,
            f"node {node.id} votes for node {to}, whose log is below the voter's claim",
            node,
            asked_with=last,
            claim=node.claim,
        )


def receive_pre_vote_request(node: Node, source: int, m: Message) -> None:
    """Remember what was asked with."""
    node.pre_vote_requests[source] = as_end(m["last"])


def receive_pre_vote_response(node: Node, source: int, m: Message) -> None:
    """Count a granted pre-vote; a refusal is a common response and may carry a higher term."""
    if m["granted"]:
        node.pre_votes.add(source)


def receive_vote_request(node: Node, source: int, m: Message) -> None:
    """Remember what was asked with."""
    key = (source, m["term"])
    node.vote_requests[key] = max(node.vote_requests.get(key, NOTHING), as_end(m["last"]))


def receive_vote_response(node: Node, source: int, m: Message) -> None:
    """Count a granted vote."""
    if m["granted"]:
        node.votes.setdefault(m["term"], set()).add(source)


def receive_timeout_now(node: Node, source: int, m: Message) -> None:
    """Remember that the leader of that term asked this node to campaign."""
    node.transfer_terms.add(m["term"])
