"""Who may see what only users may see."""

from starlette.requests import HTTPConnection


def is_authenticated(connection: HTTPConnection) -> bool:
    """Whether a user has been recognised; nobody is where no users are configured."""
    user = connection.scope.get("user")
    return bool(user and user.is_authenticated)
