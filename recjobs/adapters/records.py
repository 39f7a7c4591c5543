"""A folder of small JSON files, each written atomically by the only process that writes it."""

import json
import logging
from typing import Any

from pyarrow import fs

from recjobs.adapters.object_store import Store, file_system
from recjobs.errors import BadConfiguration


class Records:
    """The files of one folder under the root of the artifacts, read once and cached."""

    def __init__(self, root: str, folder: str) -> None:
        system, path = file_system(root)
        self._system = Store(system, root)
        self.folder = f"{path.rstrip('/')}/{folder}"
        self._cache: dict[str, Any] = {}

    def save(self, name: str, content: Any) -> None:
        """Write or replace one file."""
        text = json.dumps(content, indent=1, default=str, allow_nan=False)
        self.save_text(name, text)
        self._cache[name] = json.loads(text)

    def save_text(self, name: str, text: str) -> None:
        """Write a file that is not JSON."""
        try:
            self._system.create_dir(self.folder, recursive=True)
        except OSError as error:
            raise BadConfiguration(f"{self.folder} cannot be made ({error}); see to RECJOBS_ARTIFACTS") from None
        self._system.write_whole(f"{self.folder}/{name}", text.encode())

    def load(self, name: str) -> Any:
        """The content of one file; None if it is missing or damaged."""
        if name not in self._cache:
            try:
                with self._system.open_input_stream(f"{self.folder}/{name}") as file:
                    self._cache[name] = json.loads(file.read())
            except FileNotFoundError:
                return None
            except ValueError as error:
                logging.getLogger(__name__).warning("%s/%s is damaged, and not counted: %s", self.folder, name, error)
                return None
        return self._cache[name]

    def names(self) -> list[str]:
        """The names of all JSON files, in order."""
        infos = self._system.get_file_info(fs.FileSelector(self.folder, allow_not_found=True))
        return sorted(info.base_name for info in infos if info.base_name.endswith(".json"))
