"""The one way in which a contract is broken."""


def require(condition: object, message: str) -> None:
    """Raise unless a condition holds; an ``assert`` that optimised Python does not drop.

    Parameters
    ----------
    condition
        What must be true.
    message
        What is wrong if it is not.

    Raises
    ------
    AssertionError
        The condition does not hold.
    """
    if not condition:
        raise AssertionError(message)
