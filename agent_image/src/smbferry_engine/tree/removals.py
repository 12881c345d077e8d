"""What is to be deleted at the destination, as the walk finds it; it is deleted after the walk, within the guards."""

from dataclasses import dataclass, field

from smbferry_engine.tree.extras import ExtrasLog
from smbferry_engine.tree.items import FileItem, Folder, LinkItem


@dataclass(slots=True)
class Removals:
    """What only the destination has (``extras``), and what entries of another kind replace (``replaced``).

    ``folders``, ``files`` and ``links`` are copied after what they replace was deleted. ``retained`` are paths that are
    never deleted. ``source_incomplete``: part of the source could not be listed. ``held_back`` counts files that are
    newer at the destination and stay, because nobody has confirmed the mirror.
    """

    extras: ExtrasLog = field(default_factory=ExtrasLog)
    replaced: ExtrasLog = field(default_factory=ExtrasLog)
    retained: set[str] = field(default_factory=set)
    folders: list[Folder] = field(default_factory=list)
    files: list[FileItem] = field(default_factory=list)
    links: list[LinkItem] = field(default_factory=list)
    source_incomplete: bool = False
    held_back: int = 0
