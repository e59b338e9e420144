"""A broken rule with the facts that show it, and how it reads."""

from raft_checker.rule import Rule


class Violation(Exception):
    """The trace breaks a rule.

    Attributes:
        rule: Which rule.
        line: Line number in the trace, from 1.
        sentence: What happened, in one sentence.
        facts: Values that show it, by name.
        event: Text of the trace line, as far as it is known.
        states: The model's state of the nodes concerned, one line each.
    """

    def __init__(
        self,
        rule: Rule,
        line: int,
        sentence: str,
        facts: dict[str, object],
        event: str = "",
        states: tuple[str, ...] = (),
    ) -> None:
        super().__init__(rule, line, sentence)
        self.rule = rule
        self.line = line
        self.sentence = sentence
        self.facts = facts
        self.event = event
        self.states = states

    def __str__(self) -> str:
        text = self.rule.value
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        rows = [
            f"line {self.line}: {text.name}: {self.sentence}",
            f"  rule:   {text.sentence}",
            f"  source: {text.source}",
        ]
        if facts:
            rows.append(f"  facts:  {facts}")
        rows.extend(f"  model:  {state}" for state in self.states)
        if self.event:
            rows.append(f"  event:  {self.event}")
        return "\n".join(rows)
