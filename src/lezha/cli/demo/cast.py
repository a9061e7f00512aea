"""Who plays in the demonstration: four members in three communities that overlap and do not nest."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from lezha.cli.errors import CliError


class Actor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member. `name` is its node's short name, `title` what pages show, `city` what names its checks."""

    name: str
    title: str
    city: str


class Circles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the three communities, by what they are in the story."""

    alliance: str = "NATO"
    union: str = "EU"
    region: str = "WB6"


class Cast(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parts of the story.

    `author` is hit and publishes; `witness` is in the alliance and the region and sees the attacker too; `outsider`
    is in the union only; `neighbour` is in the region only.
    """

    author: Actor = Actor("albania", "Albania", "tirana")
    witness: Actor = Actor("montenegro", "Montenegro", "podgorica")
    outsider: Actor = Actor("austria", "Austria", "vienna")
    neighbour: Actor = Actor("kosovo", "Kosovo*", "pristina")
    circles: Circles = Circles()

    @property
    def actors(self) -> tuple[Actor, Actor, Actor, Actor]:
        """All four, the author first."""
        return self.author, self.witness, self.outsider, self.neighbour

    @property
    def communities(self) -> dict[str, tuple[Actor, ...]]:
        """Members of each community; all of them are its stewards."""
        return {
            self.circles.alliance: (self.author, self.witness),
            self.circles.union: (self.outsider,),
            self.circles.region: (self.author, self.witness, self.neighbour),
        }


FOOTNOTE: Final = (
    "* This designation is without prejudice to positions on status, and is in line with UNSCR 1244/1999 and the "
    "ICJ Opinion on the Kosovo declaration of independence."
)


def read(path: Path) -> Cast:
    """Read a cast from a TOML file; what it does not name stays as it is. Raises CliError.

    Example:
        [author]
        name = "portugal"
        title = "Portugal"
        city = "lisbon"
        [circles]
        alliance = "BLUE"
    """
    try:
        cast = msgspec.convert(tomllib.loads(path.read_text()), Cast)
    except OSError as error:
        raise CliError(f"{path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CliError(f"{path} is not a cast: {error}.") from error
    circles = msgspec.structs.astuple(cast.circles)
    names = [actor.name for actor in cast.actors] + [name.lower() for name in circles]
    if len(set(names)) != len(names) or len({actor.city for actor in cast.actors}) != len(cast.actors):
        raise CliError(f"{path} is not a cast: two members or communities have the same name.")
    return cast
