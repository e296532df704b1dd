"""Names of groups on axes: what tells them apart stands at their end."""

from thalweg.figures._numbers import thousands


def ending(name: str, longest: int = 26) -> str:
    """Cut a long name in front.

    Example:
        >>> print(ending("blocks.11.attention.projection", 20))
        …ttention.projection
    """
    line = " ".join(name.split())
    return line if len(line) <= longest else "…" + line[len(line) - longest + 1 :].lstrip()


def with_size(name: str, size: int) -> str:
    """Write a group with how many entries it has.

    Example:
        >>> print(with_size("head", 1290))
        head (1,290)
    """
    return f"{ending(name)} ({thousands(size)})"
