"""The Python of the README, as it stands there."""

import contextlib
import io
import json
import os
import re
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .servers import FOLDER, WASM, MockApi


class Readme(unittest.TestCase):
    def test_all_blocks_run_in_their_order(self) -> None:
        blocks = re.findall(r"^```python\n(.*?)^```", (FOLDER / "README.md").read_text(), re.DOTALL | re.MULTILINE)
        self.assertTrue(blocks)
        names: dict[str, Any] = {}
        with MockApi() as api, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("source.json").write_text(json.dumps(api.config()))
            os.symlink(Path(WASM).absolute(), "spile.wasm")
            for block in blocks:
                if ".tables(" in block and not find_spec("pyarrow"):
                    continue
                with self.subTest(block), contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(block, names)
                    self.assertTrue(out.getvalue())
            self.assertEqual(json.loads(Path("kept.json").read_text())[0], '{"version":1}')
