"""What the envelope refuses."""

from __future__ import annotations


class InvalidEvent(ValueError):
    """The attributes, the data or the bytes do not make a valid event of our profile.

    `attribute` names the attribute at fault (`data` for the payload), None when the document as a whole
    is; `problem` says what is wrong and what to do.
    """

    def __init__(self, attribute: str | None, problem: str) -> None:
        super().__init__(attribute, problem)
        self.attribute = attribute
        self.problem = problem

    def __str__(self) -> str:
        return self.problem if self.attribute is None else f"{self.attribute}: {self.problem}"
